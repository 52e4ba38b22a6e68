"""An engine that works passes, and every way to break it is met by a message that says what is wrong."""

import dataclasses
import random

import numpy as np
import pytest

from stages.core.states import Gone, Source
from stages.core.strokes import Clicks, clicks
from stages.core.types import Direction, SegmentFrame
from stages.testing import PropagatorContract, RefinerContract, SegmenterContract

KEPT: list = []
"""What a broken engine keeps, or has counted, between its calls."""


def complaints(contract, engine) -> str:
    """What all tests of a contract say of an engine."""
    KEPT.clear()
    tried = type("Tried", (contract,), {"engine": lambda self: engine()})
    said = []
    for name in (name for name in dir(tried) if name.startswith("test_")):
        try:
            getattr(tried(), name)()
        except Exception as error:
            said.append(f"{name}: {type(error).__name__}: {error}")
    return "\n".join(said)


def writeable(array: np.ndarray) -> np.ndarray:
    """What a library that does not ask makes of an array."""
    array.setflags(write=True)
    return array


def count() -> int:
    KEPT.append(1)
    return len(KEPT)


# ---------------------------------------------------------------------------------------------- propagators


class Nearest:
    """Masks stay what they are on the nearest anchor that has the object."""

    def propagate(self, frames, left, right, beyond=()):
        for index in self.stretch(frames, left, right):
            yield self.change(self.frame(frames, index, left, right))

    def stretch(self, frames, left, right):
        return range(0 if left is None else left.index + 1, len(frames) if right is None else right.index)

    def frame(self, frames, index, left, right):
        anchors = sorted((each for each in (left, right) if each), key=lambda each: -abs(each.index - index))
        masks = np.zeros_like(anchors[0].masks)
        for anchor in anchors:
            for mask, known in zip(masks, anchor.masks, strict=True):
                if (known > 0.5).any():
                    mask[:] = known
        there = masks.any(axis=(1, 2))
        agreement = [1 if all((each.masks[i] > 0.5).any() for each in anchors) else np.nan for i in range(len(masks))]
        agreement = np.array(agreement if len(anchors) == 2 else [np.nan] * len(masks), np.float32)
        direction = Direction(np.zeros((len(masks), 4), np.float32), there.astype(np.float32))
        gone = tuple(None if each else Gone(Source.ABSENT) for each in there)
        nowhere = np.zeros(masks.shape, np.bool_)
        return SegmentFrame(index, masks, there.astype(np.float32), agreement, gone, {"forward": direction}, nowhere)

    def change(self, result):
        return result


def altered(**changes):
    """The engine, whose results have another value in some fields; each is a function of the result."""

    class Altered(Nearest):
        def change(self, result):
            return dataclasses.replace(result, **{name: made(result) for name, made in changes.items()})

    return Altered


def direction(**changes):
    """The engine, whose direction has other values."""
    return altered(
        directions=lambda result: {
            name: dataclasses.replace(each, **{field: made(each) for field, made in changes.items()})
            for name, each in result.directions.items()
        }
    )


class ReadsAll(Nearest):
    def frame(self, frames, index, left, right):
        frames[0]
        return super().frame(frames, index, left, right)


class ReadsSlices(Nearest):
    def frame(self, frames, index, left, right):
        frames[index : index + 1]
        return super().frame(frames, index, left, right)


class KeepsFrames(Nearest):
    def frame(self, frames, index, left, right):
        KEPT.append(frames[index][:4])  # the view holds the whole frame
        return super().frame(frames, index, left, right)


class Writes(Nearest):
    def frame(self, frames, index, left, right):
        writeable((left or right).masks)[:] *= np.float32(0.9)
        return super().frame(frames, index, left, right)


class WritesFrames(Nearest):
    def frame(self, frames, index, left, right):
        writeable((left or right).frame)[0, 0] += 1
        return super().frame(frames, index, left, right)


class Reuses(Nearest):
    """Every result lies in the same memory."""

    def propagate(self, frames, left, right, beyond=()):
        memory = None
        for result in super().propagate(frames, left, right):
            memory = result.probability if memory is None else memory
            memory[:] = result.probability * np.float32(1 - 0.01 * result.index)
            yield dataclasses.replace(result, probability=memory)


class GivesAList(Nearest):
    def propagate(self, *arguments):
        return list(super().propagate(*arguments))


class Backwards(Nearest):
    def stretch(self, *arguments):
        return reversed(super().stretch(*arguments))


