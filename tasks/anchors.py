"""From scribbles to masks on the anchor frames."""

from pathlib import Path

import luigi

from stages.errors import InputError
from stages.manifest import Json
from tasks import config
from tasks.base import EngineTask, StageTask
from tasks.inputs import Frames, ImportScribbles, ScribbledTask, Scribbles


class SelectAnchors(StageTask, ScribbledTask):
    """Record which frames are anchors."""

    stage = "anchors"

    def requires(self) -> list[luigi.Task]:
        """Painted strokes count as annotations."""
        return [self.clone(ImportScribbles)]

    def folder(self) -> Path:
        """One per sequence."""
        return Path("anchors")

    def uses(self) -> Json:
        """The annotations and the rule."""
        return {**self.request_terms, "anchors": self.plan.anchors, "annotated": self.scribble_set.annotated}

    def work(self, folder: Path) -> list[int]:
        """Write anchors.json."""
        from stages.anchors import write_plan

        write_plan(folder / "anchors.json", self.plan)
        return list(self.scribble_set.object_ids)


class AnchorMask(config.AnchorOptions, EngineTask, ScribbledTask):
    """The masks of every object on one anchor frame."""

    frame = luigi.IntParameter(description="frame index of the anchor")
    stage = "anchor_masks"
    plug = "segmenter"
    works_with = "stages.anchor_masks"

    def requires(self) -> list[luigi.Task]:
        """The picture, and a person's strokes on it."""
        if not 0 <= self.frame < self.frame_count:
            raise InputError(f"{self.seq} has no frame {self.frame}: its frames are 0 to {self.frame_count - 1}.")
        if self.frame not in self.plan.anchors:
            anchors = ", ".join(str(index) for index in self.plan.anchors)
            raise InputError(f"frame {self.frame} of {self.seq} is no anchor; its anchors are {anchors}.")
        return [self.clone(Frames), self.clone(ImportScribbles), self.clone(Scribbles)]

    def folder(self) -> Path:
        """One per anchor."""
        return Path("anchor_masks") / f"{self.frame:05d}"

    def uses(self) -> Json:
        """This frame's picture and strokes, and how they are turned into masks."""
        return {
            "frame": self.clone(Frames).digest(self.frame, self.frame),
            "strokes": self.scribble_set.strokes_digest(self.frame),
            "click_spacing_px": self.click_spacing_px,
            **self.engine_key(),
        }

    def engine_options(self) -> Json:
        """Of f-BRS."""
        return {"spacing_px": self.click_spacing_px, "mode": self.brs_mode, "exact": self.exact}

    def work(self, folder: Path) -> list[int]:
        """Write mask.png, probabilities.h5 and clicks.json."""
        from stages.anchor_masks import segment_anchor

        scribbles = self.scribble_set.frame(self.frame)
        segment_anchor(folder, self.video[self.frame], scribbles, self.engine(), self.click_spacing_px)
        return list(scribbles.object_ids)
