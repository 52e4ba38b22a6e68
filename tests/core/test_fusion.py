import numpy as np
import pytest

from stages.core.errors import InputError
from stages.core.fusion import LARGEST_AREA_FACTOR, agreement, area_between, disagreement, fuse, label_map, lost_reason
from stages.core.guard import guard, without_foreign_parts


def square(left: int, side: int = 10, size: int = 40) -> np.ndarray:
    mask = np.zeros((size, size), np.float32)
    mask[10 : 10 + side, left : left + side] = 1
    return mask


def test_the_nearer_anchor_decides_where_both_are_trusted_alike():
    forward, backward = square(5), square(25)
    np.testing.assert_array_equal(fuse(forward, backward, 0.2, 0.7, 0.7) > 0.5, forward > 0.5)
    np.testing.assert_array_equal(fuse(forward, backward, 0.8, 0.7, 0.7) > 0.5, backward > 0.5)


def test_fusion_is_the_documented_weighted_mean():
    forward, backward = np.full((2, 2), 0.9, np.float32), np.full((2, 2), 0.3, np.float32)
    one, other = 0.75 * (0.4 + 0.1), 0.25 * (0.8 + 0.1)
    fused = fuse(forward, backward, 0.25, 0.4, 0.8)
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused, (one * 0.9 + other * 0.3) / (one + other), rtol=1e-6)


def test_trust_decides_pixel_by_pixel():
    forward, backward = np.ones((4, 8), np.float32), np.zeros((4, 8), np.float32)
    left_half = np.zeros((4, 8), np.float32)
    left_half[:, :4] = 1
    fused = fuse(forward, backward, 0.5, left_half, 1 - left_half)
    assert (fused[:, :4] > 0.5).all()
    assert (fused[:, 4:] < 0.5).all()


def test_without_any_trust_the_distance_still_decides():
    assert fuse(square(5), square(25), 0.1, 0.0, 0.0)[12, 7] > 0.5


def test_agreement_is_the_overlap_and_says_nothing_about_two_empty_masks():
    empty = np.zeros((40, 40), np.float32)
    forward, backward = (
        np.stack([square(5), square(5), empty, empty]),
        np.stack([square(5), square(10), square(5), empty]),
    )
    np.testing.assert_allclose(agreement(forward, backward), [1, 1 / 3, 0, np.nan], rtol=1e-6)
    assert agreement(forward[:0], backward[:0]).shape == (0,)


def test_directions_disagree_where_one_of_both_masks_is():
    forward = np.array([0.5, 0.51, 0.2, 0.9], np.float32)
    backward = np.array([0.51, 0.99, 0.4, 0.5], np.float32)
    np.testing.assert_array_equal(disagreement(forward, backward), [True, False, False, True])


def test_expected_area_grows_by_factors():
    assert area_between(100, 400, 0.5) == pytest.approx(200)
    assert area_between(100, 400, 0) == pytest.approx(100)


def test_a_track_is_lost_by_score_by_area_and_by_vanishing():
    assert lost_reason(0.9, 0.1, 1000, 1000) == ""
    assert "score 0.05 below 0.10" in lost_reason(0.05, 0.1, 1000, 1000)
    assert "area" in lost_reason(0.9, 0.1, 1000 * LARGEST_AREA_FACTOR * 1.01, 1000)
    assert "area" in lost_reason(0.9, 0.1, 1000 / LARGEST_AREA_FACTOR / 1.01, 1000)
    assert "nothing left" in lost_reason(0.9, 0.1, 0, 1000)


def test_label_map_keeps_ids_and_needs_more_than_the_background_level():
    probability = np.array([[[0.9, 0.6, 0.5, 0.1, 0.8]], [[0.2, 0.7, 0.4, 0.1, 0.8]]], np.float32)
    labels = label_map(probability, [3, 17])
    assert labels.dtype == np.uint8
    # The fourth and third pixels do not exceed one half; of equals the first object wins.
    np.testing.assert_array_equal(labels, [[3, 17, 0, 0, 3]])
    np.testing.assert_array_equal(label_map(probability, [3, 17], background_level=0.75), [[3, 0, 0, 0, 3]])


def test_label_map_of_no_objects_is_background():
    labels = label_map(np.zeros((0, 4, 5), np.float32), [])
    assert labels.shape == (4, 5)
    assert not labels.any()


def test_guard_accepts_small_moves_and_rejects_large_ones():
    before = square(10)
    assert guard(before, square(11), 0.7, (0.5, 2)).accepted
    moved = guard(before, square(16), 0.7, (0.5, 2))
    assert not moved.accepted
    assert moved.reason == "IoU 0.25 below 0.70"
    grown = guard(before, square(10, side=16), 0.1, (0.5, 2))
    assert not grown.accepted
    assert grown.reason == "area x 2.56, allowed 0.50 to 2.00"


def test_guard_does_not_let_a_mask_vanish_or_appear():
    empty = np.zeros((40, 40), np.float32)
    assert not guard(square(10), empty, 0.0, (0.5, 2)).accepted
    assert not guard(empty, square(10), 0.0, (0.5, 2)).accepted
    assert guard(empty, empty, 0.7, (0.5, 2)).accepted


def test_guard_refuses_another_size():
    with pytest.raises(InputError, match=r"\(20, 20\).*\(40, 40\)"):
        guard(square(10), np.zeros((20, 20), np.float32), 0.7, (0.5, 2))


def test_a_part_that_a_refiner_finds_where_the_mask_knows_nothing_goes_and_the_rest_stays():
    before = np.zeros((60, 90), np.float32)
    before[20:40, 20:40] = 0.9
    before[20:40, 60:80] = 0.05  # weak evidence for a part that is missing
    after = np.zeros_like(before)
    after[18:42, 20:40] = 0.8  # the boundary moves
    after[29:31, 40:60] = 0.8  # a thin arm,
    after[20:40, 60:80] = 0.8  # which what it leads to bears out
    after[25:35, 5:20] = 0.7  # a stone that the object leans on
    wanted = after.copy()
    wanted[25:35, 5:20] = 0
    np.testing.assert_array_equal(without_foreign_parts(before, after), wanted)


def test_a_hard_mask_may_grow_as_far_as_boundaries_move_and_shrink_at_will():
    before = square(10)
    for after in (square(9, side=12), square(12, side=4), np.zeros_like(before)):
        np.testing.assert_array_equal(without_foreign_parts(before, after), after)
