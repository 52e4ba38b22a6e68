"""From tracks to the result: sharper boundaries, and one indexed mask per frame."""

from pathlib import Path
from typing import TYPE_CHECKING

import luigi

from stages.anchors import segment_name
from stages.manifest import Json
from tasks import config
from tasks.anchors import AnchorMask, SelectAnchors
from tasks.base import EngineTask
from tasks.inputs import Frames, ScribbledTask
from tasks.tracks import SegmentTask, TrackSegment

if TYPE_CHECKING:
    from stages.refinement import GuardedRefiner


class RefineTask(config.RefineOptions, EngineTask, ScribbledTask):
    """A stage that sharpens masks."""

    plug = "refiner"
    works_with = "stages.refinement"

    def refinement(self) -> Json:
        """What a refined mask depends on besides pictures and tracks."""
        return {**self.engine_key(), "guard": [self.guard_iou, self.guard_area]}

    def engine_options(self) -> Json:
        """Of CascadePSP."""
        return {"exact": self.exact}

    def guarded_refiner(self) -> "GuardedRefiner":
        """The engine behind the guard."""
        from stages.refinement import GuardedRefiner

        return GuardedRefiner(self.engine(), self.guard_iou, self.guard_area)


class RefineSegment(RefineTask, SegmentTask):
    """Sharper masks on the frames of a stretch."""

    stage = "refined"
    version = 2

    def requires(self) -> list[luigi.Task]:
        """The stretch's tracks."""
        return [self.clone(Frames), self.track()]

    def track(self) -> TrackSegment:
        """The task that makes them."""
        task: TrackSegment = self.clone(TrackSegment)
        return task

    def folder(self) -> Path:
        """One per stretch."""
        return Path("refined") / segment_name(self.start, self.stop)

    def uses(self) -> Json:
        """The stretch's pictures and tracks, the engine and the guard."""
        return {
            "frames": self.clone(Frames).digest(self.start, self.stop),
            "tracks": self.track().manifest().content,
            **self.refinement(),
        }

    def work(self, folder: Path) -> list[int]:
        """Write masks/*.png and frames.csv."""
        from stages.refinement import refine_segment

        tracks = self.track().output().path
        return refine_segment(folder, self.video, tracks, self.guarded_refiner(), self.progress)


class RefineSequence(RefineTask):
    """The result: an indexed mask for every frame, under the source's names."""

    stage = "masks"
    version = 2

    def requires(self) -> list[luigi.Task]:
        """Every anchor, every stretch; first of all, checkpoints that can be used."""
        for engine in (self.segmenter, self.propagator, self.refiner):
            self.checkpoint(engine)
        return [self.clone(Frames), self.clone(SelectAnchors), *self.anchor_masks(), *self.segments()]

    def anchor_masks(self) -> list[AnchorMask]:
        """One task per anchor, in order."""
        return [self.clone(AnchorMask, frame=index) for index in self.plan.anchors]

    def segments(self) -> list[RefineSegment]:
        """One task per stretch, in order."""
        return [self.clone(RefineSegment, start=s.start, stop=s.stop) for s in self.plan.segments]

    def folder(self) -> Path:
        """One per sequence."""
        return Path("masks")

    def uses(self) -> Json:
        """Names, refined stretches, anchor masks (refined here, once)."""
        return {
            "names": self.clone(Frames).names(),
            "anchor_frames": {str(i): self.clone(Frames).digest(i, i) for i in self.plan.anchors},
            "anchor_masks": {str(task.frame): task.manifest().content for task in self.anchor_masks()},
            "segments": {str(task.folder()): task.manifest().content for task in self.segments()},
            **self.refinement(),
        }

    def work(self, folder: Path) -> list[int]:
        """Write one PNG per frame; sweep the folders of anchors and stretches that the plan no longer has."""
        from stages.requests import settle_requests
        from stages.results import assemble, sweep_unplanned

        anchors = {task.frame: task.output().path for task in self.anchor_masks()}
        segments = [task.output().path for task in self.segments()]
        objects = assemble(folder, self.clone(Frames).names(), self.video, anchors, segments, self.guarded_refiner())
        sweep_unplanned(self.root, self.plan)
        settle_requests(self.root)
        return objects
