"""What follows objects from one anchor, run from both and fused: the paper's bidirectional propagation."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.errors import InputError
from stages.core.fusion import agreement, area_between, disagreement, fuse, lost_reason
from stages.core.packed import Packed
from stages.core.soft import to_uint8
from stages.core.states import NOT_ON_ANCHORS, Gone, Source
from stages.core.types import Anchor, Frame, Probability, SegmentFrame, TrackResult
from stages.engines.protocols import Tracker
from stages.engines.segment_frame import segment_frame

_NOTHING_LEFT = "nothing left of the mask"


@dataclass(frozen=True, kw_only=True)
class TrustedResult(TrackResult):
    """A result that also says where on the frame it is to be trusted: fusion then weighs every pixel by itself."""

    trust: Probability
    """(H, W) float32 in [0, 1]."""


def result_of(mask: Probability) -> TrackResult:
    """What an engine says of one object that knows its mask (H, W) alone: the score is its mean probability inside."""
    inside = mask > 0.5
    if not inside.any():
        return TrackResult(np.zeros_like(mask), (0, 0, 0, 0), 0.0, _NOTHING_LEFT)
    left, top, right, bottom = Box.around(inside)
    return TrackResult(mask, (left, top, right, bottom), float(mask[inside].mean()))


class BothWays(ABC):
    """A propagator that follows objects from one anchor at a time, and fuses what comes from both.

    First all goes backward from the anchor after the stretch, then forward from the anchor before it. The backward
    masks wait compressed, so that memory hardly grows with the stretch; the forward masks are fused with them as they
    come. An object that one anchor does not have is carried from the other alone. Soft masks of different objects may
    overlap: they compete in one argmax, later.
    """

    def __init__(self, minimum_score: float | None = 0.1) -> None:
        """Below `minimum_score` a track counts as lost (see `stages.core.fusion.lost_reason`); None judges nothing."""
        self._minimum_score = minimum_score

    @abstractmethod
    def follow(
        self, frames: Sequence[Frame], start: Anchor, others: Sequence[Anchor], stretch: range
    ) -> Iterator[tuple[int, list[TrackResult | None]]]:
        """Follow every object, frame after frame, away from an anchor; None for an object that it does not have.

        Args:
            frames: as `propagate` has them.
            start: the anchor.
            others: what else is known of the same objects, the stretch's other end first.
            stretch: the frames, from the anchor's neighbour on, in either direction of time.
        """

    def propagate(
        self, frames: Sequence[Frame], left: Anchor | None, right: Anchor | None, beyond: Sequence[Anchor] = ()
    ) -> Iterator[SegmentFrame]:
        """Carry the anchors' masks over the frames strictly between them; see `stages.engines.protocols.Propagator`.

        Raises:
            InputError: there is no anchor, or the two differ in the number of objects or the size of the frame.
        """
        object_count, height, width = common_shape(left, right)
        before_px, after_px = (areas_px(anchor, object_count) for anchor in (left, right))
        stretch = stretch_between(len(frames), left, right)

        def results(
            start: Anchor | None, end: Anchor | None, indices: range
        ) -> Iterator[tuple[int, list[TrackResult | None]]]:
            if start is None:
                return ((index, [None] * object_count) for index in indices)
            return self.follow(frames, start, [*filter(None, [end]), *beyond], indices)

        waiting = {
            index: [result and _Waiting(result) for result in each]
            for index, each in results(right, left, stretch[::-1])
        }
        for index, forward in results(left, right, stretch):
            position = position_between(index, left, right)
            objects = []
            for number, backward in enumerate(waiting.pop(index)):
                expected_px = expected_area_px(before_px[number], after_px[number], position)
                one, other = forward[number], backward.unpacked() if backward else None
                objects.append(_join(self._judge(one, expected_px), self._judge(other, expected_px), position))
            masks = _masks(objects, (height, width))
            yield segment_frame(index, masks, objects, [joined.disagreement for joined in objects])

    def _judge(self, result: TrackResult | None, expected_area_px: float) -> TrackResult | None:
        """The result as it is, or emptied, with the reason, if the track is lost on this frame."""
        if result is None:
            return None
        reason = result.reason
        if not reason and self._minimum_score is not None:
            area_px = int(np.count_nonzero(result.probability > 0.5))
            reason = lost_reason(result.score, self._minimum_score, area_px, expected_area_px)
        if not reason:
            return result
        nothing = np.zeros_like(result.probability)
        return TrackResult(nothing, (0, 0, 0, 0), result.score, reason)


class Bidirectional(BothWays):
    """The same made of a tracker: every object is followed by trackers of its own."""

    def __init__(self, make_tracker: Callable[[], Tracker], minimum_score: float | None = 0.1) -> None:
        """`make_tracker` builds a tracker for one object and one direction; for the other one see `BothWays`."""
        super().__init__(minimum_score)
        self._make_tracker = make_tracker

    def follow(
        self, frames: Sequence[Frame], start: Anchor, others: Sequence[Anchor], stretch: range
    ) -> Iterator[tuple[int, list[TrackResult | None]]]:
        """See `BothWays`; a tracker knows the anchor that it starts from."""
        trackers: dict[int, Tracker] = {}
        for number, mask in enumerate(start.masks):
            if (mask > 0.5).any():
                trackers[number] = self._make_tracker()
                trackers[number].start(start.frame, mask)
        for index in stretch:
            results: list[TrackResult | None] = [None] * len(start.masks)
            if trackers:
                frame = frames[index]
                for number, tracker in trackers.items():
                    results[number] = tracker.step(frame)
            yield index, results


class _Waiting:
    """A tracker's result while it waits: its masks packed, as far as they are not 0."""

    def __init__(self, result: TrackResult):
        layers = [result.probability, result.trust] if isinstance(result, TrustedResult) else [result.probability]
        stacked = np.stack(layers)
        self._shape, self._box = stacked.shape, Box.around(to_uint8(stacked.max(axis=0)) > 0)
        self._packed = Packed(stacked[:, *self._box.slices])
        nothing = np.zeros((0, 0), np.float32)
        self._rest = replace(result, probability=nothing)
        if isinstance(self._rest, TrustedResult):
            self._rest = replace(self._rest, trust=nothing)

    def unpacked(self) -> TrackResult:
        """The result, its masks rounded to 1/255."""
        layers = np.zeros(self._shape, np.float32)
        layers[:, *self._box.slices] = self._packed.unpack()
        if isinstance(self._rest, TrustedResult):
            return replace(self._rest, probability=layers[0], trust=layers[1])
        return replace(self._rest, probability=layers[0])


