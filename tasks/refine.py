"""From tracks to the result: sharper boundaries, and one indexed mask per frame."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import luigi

from stages.core.plan import Segment
from stages.formats import changes, results
from stages.formats.changes import changed_since
from stages.formats.emptiness import BLOCK, empty_objects_of, in_one_line
from stages.formats.manifest import Json, Manifest, read_manifest
from stages.formats.objects_json import OBJECTS_JSON
from tasks.anchors import AnchorMask, SelectAnchors
from tasks.approval import ApprovedAnchor
from tasks.inputs import Frames
from tasks.runtime import options
from tasks.runtime.luigi_hooks import abstract
from tasks.runtime.published import PublishedTask
from tasks.runtime.questions import once_a_question
from tasks.runtime.sequence import EngineTask, ProvisionalTask, ScribbledTask, StageTask
from tasks.tracks import ProvisionalTrack, SegmentTask, TrackSegment

if TYPE_CHECKING:
    from stages.steps.refine import GuardedRefiner


@abstract
class RefineTask(options.RefineOptions, ScribbledTask, EngineTask):
    """A stage that sharpens masks."""

    stage = results.REFINED
    version = 3
    rank = 1
    plug = "refiner"
    works_with = "stages.steps.refine"
    reads_soft_masks = True

    def refinement(self) -> Json:
        """What a refined mask depends on besides pictures and what is refined."""
        if not self.needs_engine:
            return {}
        return {**self.engine_key(), "guard": [self.guard_iou, self.guard_area]}

    def guarded_refiner(self) -> "GuardedRefiner":
        """The engine behind the guard."""
        from stages.steps.refine import GuardedRefiner

        return GuardedRefiner(self.engine(), self.guard_iou, self.guard_area)


class RefineAnchor(RefineTask):
    """Sharper masks on one anchor frame."""

    frame = luigi.IntParameter(description="frame index of the anchor")

    def requires(self) -> list[luigi.Task]:
        """The anchor's masks."""
        return [self.clone(Frames), self.anchor_mask()]

    def anchor_mask(self) -> AnchorMask:
        """The task that makes them."""
        task: AnchorMask = self.clone(AnchorMask)
        return task

    def folder(self) -> Path:
        """One per anchor."""
        return results.of_frame(results.REFINED, self.frame)

    def frames_covered(self) -> int:
        """The anchor's."""
        return 1

    def uses(self) -> Json:
        """The anchor's masks, and its picture and strokes, the engine and the guard unless the masks are given."""
        masks = {"anchor_mask": self.anchor_mask().manifest().content}
        if not self.needs_engine:
            return masks
        picture = {"frames": self.clone(Frames).digest(self.frame, self.frame)}
        drawn = self.snapshot.scribbles
        strokes = {"strokes": drawn.strokes_digest(self.frame)} if drawn.frame(self.frame).lines else {}
        boxes = {"from_boxes": self.from_boxes} if self.from_boxes else {}  # few scribbles say it
        return {**picture, **masks, **strokes, **boxes, **self.refinement()}

    @property
    def from_boxes(self) -> tuple[int, ...]:
        """Objects whose strokes on the frame were made from a box alone: less is known of their masks."""
        return tuple(self.snapshot.scribbles.from_boxes.get(self.frame, ()))

    @property
    def needs_engine(self) -> bool:
        """Not where every mask is given."""
        return self.anchor_mask().needs_engine

    def former_keys(self) -> Iterable[Json]:
        """Before strokes held against the refiner: no key named them. What has such a key is of the anchor's strokes.

        Unless the anchor was made again since, for others, and came out the same.
        """
        refined, uses = self._published(), self.uses()
        if refined is not None and "strokes" in uses and _finished(refined) >= _finished(self.anchor_mask().manifest()):
            yield self._as_recorded({name: value for name, value in uses.items() if name != "strokes"})

    def work(self, folder: Path) -> list[int]:
        """Write masks/*.png and frames.csv."""
        from stages.steps.refine import keep_anchor, refine_anchor

        anchor = self.anchor_mask().target()
        if not self.needs_engine:
            return keep_anchor(folder, self.frame, anchor)
        frame, scribbles = self.snapshot.video[self.frame], self.snapshot.scribbles.frame(self.frame)
        return refine_anchor(folder, self.frame, frame, anchor, scribbles, self.guarded_refiner(), self.from_boxes)


def _finished(manifest: Manifest) -> datetime:
    """When a folder was made; long ago if it does not say."""
    try:
        return datetime.fromisoformat(manifest.run["finished_at"])
    except (KeyError, TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)


