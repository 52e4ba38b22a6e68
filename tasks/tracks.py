"""From anchor masks to masks on the frames between them."""

from pathlib import Path

import luigi

from stages.core.errors import InputError, LisError
from stages.core.plan import Segment
from stages.formats import results
from stages.formats.manifest import Json
from tasks.anchors import AnchorMask
from tasks.approval import ApprovedAnchor
from tasks.inputs import Frames
from tasks.runtime import options
from tasks.runtime.luigi_hooks import abstract
from tasks.runtime.questions import once_a_question
from tasks.runtime.sequence import EngineTask, ProvisionalTask, ScribbledTask, StageTask


@abstract
class SegmentTask(options.TrackOptions, ScribbledTask, StageTask):
    """A stage that works on the stretch between two neighbouring anchors."""

    start = luigi.IntParameter(description="first frame index of the stretch: an anchor, or 0")
    stop = luigi.IntParameter(description="last frame index of the stretch: an anchor, or the video's last frame")

    @property
    def segment(self) -> Segment:
        """The stretch, as planned."""
        segments = self.plan.segments
        for segment in segments:
            if (segment.start, segment.stop) == (self.start, self.stop):
                return segment
        names = ", ".join(segment.name for segment in segments) or "none"
        raise InputError(
            f"{self.seq} has no stretch {self.start}-{self.stop}. Its anchors make these stretches: {names}."
        )

    def length(self) -> int:
        """Of the stretch."""
        return int(self.stop - self.start)

    def frames_covered(self) -> int:
        """The stretch's own, without its anchors."""
        return len(self.segment.frames)


class TrackSegment(SegmentTask, EngineTask):
    """Masks on every frame of a stretch: forward from its left anchor, backward from its right one, fused."""

    stage = results.TRACKS
    version = 2
    rank = 2
    plug = "propagator"
    works_with = "stages.steps.track"
    reads_soft_masks = True

    def requires(self) -> list[luigi.Task]:
        """The masks of the anchors that it sees, and a person's approval of them where that is wanted."""
        return [self.clone(Frames), *self.anchor_masks(), *self.approvals()]

    def approvals(self) -> list[ApprovedAnchor]:
        """The approvals without which nothing is carried; what is made already needs none."""
        if not self.approve_anchors or once_a_question(("made", self.task_id), self._is_made):
            return []
        return [self.clone(ApprovedAnchor, frame=task.frame) for task in self.anchor_masks()]

    def _is_made(self) -> bool:
        try:
            return all(task.is_current for task in self.anchor_masks()) and self.is_complete()
        except (LisError, OSError):
            return False  # what is wrong is told when the task runs

    def anchor_masks(self) -> list[AnchorMask]:
        """The tasks that make them: of the stretch's own anchors, left first, then of those beyond."""
        return [self.clone(AnchorMask, frame=index) for index in (*self.segment.anchors, *self.beyond)]

    @property
    def sees_beyond(self) -> bool:
        """Whether it is to be matched with the anchors next to its own, too."""
        return self.memory_anchors == "4" and self.found_engine.spec.sees_beyond

    @property
    def beyond(self) -> tuple[int, ...]:
        """Those anchors, if so."""
        return self.plan.beyond(self.segment) if self.sees_beyond else ()

    def folder(self) -> Path:
        """One per stretch."""
        return results.of_segment(results.TRACKS, self.start, self.stop)

    def uses(self) -> Json:
        """The stretch's pictures, its anchors' masks, and the engine; what lies beyond, if that is seen."""
        frames = self.clone(Frames)
        beyond = {"beyond": {str(index): frames.digest(index, index) for index in self.beyond}}
        return {
            "frames": frames.digest(self.start, self.stop),
            "left": self.segment.left,
            "right": self.segment.right,
            "anchor_masks": [task.manifest().content for task in self.anchor_masks()],
            **(beyond if self.beyond else {}),
            **self.engine_key(),
        }

    def masks_content(self) -> str:
        """A digest of what came out but for `disagreement.h5`: refined masks and reports do not depend on that."""
        return self.manifest().content_without(results.DISAGREEMENT)

    def tells_disagreement(self) -> bool:
        """Whether it is known where both directions disagree; not of stretches with one, and of former versions."""
        return results.DISAGREEMENT in self.manifest().digests

    def work(self, folder: Path) -> list[int]:
        """Write tracks.h5, disagreement.h5 and masks/*.png."""
        from stages.steps.track import track_segment

        sources = {task.frame: task.target() for task in self.anchor_masks()}
        video, engine, ahead = self.snapshot.video, self.engine(), self.uses_gpu()
        return track_segment(folder, video, self.segment, sources, engine, self.progress, ahead)


@abstract
class ProvisionalTrack(ProvisionalTask, TrackSegment):
    """Masks on a stretch that the plan does not have: it reaches across anchors that still wait for scribbles."""