class _Joined(NamedTuple):
    """One object on one frame: both directions, as far as there are any, and what they come to."""

    forward: TrackResult | None
    backward: TrackResult | None
    probability: Probability | None
    score: float = 0.0
    agreement: float = np.nan
    gone: Gone | None = None
    disagreement: NDArray[np.bool_] | None = None


def _join(forward: TrackResult | None, backward: TrackResult | None, position: float) -> _Joined:
    """Fuse two judged directions of one object."""
    seen = {name: result for name, result in (("forward", forward), ("backward", backward)) if result is not None}
    if not seen:
        return _Joined(forward, backward, None, gone=NOT_ON_ANCHORS)
    kept = [result for result in seen.values() if not result.reason]
    if not kept:
        reasons = "; ".join(f"{name}: {result.reason}" for name, result in seen.items())
        return _Joined(forward, backward, None, gone=Gone(Source.LOST, reasons))
    if len(kept) == 1:
        if not (kept[0].probability > 0.5).any():  # a track that nobody judges
            return _Joined(forward, backward, None, gone=Gone(Source.LOST, _NOTHING_LEFT))
        return _Joined(forward, backward, kept[0].probability, kept[0].score)
    one, other = kept
    probability = fuse(one.probability, other.probability, position, _trust(one), _trust(other))
    gone = None if (probability > 0.5).any() else Gone(Source.LOST, "forward and backward exclude each other")
    score = (1 - position) * one.score + position * other.score
    agreed = float(agreement(one.probability[None], other.probability[None])[0])
    differing = disagreement(one.probability, other.probability)
    return _Joined(forward, backward, None if gone else probability, 0.0 if gone else score, agreed, gone, differing)


def _trust(result: TrackResult) -> float | Probability:
    return result.trust if isinstance(result, TrustedResult) else result.score


def _masks(objects: Sequence[_Joined], size_hw: tuple[int, int]) -> Probability:
    masks = np.zeros((len(objects), *size_hw), np.float32)
    for mask, joined in zip(masks, objects, strict=True):
        if joined.probability is not None:
            mask[:] = joined.probability
    return masks


def stretch_between(frame_count: int, left: Anchor | None, right: Anchor | None) -> range:
    """The frames strictly between two anchors; without one, from the video's beginning or to its end."""
    return range(0 if left is None else left.index + 1, frame_count if right is None else right.index)


def position_between(index: int, left: Anchor | None, right: Anchor | None) -> float:
    """Where a frame lies between two anchors, 0 at the left one and 1 at the right one; one half if one is missing."""
    return 0.5 if left is None or right is None else (index - left.index) / (right.index - left.index)


def areas_px(anchor: Anchor | None, object_count: int) -> NDArray[np.intp]:
    """The objects' areas on an anchor, 0 where they are absent: (objects,)."""
    if anchor is None:
        return np.zeros(object_count, np.intp)
    return np.count_nonzero(anchor.masks > 0.5, axis=(1, 2))


def expected_area_px(before_px: float, after_px: float, position: float) -> float:
    """What the anchors that have the object let expect."""
    return area_between(before_px, after_px, position) if before_px and after_px else max(before_px, after_px)


def common_shape(left: Anchor | None, right: Anchor | None) -> tuple[int, int, int]:
    """Objects, height and width."""
    shapes = {anchor.masks.shape for anchor in (left, right) if anchor is not None}
    if not shapes:
        raise InputError("A stretch has no anchor: expected one before it, after it, or both; annotate a frame.")
    if len(shapes) > 1:
        raise InputError(
            f"The anchors {left and left.index} and {right and right.index} hold masks of the shapes "
            f"{' and '.join(map(str, sorted(shapes)))}: expected the same objects, height and width."
        )
    (object_count, height, width), *_ = shapes
    return object_count, height, width
