"""What people open in the morning."""

from pathlib import Path

import luigi

from stages.manifest import Json
from tasks import config
from tasks.base import StageTask
from tasks.inputs import Frames, ScribbledTask
from tasks.refine import RefineSequence


class ReportSequence(config.ReportOptions, config.RefineOptions, StageTask, ScribbledTask):
    """The report page, the overlay video, the frames by doubt, and where to scribble next."""

    stage = "report"

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.report",)

    def requires(self) -> list[luigi.Task]:
        """The finished sequence."""
        return [self.clone(Frames), self.clone(RefineSequence)]

    def folder(self) -> Path:
        """One per sequence."""
        return Path("report")

    def uses(self) -> Json:
        """Pictures, masks before and after refinement, and the strokes."""
        result = self.clone(RefineSequence)
        return {
            "frames": self.clone(Frames).manifest().content,
            "masks": result.manifest().content,
            "anchor_masks": [task.manifest().content for task in result.anchor_masks()],
            "tracks": [task.track().manifest().content for task in result.segments()],
            "brush_px": self.brush_px,
            "strokes": [self.scribble_set.strokes_digest(index) for index in self.plan.anchors],
        }

    def work(self, folder: Path) -> list[int]:
        """Write index.html and everything it shows."""
        from stages.masks import read_mask
        from stages.quality import read_frames_csv
        from stages.report import write_report

        result = self.clone(RefineSequence)
        names, masks = self.clone(Frames).names(), result.output().path
        coarse = {task.frame: task.output().path / "mask.png" for task in result.anchor_masks()}
        for stretch in result.segments():
            before = stretch.track().output().path / "masks"
            coarse |= {index: before / f"{index:05d}.png" for index in stretch.segment.frames}
        object_ids = result.manifest().objects
        write_report(
            folder,
            sequence=self.seq,
            frames=self.video,
            names=names,
            anchors=self.plan.anchors,
            scribbles={index: self.scribble_set.frame(index) for index in self.plan.anchors},
            coarse=lambda index: read_mask(coarse[index]),
            masks=lambda index: read_mask(masks / f"{Path(names[index]).stem}.png"),
            rows=read_frames_csv(masks / "frames.csv"),
            object_ids=object_ids,
            brush_px=self.brush_px,
            progress=self.progress,
        )
        return object_ids
