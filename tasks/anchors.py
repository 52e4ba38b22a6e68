"""From scribbles to masks on the anchor frames."""

from collections.abc import Iterable
from pathlib import Path

import luigi

from stages.core.errors import InputError
from stages.formats import results
from stages.formats.manifest import Json
from stages.formats.scribbles import check_video
from tasks.inputs import Frames, ImportScribbles, Scribbles
from tasks.runtime import options
from tasks.runtime.sequence import EngineTask, ScribbledTask, StageTask


class SelectAnchors(ScribbledTask, StageTask):
    """Record which frames are anchors."""

    stage = results.ANCHORS

    def requires(self) -> list[luigi.Task]:
        """Painted strokes count as annotations."""
        return [self.clone(ImportScribbles)]

    def folder(self) -> Path:
        """One per sequence."""
        return Path(results.ANCHORS)

    def uses(self) -> Json:
        """The annotations and the rule."""
        now = self.snapshot
        return {**now.request_terms, "anchors": now.plan.anchors, "annotated": now.scribbles.annotated}

    def work(self, folder: Path) -> list[int]:
        """Write anchors.json."""
        from stages.formats.anchors_json import write_plan

        write_plan(folder, self.snapshot.plan)
        return list(self.snapshot.scribbles.object_ids)


class AnchorMask(options.AnchorOptions, ScribbledTask, EngineTask):
    """The masks of every object on one anchor frame."""

    frame = luigi.IntParameter(description="frame index of the anchor")
    stage = results.ANCHOR_MASKS
    plug = "segmenter"
    works_with = "stages.steps.segment_anchor"

    def requires(self) -> list[luigi.Task]:
        """The picture, and a person's strokes on it."""
        now = self.snapshot
        if not 0 <= self.frame < now.frame_count:
            raise InputError(f"{self.seq} has no frame {self.frame}: its frames are 0 to {now.frame_count - 1}.")
        if self.frame not in now.plan.anchors:
            anchors = ", ".join(str(index) for index in now.plan.anchors)
            raise InputError(f"frame {self.frame} of {self.seq} is no anchor; its anchors are {anchors}.")
        return [self.clone(Frames), self.clone(ImportScribbles), self.clone(Scribbles)]

    def folder(self) -> Path:
        """One per anchor."""
        return results.of_frame(results.ANCHOR_MASKS, self.frame)

    def frames_covered(self) -> int:
        """The anchor's."""
        return 1

    def uses(self) -> Json:
        """This frame's picture and strokes, and the engine."""
        return {**self._drawn(), **self.engine_key()}

    def _drawn(self) -> Json:
        return {
            "frame": self.clone(Frames).digest(self.frame, self.frame),
            "strokes": self.snapshot.scribbles.strokes_digest(self.frame),
        }

    def former_keys(self) -> Iterable[Json]:
        """Before engines said which options mean nothing to a network."""
        yield self._as_recorded({**self._drawn(), **self.former_engine_key()})

    def former_engine_key(self) -> Json:
        """What `engine_key` was in the first version, which named the spacing of clicks whether it was used or not."""
        spacing = self.click_spacing_px  # type: ignore[attr-defined]  # an option of f-BRS
        key = self.engine_key()
        arguments = {
            option.argument: self.engine_options.get(option.name, option.default)
            for option in self.found_engine.spec.options
        }
        return {**key, "options": arguments, "click_spacing_px": spacing}

    def work(self, folder: Path) -> list[int]:
        """Write mask.png, probabilities.h5 and clicks.json."""
        from stages.steps.segment_anchor import segment_anchor

        now = self.snapshot
        check_video(now.scribble_file, now.scribbles, now.video, [self.frame])
        scribbles = now.scribbles.frame(self.frame)
        segment_anchor(folder, now.video[self.frame], scribbles, self.engine())
        return list(scribbles.object_ids)
