"""Strokes that correct masks: whose masks change, what the segmenter is shown, and what is kept whole."""

import numpy as np
import pytest

from stages.core.correction import Correction, correction
from stages.core.drawing import held, rasterise
from stages.core.strokes import FrameScribbles, Line
from stages.core.types import LabelMap

HEIGHT, WIDTH = 60, 100


def line(object_id: int, *points_xy: tuple[int, int]) -> Line:
    return Line(object_id, tuple((x / WIDTH, y / HEIGHT) for x, y in points_xy))


@pytest.fixture
def seen() -> LabelMap:
    """Object 1 to the left, object 2 to the right."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[10:50, 10:40] = 1
    labels[10:50, 60:90] = 2
    return labels


def shown_px(found: Correction, object_id: int) -> np.ndarray:
    lines = tuple(each for each in found.shown.lines if each.object_id == object_id)
    return np.asarray(rasterise(FrameScribbles(lines), (WIDTH, HEIGHT)) == object_id)


def test_a_stroke_changes_its_object_and_keeps_the_others_whole(seen: LabelMap) -> None:
    found = correction(FrameScribbles((line(1, (45, 20), (50, 40)),)), seen)
    assert (found.changed, found.kept) == ((1,), (2,))
    everything = np.ones((len(found.shown.object_ids), HEIGHT, WIDTH), np.float32)
    object_ids, masks = found.outcome(everything)
    assert object_ids == (1, 2)
    assert np.array_equal(masks[1], seen == 2)
    assert np.array_equal(masks[0], seen != 2), "it takes nothing from what is kept"


def test_only_what_a_stroke_touches_is_taken(seen: LabelMap) -> None:
    found = correction(FrameScribbles((line(1, (42, 20), (44, 40)),)), seen)
    segmented = np.stack([seen == 1, seen == 2]).astype(np.float32)
    segmented[0, 15:45, 40:50] = 0.9  # under the stroke
    segmented[0, 0:5, 0:5] = 0.9  # far away
    segmented[0, 10:50, 10:14] = 0.1
    _, masks = found.outcome(segmented)
    expected = seen == 1
    expected[15:45, 40:50] = True
    assert np.array_equal(masks[0] > 0.5, expected)
    assert masks[0, 20, 45] == np.float32(0.9), "softly, where it is new"


def test_present_masks_are_shown_as_strokes_unless_masks_are_heeded(seen: LabelMap) -> None:
    drawn = FrameScribbles((line(1, (45, 20), (50, 40)),))
    for heeds_masks, more in ((False, True), (True, False)):
        found = correction(drawn, seen, heeds_masks=heeds_masks)
        assert found.shown.lines[-1:] == drawn.lines
        assert np.array_equal(found.previous, np.stack([seen == 1, seen == 2]))
        assert (shown_px(found, 1) & (seen == 1)).any() == more
        assert (seen[shown_px(found, 2)] == 2).all() and shown_px(found, 2).any()


def test_a_background_stroke_changes_what_it_crosses_and_nothing_is_shown_beside_it(seen: LabelMap) -> None:
    seen[28:32, 40:60] = 1  # a bridge that does not belong to it
    found = correction(FrameScribbles((line(0, (45, 30), (55, 30)),)), seen)
    assert (found.changed, found.kept) == ((1,), (2,))
    own = shown_px(found, 1)
    assert own[:, :40].any() and not own[:, 45:56].any()


def test_an_object_may_be_new_absent_or_untouched(seen: LabelMap) -> None:
    found = correction(FrameScribbles((line(7, (50, 5)),)), seen, absent=[2])
    assert (found.changed, found.kept) == ((7,), (1,))
    assert not found.previous[found.shown.object_ids.index(7)].any()
    untouched = correction(FrameScribbles(()), seen, absent=[1])
    object_ids, masks = untouched.outcome(untouched.previous)
    assert object_ids == (2,) and np.array_equal(masks[0], seen == 2)


def test_what_strokes_said_holds_pixel_by_pixel(seen: LabelMap) -> None:
    drawn = FrameScribbles((line(1, (5, 30), (95, 30)), line(0, (20, 5), (20, 55)), line(3, (70, 20))))
    labels = held(seen, drawn)
    assert labels.dtype == np.uint8
    assert labels[30, [5, 19, 21, 75, 95]].tolist() == [1] * 5
    assert not labels[5:56, 20].any(), "later lines cover earlier ones"
    assert labels[20, 70] == 3
    untouched = rasterise(drawn, (WIDTH, HEIGHT)) < 0
    assert np.array_equal(labels[untouched], seen[untouched])
    assert np.count_nonzero(~untouched) == 91 + 51 - 1 + 1