class RefineSegment(RefineTask, SegmentTask):
    """Sharper masks on the frames of a stretch."""

    def requires(self) -> list[luigi.Task]:
        """The stretch's tracks."""
        return [self.clone(Frames), self.track()]

    def track(self) -> TrackSegment:
        """The task that makes them."""
        task: TrackSegment = self.clone(TrackSegment)
        return task

    def folder(self) -> Path:
        """One per stretch."""
        return results.of_segment(results.REFINED, self.start, self.stop)

    def uses(self) -> Json:
        """The stretch's pictures and tracks, the engine and the guard."""
        return {
            "frames": self.clone(Frames).digest(self.start, self.stop),
            "tracks": self.track().masks_content(),
            **self.refinement(),
        }

    def work(self, folder: Path) -> list[int]:
        """Write masks/*.png and frames.csv."""
        from stages.steps.refine import refine_segment

        tracks, ahead = self.track().target(), self.uses_gpu()
        return refine_segment(folder, self.snapshot.video, tracks, self.guarded_refiner(), self.progress, ahead)


@abstract
class ProvisionalSegment(ProvisionalTask, RefineSegment):
    """Sharper masks on a stretch that the plan does not have."""

    def track(self) -> TrackSegment:
        """The task that makes its tracks."""
        task: TrackSegment = self.clone(ProvisionalTrack)
        return task


@abstract
class ResultTask(options.RefineOptions, ScribbledTask, StageTask):
    """An indexed mask for every frame, under the source's names."""

    version = 2
    stays_warm = True

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.steps.assemble",)

    def anchor_masks(self) -> list[AnchorMask]:
        """One task per anchor, in order."""
        return [self.clone(AnchorMask, frame=index) for index in self.plan.anchors]

    def segments(self) -> list[RefineSegment]:
        """One task per stretch, in order."""
        return [self.clone(RefineSegment, start=s.start, stop=s.stop) for s in self.plan.segments]

    def anchors(self) -> list[RefineAnchor]:
        """One task per anchor, in order."""
        return [self.clone(RefineAnchor, frame=index) for index in self.plan.anchors]

    def parts(self) -> list[RefineAnchor | RefineSegment]:
        """What the result is put together from."""
        return [*self.anchors(), *self.segments()]

    def folder(self) -> Path:
        """One per sequence."""
        return Path(self.stage)

    def uses(self) -> Json:
        """Names, and the refined anchors and stretches."""
        return {
            "names": self.clone(Frames).names(),
            "parts": {str(task.folder()): task.manifest().content for task in self.parts()},
        }

    def work(self, folder: Path) -> list[int]:
        """Write one PNG per frame; sweep what the result supersedes."""
        from stages.steps.assemble import assemble

        assemble(folder, self.clone(Frames).names(), [task.target() for task in self.parts()])
        self.sweep()
        object_ids = sorted({object_id for task in self.anchors() for object_id in task.manifest().objects})
        self._tell_of_names(object_ids)
        return object_ids

    def _tell_of_names(self, object_ids: Iterable[int]) -> None:
        """Masks need no names, and a night does not fail for them: what is wrong is told in a line, and told again."""
        known, fault = self.snapshot.names
        unlisted = [known.of(object_id).name for object_id in object_ids if object_id not in known.listed]
        if fault:
            self.note(f"warning: {fault}")
        elif known.listed and unlisted:
            self.note(f"drawn, but not in {OBJECTS_JSON}: {', '.join(unlisted)}")

    def remarks(self, folder: Path) -> Json:
        """Objects that came out empty where they should not."""
        from stages.formats.frames_csv import read_frames_csv
        from stages.steps.emptiness import find_empty

        empty = find_empty(read_frames_csv(folder), self.plan.anchors)
        if empty:
            self.note(in_one_line(empty, self.snapshot.names[0]))
        return {BLOCK: [each.as_json() for each in empty]}

    def emptiness(self) -> str:
        """The same in one line, as the published result says it; nothing if there are none, or no result."""
        manifest = self._published()
        empty = empty_objects_of(manifest) if manifest else []
        return in_one_line(empty, self.snapshot.names[0]) if empty else ""

    def sweep(self) -> None:
        """Delete what this result is made instead of; before it is published, so that a kill leaves no litter."""
        raise NotImplementedError


@abstract
class ProvisionalSequence(ProvisionalTask, ResultTask):
    """What can be said of every frame while some of the anchors wait for scribbles; never in `masks/`."""

    stage = results.PROVISIONAL

    def requires(self) -> list[luigi.Task]:
        """The annotated anchors, and the stretches between them."""
        return [self.clone(Frames), *self.parts()]

    def name_of_result(self) -> str:
        """What the log calls the result."""
        return f"{self.folder()} masks, from {len(self.annotated)} anchor{'s' * (len(self.annotated) > 1)},"

    def segments(self) -> list[RefineSegment]:
        """One task per stretch, in order; the plan's own where it has the same, between the same anchors."""
        return [self._own(segment) or self._provisional(segment) for segment in self.plan.segments]

    def _own(self, segment: Segment) -> RefineSegment | None:
        if segment not in self.snapshot.plan.segments:
            return None
        own: RefineSegment = self.clone(RefineSegment, start=segment.start, stop=segment.stop)
        return own if own.track().beyond == self._provisional(segment).track().beyond else None

    def _provisional(self, segment: Segment) -> ProvisionalSegment:
        task: ProvisionalSegment = self.clone(ProvisionalSegment, start=segment.start, stop=segment.stop)
        return task

    def sweep(self) -> None:
        """Stretches that strokes have divided since; the result in `masks/` keeps what it rests on."""
        plans = (self.plan, self.snapshot.plan)
        kept = results.parts_of_result(self.root).union(*map(results.parts_of_plan, plans))
        results.sweep_parts(self.root, kept)


