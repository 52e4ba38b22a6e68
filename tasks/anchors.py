"""From scribbles to masks on the anchor frames."""

from collections.abc import Iterable
from pathlib import Path

import luigi

from stages.core.errors import InputError, LisError
from stages.formats import results
from stages.formats.given_for import check_given_for
from stages.formats.given_masks import read_given, read_seen
from stages.formats.manifest import Json
from stages.formats.scribbles import check_video
from tasks.inputs import Frames, ImportScribbles, Scribbles
from tasks.runtime import options
from tasks.runtime.sequence import EngineTask, ScribbledTask, StageTask
from tasks.runtime.snapshot import GivenMask


class SelectAnchors(ScribbledTask, StageTask):
    """Record which frames are anchors."""

    stage = results.ANCHORS
    stays_warm = True

    def requires(self) -> list[luigi.Task]:
        """Painted strokes count as annotations."""
        return [self.clone(ImportScribbles)]

    def folder(self) -> Path:
        """One per sequence."""
        return Path(results.ANCHORS)

    def uses(self) -> Json:
        """The annotations and the rule."""
        now = self.snapshot
        return {**now.request_terms, "anchors": now.plan.anchors, "annotated": now.annotated}

    def work(self, folder: Path) -> list[int]:
        """Write anchors.json."""
        from stages.formats.anchors_json import write_plan

        write_plan(folder, self.snapshot.plan)
        return list(self.snapshot.scribbles.object_ids)


class AnchorMask(options.AnchorOptions, ScribbledTask, EngineTask):
    """The masks of every object on one anchor frame."""

    frame = luigi.IntParameter(description="frame index of the anchor")
    stage = results.ANCHOR_MASKS
    rank = 3
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

    @property
    def given(self) -> GivenMask | None:
        """The mask that a person gave for the frame, if any: it is the anchor, whatever the strokes."""
        return self.snapshot.given.get(self.frame)

    @property
    def needs_engine(self) -> bool:
        """Not where a person has said it all."""
        try:
            return self.snapshot.needs_segmenter(self.frame)
        except LisError:
            return True  # what is wrong is told when the task runs

    @property
    def is_current(self) -> bool:
        """Whether its masks are there, and are those that a run would make, whatever else it has to merge first."""
        now = self.snapshot
        waits = self.frame in {*now.painted, *now.waiting.drafts}
        return not waits and self.clone(Frames).is_up_to_date() and self.is_complete()

    def uses(self) -> Json:
        """This frame's picture, and its mask, if one was given; else the strokes, what they correct, and the engine."""
        return {**self._said(), **self.engine_key()}

    def _said(self) -> Json:
        picture = {"frame": self.clone(Frames).digest(self.frame, self.frame)}
        if self.given is not None:
            return {**picture, "given": self.given.digest}
        drawn = self.snapshot.scribbles
        said = {**picture, "strokes": drawn.strokes_digest(self.frame)}
        if self.frame in drawn.corrects:
            said |= {"corrects": drawn.corrects[self.frame], "absent": drawn.absent.get(self.frame, ())}
        return said

    def former_keys(self) -> Iterable[Json]:
        """Before engines said which options mean nothing to a network."""
        if self.needs_engine:
            yield self._as_recorded({**self._said(), **self.former_engine_key()})

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
        from stages.steps.segment_anchor import correct_anchor, segment_anchor, take_given

        now = self.snapshot
        frame, scribbles = now.video[self.frame], now.scribbles.frame(self.frame)
        if self.given is not None:
            if scribbles.lines:
                self.note(f"frame {self.frame}: the given mask holds, the strokes on it are kept and not used")
            check_given_for(now.read_from, now.paths.name, now.video, [self.frame])
            name = now.frame_files[self.frame].name
            return take_given(folder, read_given(self.given.path, now.video.size_wh, self.note, frame=name))
        check_video(now.scribble_file, now.scribbles, now.video, [self.frame])
        if self.frame not in now.scribbles.corrects:
            return segment_anchor(folder, frame, scribbles, self.engine())
        digest, absent = now.scribbles.corrects[self.frame], now.scribbles.absent.get(self.frame, ())
        seen = read_seen(now.scribble_file, self.frame, digest, now.video.size_wh)
        segmenter = self.engine() if self.needs_engine else None
        return correct_anchor(folder, frame, scribbles, seen, absent, segmenter)


class SegmentAnchors(options.AnchorOptions, ScribbledTask):
    """The masks on every frame that people have drawn on so far, and nothing that rests on them."""

    def requires(self) -> list[luigi.Task]:
        """One task for each; frames that people were asked for, and that wait, are passed over."""
        return [self.clone(AnchorMask, frame=index) for index in self.plan.annotated]

    def is_complete(self) -> bool:
        """It has no result of its own."""
        return True