class IncludesAnchors(Nearest):
    def stretch(self, frames, left, right):
        return range(left.index if left else 0, right.index + 1 if right else len(frames))


class KnowsTwoAnchorsOnly(Nearest):
    def propagate(self, frames, left, right):
        return super().propagate(frames, left, right)


class NeedsBoth(Nearest):
    def frame(self, frames, index, left, right):
        return super().frame(frames, index, left._replace(), right._replace())


class NeedsAFirstFrame(Nearest):
    def propagate(self, frames, left, right, beyond=()):
        results = super().propagate(frames, left, right)
        yield next(results)
        yield from results


class DiffersFromItsLike(Nearest):
    def __init__(self):
        self._share = np.float32(1 / count())

    def change(self, result):
        return dataclasses.replace(result, score=result.score * self._share)


class SharesItsState(Nearest):
    """A stretch that is not run to the end spoils the next one."""

    def propagate(self, frames, left, right, beyond=()):
        spoilt = len(KEPT) > 0
        KEPT.append(1)
        for result in super().propagate(frames, left, right):
            yield dataclasses.replace(result, score=result.score * np.float32(0.5)) if spoilt else result
        KEPT.clear()


def emptied(gone):
    """The masks of the frame are emptied."""
    return altered(probability=lambda result: 0 * result.probability, gone=gone)


PROPAGATORS = [
    (altered(probability=lambda r: r.probability.astype(float)), "found float64, expected float32"),
    (altered(probability=lambda r: r.probability.swapaxes(1, 2)), "found the shape (1, 64, 48), expected (1, 48, 64)"),
    (altered(probability=lambda r: r.probability[:1]), "expected (2, 48, 64)"),
    (altered(probability=lambda r: r.probability * np.float32(1.01)), "expected them in [0, 1]"),
    (altered(probability=lambda r: r.probability - np.float32(0.01)), "found values from -0.01"),
    (
        altered(probability=lambda r: np.where(r.probability > 0.5, np.float32(np.nan), r.probability)),
        "not all values are",
    ),
    (altered(probability=lambda r: r.probability.tolist()), "found list, expected a numpy array"),
    (altered(probability=lambda r: np.clip(r.probability + random.random(), 0, 1).astype(np.float32)), "same bytes"),
    (altered(score=lambda r: r.score * np.float32(2)), "score: found values from"),
    (altered(score=lambda r: r.score / np.float32(count())), "the same engine, after another video"),
    (DiffersFromItsLike, "another engine of the kind"),
    (altered(score=lambda r: float(r.score[0])), "score: found float"),
    (altered(agreement=lambda r: r.agreement * np.float32(1.5)), "agreement: found values"),
    (altered(agreement=lambda r: np.ones_like(r.agreement)), "expected NaN, since only one anchor has them"),
    (altered(agreement=lambda r: r.agreement[:1]), "agreement: found the shape (1,), expected (2,)"),
    (altered(disagreement=lambda r: r.probability), "disagreement: found float32, expected bool"),
    (altered(disagreement=lambda r: r.disagreement[0]), "disagreement: found the shape (48, 64), expected (1, 48, 64)"),
    (altered(disagreement=lambda r: r.disagreement.tolist()), "disagreement: found list"),
    (altered(disagreement=lambda r: r.probability > 0.5), "whose agreement is NaN, expected none"),
    (altered(disagreement=lambda r: ~r.disagreement), "found 3072 pixels of object 0, whose agreement is 1.000"),
    (altered(agreement=lambda r: r.agreement * np.float32(0.4)), "found no pixel of object 0, whose agreement is 0.4"),
    (altered(disagreement=lambda r: r.disagreement if count() % 7 else None), "found disagreement once, and once None"),
    (altered(gone=lambda r: (None,) * len(r.gone)), "and gone does not say why"),
    (altered(gone=lambda r: (Gone(Source.LOST, "why"),) * len(r.gone)), "pixels of the mask are not 0"),
    (altered(gone=lambda r: list(r.gone)), "expected a tuple with one entry"),
    (altered(gone=lambda r: r.gone[:1]), "for each of 2 objects"),
    (altered(gone=lambda r: tuple(each and each.source for each in r.gone)), "expected None or a Gone"),
    (emptied(lambda r: (None,) * len(r.gone)), "and gone does not say why"),
    (emptied(lambda r: (Gone(Source.ABSENT),) * len(r.gone)), "gone.detail does not say why"),
    (emptied(lambda r: (Gone(Source.LOST, "why"),) * len(r.gone)), "expected <Source.ABSENT: 'absent'>"),
    (emptied(lambda r: (Gone(Source.BOTH, "why"),) * len(r.gone)), "expected absent or lost"),
    (emptied(lambda r: (Gone(Source.LOST),) * len(r.gone)), "gone.detail does not say why"),
    (altered(directions=lambda r: {"sideways": r.directions["forward"]}), "expected forward or backward"),
    (altered(directions=lambda r: r.directions if r.index % 2 else {}), "on the first frame"),
    (direction(score=lambda d: d.score + 1), "forward, score: found values"),
    (direction(box_xyxy=lambda d: d.box_xyxy[:, :3]), "box_xyxy: found the shape"),
    (direction(box_xyxy=lambda d: d.box_xyxy + np.array([3, 0, 2, 0], np.float32)), "a right or bottom lies before"),
    (direction(box_xyxy=lambda d: d.box_xyxy + np.float32(np.inf)), "not all values are finite"),
    (altered(index=lambda r: r.index + 1), "found the frames"),
    (Backwards, "found the frames [5, 4, 3], expected [3, 4, 5]"),
    (IncludesAnchors, "expected [3, 4, 5]"),
    (ReadsAll, "frame 0 was read; allowed are those of the stretch and its anchors"),
    (ReadsSlices, "were read at once"),
    (KeepsFrames, "were kept in memory at once, expected at most 8"),
    (Writes, "written into its input: masks of anchor"),
    (WritesFrames, "written into its input: frame of anchor"),
    (Reuses, "was overwritten when a later frame was made"),
    (GivesAList, "propagate gave list, expected an iterator"),
    (KnowsTwoAnchorsOnly, "test_further_anchors_are_taken: TypeError"),
    (NeedsBoth, "test_from_the_left_to_the_end: AttributeError"),
    (NeedsAFirstFrame, "test_stretches_of_one_frame_and_of_none: RuntimeError"),
    (SharesItsState, "after an abandoned stretch"),
]


