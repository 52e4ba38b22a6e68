"""What people open in the morning."""

from pathlib import Path

import luigi

from stages.manifest import Json
from tasks import config
from tasks.base import StageTask
from tasks.evaluate import EvaluateSequence
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
            "evaluation": self.evaluation.manifest().content if self.evaluation else None,
            "brush_px": self.brush_px,
            "strokes": [self.scribble_set.strokes_digest(index) for index in self.plan.anchors],
        }

    @property
    def evaluation(self) -> EvaluateSequence | None:
        """J and F, if they were measured: the page is made without ground truth, too."""
        task: EvaluateSequence = self.clone(EvaluateSequence)
        return task if task.complete() else None

    def work(self, folder: Path) -> list[int]:
        """Write index.html and everything it shows."""
        from stages.report import report_sequence

        result = self.clone(RefineSequence)
        report_sequence(
            folder,
            sequence=self.seq,
            frames=self.video,
            names=self.clone(Frames).names(),
            plan=self.plan,
            scribbles={index: self.scribble_set.frame(index) for index in self.plan.anchors},
            anchor_masks={task.frame: task.output().path for task in result.anchor_masks()},
            tracks={task.segment: task.track().output().path for task in result.segments()},
            masks=result.output().path,
            evaluation=self.evaluation.output().path if self.evaluation else None,
            brush_px=self.brush_px,
            progress=self.progress,
        )
        return result.manifest().objects