class RefineSequence(options.ResultOptions, ResultTask):
    """The result: an indexed mask for every frame, under the source's names."""

    stage = results.MASKS

    def requires(self) -> list[luigi.Task]:
        """Every anchor, every stretch, and what can be had meanwhile; first of all, checkpoints that can be used."""
        if self.needs_segmenter:
            self.checkpoint("segmenter", self.segmenter)
        self.checkpoint("propagator", self.propagator)
        self.checkpoint("refiner", self.refiner)
        coarse = [self.clone(Frames), self.clone(SelectAnchors), *self.anchor_masks()]
        provisional = self.provisional_result() if self.provisional else None
        return [*coarse, *self.refined(), *filter(None, [provisional])]

    def refined(self) -> Sequence[RefineAnchor | RefineSegment]:
        """What the result is put together from; one of the first version has refined its anchors itself."""
        return self.segments() if self._has_former_result() else self.parts()

    def made_by(self) -> list[Json]:
        """The keys of the result and of all that it was put together from: what made which part.

        Raises:
            StageError: something of it is not published.
        """
        tracks = [task.track() for task in self.segments()]
        return [task.manifest().key for task in (self, *self.anchor_masks(), *tracks, *self.refined())]

    @property
    def needs_segmenter(self) -> bool:
        """Not as long as people give nothing but masks."""
        now, annotated = self.snapshot, self.plan.annotated
        return any(map(now.needs_segmenter, annotated)) or not annotated

    def provisional_result(self) -> ProvisionalSequence | None:
        """What stands in for the result while scribbles are missing; None if none are, or none are there."""
        plan = self.plan
        if not plan.requested or not plan.annotated:
            return None
        task: ProvisionalSequence = self.clone(ProvisionalSequence, annotated=plan.annotated)
        return task

    def unapproved(self) -> list[ApprovedAnchor]:
        """The approvals that stretches wait for, by frame."""
        wanted = [each for segment in self.segments() for each in segment.track().approvals()]
        return [*{each.frame: each for each in wanted if not each.complete()}.values()]

    def prepare(self) -> None:
        """Say what the propagator makes nothing of."""
        super().prepare()
        track = self.clone(TrackSegment, start=0, stop=0)
        if self.memory_anchors != "2" and not track.found_engine.spec.sees_beyond:
            self.note(f"--memory-anchors means nothing to {self.propagator}: it sees a stretch's own anchors only")

    def run(self) -> None:
        """Make and publish the result; nothing is provisional beside it."""
        super().run()
        # The result may have been right all along: strokes that were gone for a while are back.
        results.remove_provisional(self.root)

    def remarks(self, folder: Path) -> Json:
        """What has changed since the result that lies there, too."""
        remarks, before = super().remarks(folder), read_manifest(self.target())
        if before is None:
            return remarks
        return {**remarks, changes.BLOCK: changed_since(self.target(), before, folder, self.clone(Frames).names())}

    def sweep(self) -> None:
        """Anchors and stretches that the plan no longer has, requests, and what was provisional."""
        from stages.formats.requests import settle_requests

        results.sweep_parts(self.root, results.parts_of_plan(self.plan))
        results.remove_provisional(self.root)
        settle_requests(self.root, self.scribbles, keeps_approving=self.approve_anchors)

    # A result of the first version, in which this task refined the anchors itself, holds as long as nothing changes.

    def is_complete(self) -> bool:
        """Whether the published key says what would be made now."""
        return self._has_former_result() or super().is_complete()

    def _has_former_result(self) -> bool:
        return once_a_question(("former", self.task_id), self._look_for_former_result)

    def _look_for_former_result(self) -> bool:
        manifest = self._published()
        if manifest is None or "anchor_frames" not in manifest.key:
            return False
        rests_on: Iterable[PublishedTask] = [*self.anchor_masks(), *self.segments()]
        return all(task.is_up_to_date() for task in rests_on) and manifest.key == self._former_key()

    def _former_key(self) -> Json:
        anchors = self.plan.anchors
        return self._as_recorded(
            {
                "names": self.clone(Frames).names(),
                "anchor_frames": {str(index): self.clone(Frames).digest(index, index) for index in anchors},
                "anchor_masks": {str(task.frame): task.manifest().content for task in self.anchor_masks()},
                "segments": {str(task.folder()): task.manifest().content for task in self.segments()},
                **self._refiner().refinement(),
            }
        )

    def _refiner(self) -> RefineTask:
        task: RefineTask = self.clone(RefineAnchor, frame=0)
        return task