@pytest.mark.parametrize(("engine", "message"), PROPAGATORS, ids=range(len(PROPAGATORS)))
def test_a_broken_propagator_is_told_what_is_wrong(engine, message):
    said = complaints(PropagatorContract, engine)
    assert message in said, said


# ---------------------------------------------------------------------------------------------- segmenters


class Threshold:
    """Every object is what is nearer to its line than to the others, and not dark."""

    def segment(self, frame, scribbles, previous=None):
        height, width = frame.shape[:2]
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        masks = []
        for object_id in self.order(scribbles):
            points = np.array([p for line in scribbles.lines if line.object_id == object_id for p in line.path])
            x, y = points.mean(axis=0) * (width, height)
            near = np.hypot(columns - x, rows - y) < min(height, width) / 3
            masks.append(near * (frame.mean(axis=2) / 255))
        return self.change(np.array(masks, np.float32).reshape(-1, height, width))

    def order(self, scribbles):
        return scribbles.object_ids

    def change(self, masks):
        return masks

    def clicks_used(self, scribbles, size_wh):
        return {each: clicks(scribbles, each, size_wh) for each in scribbles.object_ids}


def changed(base, change):
    return type("Changed", (base,), {"change": lambda self, masks: change(masks)})


class InOrderOfDrawing(Threshold):
    def order(self, scribbles):
        return list(dict.fromkeys(line.object_id for line in scribbles.lines if line.object_id))


class AnEntryForEveryId(Threshold):
    def order(self, scribbles):
        return [
            min(scribbles.object_ids, key=lambda known: abs(known - each))
            for each in range(1, max(scribbles.object_ids) + 1)
        ]


class CountsTheBackground(Threshold):
    def order(self, scribbles):
        return sorted({line.object_id for line in scribbles.lines})


class NeedsALine(Threshold):
    def segment(self, frame, scribbles, previous=None):
        return np.stack(super().segment(frame, scribbles))


class NeedsALength(Threshold):
    def segment(self, frame, scribbles, previous=None):
        assert all(len(line.path) > 1 for line in scribbles.lines), "a line of one point"
        return super().segment(frame, scribbles)


