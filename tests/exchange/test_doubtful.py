"""Frames that are left out of an export, and pixels that become unknown in it."""

import math

import numpy as np
import pytest

from stages.core.errors import InputError
from stages.core.states import Source
from stages.exchange.outgoing.doubtful import (
    AUTO_LIMIT,
    auto_max_doubt,
    check_terms,
    count_unknown,
    verdicts,
    with_unknown,
)
from stages.exchange.outgoing.format import UNKNOWN
from stages.exchange.outgoing.soft import SoftFrame
from stages.exchange.outgoing.terms import Terms
from stages.formats.report_data import JudgedFrame

LABELS = np.zeros((12, 20), np.uint8)
LABELS[3:9, 3:9] = 1
LABELS[3:9, 9:15] = 2


def row(frame: int, doubt: float, object_id: int = 1, source: Source = Source.BOTH) -> JudgedFrame:
    quality = {"score": 1.0, "agreement": math.nan, "source": source, "accepted": True, "reason": "", "area_px": 9}
    return JudgedFrame(
        frame=frame, object_id=object_id, **quality, name="", distance=1, area_jump=0.0, doubt=doubt, why="it jumps"
    )


def soft(**values: float) -> SoftFrame:
    """Object 1, certain everywhere but on some pixels `x<column>` of row 0."""
    mask = np.zeros(LABELS.shape, np.float32)
    for name, value in values.items():
        mask[0, int(name[1:])] = value
    return SoftFrame(0, (1,), mask[None])


def test_a_frame_is_left_out_for_its_most_doubtful_object_and_says_why():
    found = verdicts([row(0, 0.1), row(1, 0.1), row(1, 0.5, 2), row(2, 0.2)], 4, 0.2)
    assert [each.is_kept for each in found] == [True, False, True, True]
    assert [each.doubt for each in found] == [0.1, 0.5, 0.2, 0.0]
    assert found[1].why == "object 2: doubt 0.500 > 0.2: it jumps"


def test_frames_of_a_person_are_never_left_out():
    anchor, lost = row(0, 0.9, source=Source.ANCHOR), row(1, 0.9, source=Source.LOST)
    assert [each.is_kept for each in verdicts([anchor, lost], 2, 0.0)] == [True, False]


def test_what_rests_on_a_box_alone_is_left_out_or_unknown_like_what_was_carried():
    beside = row(0, 0.0, 2, Source.ANCHOR)
    assert [each.is_kept for each in verdicts([row(0, 0.6, 1, Source.BOX), beside], 1, 0.3)] == [False]
    assert [each.is_kept for each in verdicts([row(0, 0.6, 1, Source.BOX), beside], 1, 0.7)] == [True]
    unknown = with_unknown(LABELS, [row(0, 0.6, 1, Source.BOX), beside], Terms(unknown_objects=0.3, band=0))
    assert (unknown[LABELS == 1] == UNKNOWN).all() and (unknown[LABELS != 1] == LABELS[LABELS != 1]).all()


def test_without_a_limit_every_frame_is_exported():
    assert all(each.is_kept for each in verdicts([row(0, 1.0)], 2, None))


def test_auto_leaves_out_what_is_doubtful_and_half_at_most():
    assert auto_max_doubt([0.0] * 60 + [0.9] * 40) == AUTO_LIMIT
    much = [0.0] * 40 + [0.5] * 20 + [0.9] * 40
    assert auto_max_doubt(much) == 0.5
    assert auto_max_doubt([0.9, 0.9, 0.9]) == 0.9
    assert auto_max_doubt([]) == AUTO_LIMIT


def test_a_doubtful_object_becomes_unknown_with_its_band_and_the_rest_stays():
    found = with_unknown(LABELS, [row(0, 0.6), row(0, 0.1, 2)], Terms(unknown_objects=0.5, band=2))
    expected = LABELS.copy()
    y, x = np.mgrid[:12, :20]
    away = np.hypot(np.maximum(np.maximum(3 - y, y - 8), 0), np.maximum(np.maximum(3 - x, x - 8), 0))
    expected[away <= 2] = 255
    np.testing.assert_array_equal(found, expected)
    assert count_unknown(found) == np.count_nonzero(away <= 2)


def test_no_object_of_a_person_becomes_unknown():
    found = with_unknown(LABELS, [row(0, 0.6, source=Source.ANCHOR)], Terms(unknown_objects=0.5))
    np.testing.assert_array_equal(found, LABELS)


def test_a_band_lies_on_both_sides_of_every_boundary():
    half = np.zeros((6, 12), np.uint8)
    half[:, 6:] = 3
    for width in (1, 2, 4):
        unknown = with_unknown(half, [], Terms(unknown_band=width)) == 255
        np.testing.assert_array_equal(np.flatnonzero(unknown[2]), np.arange(6 - width, 6 + width))
    assert (with_unknown(LABELS, [], Terms(unknown_band=1))[5, 8:10] == 255).all()  # between two objects, too
    assert not count_unknown(with_unknown(np.full((5, 5), 7, np.uint8), [], Terms(unknown_band=3)))


def test_soft_pixels_near_one_half_are_unknown():
    terms = Terms(unknown_soft=0.2)
    found = with_unknown(LABELS, [], terms, soft(x0=0.29, x1=0.31, x2=0.5, x3=0.69, x4=0.71, x5=1.0))
    np.testing.assert_array_equal(np.flatnonzero(found[0] == 255), [1, 2, 3])
    assert count_unknown(found) == 3


def test_soft_masks_are_enlarged_to_the_labels():
    small = SoftFrame(0, (1,), np.full((1, 6, 10), 0.5, np.float32))
    assert (with_unknown(LABELS, [], Terms(unknown_soft=0.1), small) == 255).all()


def test_pixels_where_both_directions_disagree_are_unknown_whatever_the_label_there():
    differing = np.zeros((2, *LABELS.shape), np.bool_)
    differing[0, 4, 1:5] = differing[1, 11, 19] = True  # outside and inside of object 1; far from object 2
    sure = SoftFrame(0, (1, 2), np.stack([LABELS == 1, LABELS == 2]).astype(np.float32), differing)
    expected = LABELS.copy()
    expected[4, 1:5] = expected[11, 19] = 255
    np.testing.assert_array_equal(with_unknown(LABELS, [], Terms(unknown_soft=0.2), sure), expected)
    np.testing.assert_array_equal(with_unknown(LABELS, [], Terms(unknown_band=0, unknown_objects=1), sure), LABELS)

    large = np.kron(LABELS, np.ones((2, 2), np.uint8))
    twice = np.kron(expected, np.ones((2, 2), np.uint8)) == 255
    found = with_unknown(large, [], Terms(unknown_soft=1e-6), sure) == 255
    np.testing.assert_array_equal(found & twice, twice)
    assert not found[6:18, 14:18].any()  # far from all of it
    nobody = SoftFrame(0, (), np.zeros((0, *LABELS.shape), np.float32), np.zeros((0, *LABELS.shape), np.bool_))
    assert not count_unknown(with_unknown(large, [], Terms(unknown_soft=0.2), nobody))


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(max_doubt=1.5), "--max-doubt 1.5"),
        (Terms(unknown_objects=-0.1), "--unknown-objects -0.1"),
        (Terms(unknown_soft=0.5), "--unknown-soft 0.5"),
        (Terms(unknown_band=-1), "--unknown-band -1"),
    ],
)
def test_limits_without_a_meaning_are_refused(terms: Terms, said: str):
    with pytest.raises(InputError, match=said):
        check_terms(terms)