class ShiftsByWidth(Threshold):
    """The last column of an odd width is lost."""

    def segment(self, frame, scribbles, previous=None):
        return super().segment(frame[:, : frame.shape[1] // 2 * 2], scribbles)


class Divides(Threshold):
    def segment(self, frame, scribbles, previous=None):
        with np.errstate(all="ignore"):
            spread = np.float32(frame.std())
            return np.clip(super().segment(frame, scribbles) * (spread / spread), 0, 1)


class KnowsNoPrevious(Threshold):
    def segment(self, frame, scribbles):
        return super().segment(frame, scribbles)


class TakesWhatItIsGiven(Threshold):
    def segment(self, frame, scribbles, previous=None):
        masks = super().segment(frame, scribbles)
        return masks if previous is None else masks + previous


class WritesPrevious(Threshold):
    def segment(self, frame, scribbles, previous=None):
        if previous is not None:
            writeable(previous)[:] = 0.5
        return super().segment(frame, scribbles)


class PaintsOnTheFrame(Threshold):
    def segment(self, frame, scribbles, previous=None):
        if frame.base is None:
            writeable(frame)[0, 0] ^= 1
        return super().segment(frame, scribbles)


class DividesAmongObjects(Threshold):
    """What is background to one object is not what another one takes."""

    def segment(self, frame, scribbles, previous=None):
        return super().segment(frame, scribbles) / np.float32(max(1, len(scribbles.object_ids)))


class TakesContiguousFrames(Threshold):
    def segment(self, frame, scribbles, previous=None):
        assert frame.flags.c_contiguous, "strides"
        return super().segment(frame, scribbles)


class LooksAtMemory(Threshold):
    def segment(self, frame, scribbles, previous=None):
        masks = super().segment(frame, scribbles)
        return masks if frame.flags.c_contiguous else masks * np.float32(0.5)


class ClicksBeside(Threshold):
    def clicks_used(self, scribbles, size_wh):
        return {
            each: Clicks(c.positive_yx + 60, c.negative_yx)
            for each, c in super().clicks_used(scribbles, size_wh).items()
        }


class NoClicks(Threshold):
    def clicks_used(self, scribbles, size_wh):
        return {
            each: Clicks(c.positive_yx[:0], c.negative_yx)
            for each, c in super().clicks_used(scribbles, size_wh).items()
        }


class ClicksOfNobody(Threshold):
    def clicks_used(self, scribbles, size_wh):
        return {}


SEGMENTERS = [
    (changed(Threshold, lambda masks: masks.astype(np.float64)), "found float64, expected float32"),
    (changed(Threshold, lambda masks: masks[0]), "expected (1, 48, 64)"),
    (changed(Threshold, lambda masks: masks * np.float32(1.5)), "expected them in [0, 1]"),
    (changed(Threshold, lambda masks: masks * np.float32(random.random())), "the same engine, after another frame"),
    (changed(Threshold, lambda masks: masks / np.float32(count())), "the same engine, after another frame"),
    (InOrderOfDrawing, "expected masks in the order of scribbles.object_ids"),
    (AnEntryForEveryId, "found the shape (200, 48, 64), expected (2, 48, 64)"),
    (CountsTheBackground, "found the shape (2, 48, 64), expected (1, 48, 64)"),
    (NeedsALine, "test_without_a_line_there_is_no_mask: ValueError"),
    (NeedsALength, "test_dots: AssertionError: a line of one point"),
    (ShiftsByWidth, "a frame of 57x33: found the shape (1, 33, 56), expected (1, 33, 57)"),
    (Divides, "a frame that is all 0: not all values are finite"),
    (KnowsNoPrevious, "test_previous_masks_are_taken: TypeError"),
    (TakesWhatItIsGiven, "previous masks: found values"),
    (WritesPrevious, "written into its input: previous"),
    (PaintsOnTheFrame, "written into its input: frame"),
    (DividesAmongObjects, "object 1, the strokes of the other one called background: expected the same bytes"),
    (TakesContiguousFrames, "test_a_view_of_a_larger_array_gives_the_same_bytes: AssertionError: strides"),
    (LooksAtMemory, "a frame that is not contiguous: expected the same bytes"),
    (ClicksBeside, "positive clicks of object 1: expected rows and columns inside 64x48"),
    (NoClicks, "object 1 has a line, and no positive click"),
    (ClicksOfNobody, "clicks_used: found the objects [], expected [1, 2]"),
]


@pytest.mark.parametrize(("engine", "message"), SEGMENTERS, ids=range(len(SEGMENTERS)))
def test_a_broken_segmenter_is_told_what_is_wrong(engine, message):
    said = complaints(SegmenterContract, engine)
    assert message in said, said


# ---------------------------------------------------------------------------------------------- refiners


class Softens:
    """Masks become a little fainter where the picture is dark."""

    def refine(self, frame, probability):
        return self.change(
            probability * (np.float32(0.9) + np.float32(0.1) * (frame.mean(axis=2) / 255).astype(np.float32))
        )

    def change(self, mask):
        return mask


class LooksAtThePicture(Softens):
    def refine(self, frame, probability):
        return np.maximum(super().refine(frame, probability), frame[..., 0] > 200).astype(np.float32)


class NeedsABox(Softens):
    def refine(self, frame, probability):
        rows = np.flatnonzero((probability > 0.5).any(axis=1))
        return super().refine(frame, probability) * np.float32(rows[0] >= 0)


class NeedsTheOutside(Softens):
    """Divides by what is left of the frame."""

    def refine(self, frame, probability):
        with np.errstate(all="ignore"):
            outside = np.float32((probability < 0.5).mean())
            return super().refine(frame, probability) * (outside / outside)


class NeedsRoom(Softens):
    def refine(self, frame, probability):
        assert not probability[-1].any(), "at the border"
        return super().refine(frame, probability)


class NeedsTwoPixels(Softens):
    def refine(self, frame, probability):
        assert np.count_nonzero(probability) != 1, "a single pixel"
        return super().refine(frame, probability)


class MultiplesOfFour(Softens):
    def refine(self, frame, probability):
        height, width = (side // 4 * 4 for side in probability.shape)
        return super().refine(frame[:height, :width], probability[:height, :width])


class WritesTheMask(Softens):
    def refine(self, frame, probability):
        if probability.base is None:
            writeable(probability)[0, 0] = 1
        return super().refine(frame, probability)


class AddsAChannel(Softens):
    def refine(self, frame, probability):
        return super().refine(frame, probability)[None]


class TakesRows(Softens):
    def refine(self, frame, probability):
        assert min(frame.strides) > 0, "negative strides"
        return super().refine(frame, probability)


class ReadsTheBuffer(Softens):
    """Takes the bytes of a mask as they lie."""

    def refine(self, frame, probability):
        return super().refine(frame, probability.ravel("K").reshape(probability.shape))


REFINERS = [
    (changed(Softens, lambda mask: mask > 0.5), "found bool, expected float32"),
    (changed(Softens, lambda mask: (255 * mask).astype(np.uint8)), "found uint8, expected float32"),
    (changed(Softens, lambda mask: mask * np.float32(1.2)), "expected them in [0, 1]"),
    (changed(Softens, lambda mask: mask * np.float32(random.random())), "the same engine, after another frame"),
    (changed(Softens, lambda mask: mask / np.float32(count())), "the same engine, after another frame"),
    (changed(Softens, lambda mask: mask.tolist()), "found list, expected a numpy array"),
    (LooksAtThePicture, "an empty mask did not stay empty"),
    (NeedsABox, "test_an_empty_mask_stays_empty: IndexError"),
    (NeedsABox, "test_faint_masks: IndexError"),
    (NeedsTheOutside, "a mask that fills the frame: not all values are finite"),
    (NeedsRoom, "test_masks_at_the_border: AssertionError: at the border"),
    (NeedsTwoPixels, "test_tiny_masks: AssertionError: a single pixel"),
    (MultiplesOfFour, "a frame of 57x33: found the shape (32, 56), expected (33, 57)"),
    (WritesTheMask, "written into its input: probability"),
    (AddsAChannel, "found the shape (1, 48, 64), expected (48, 64)"),
    (TakesRows, "test_views_of_larger_arrays_give_the_same_bytes: AssertionError: negative strides"),
    (ReadsTheBuffer, "arrays that lie in memory as"),
]


@pytest.mark.parametrize(("engine", "message"), REFINERS, ids=range(len(REFINERS)))
def test_a_broken_refiner_is_told_what_is_wrong(engine, message):
    said = complaints(RefinerContract, engine)
    assert message in said, said


# ---------------------------------------------------------------------------------------------- those that work


@pytest.mark.parametrize(
    ("contract", "engine"),
    [(PropagatorContract, Nearest), (SegmenterContract, Threshold), (RefinerContract, Softens)],
    ids=lambda each: each.__name__,
)
def test_a_working_engine_passes(contract, engine):
    assert complaints(contract, engine) == ""


@pytest.mark.parametrize("contract", [PropagatorContract, SegmenterContract, RefinerContract])
def test_a_contract_without_an_engine_says_what_to_do(contract):
    with pytest.raises(NotImplementedError, match="define engine"):
        contract().engine()
