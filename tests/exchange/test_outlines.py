import sys

import numpy as np
import pytest
import shapely
from scipy import ndimage

from stages.core.errors import InputError
from stages.exchange.encodings import outlines


def _speckled(seed, smooth=1.5, size=(60, 80), share=0.35):
    """A generated mask with many parts, holes, and pixels that touch at corners only."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(size), smooth)
    return noise > np.quantile(noise, 1 - share)


def _filled(rings, mask):
    pixels = np.zeros(mask.shape, bool)
    for ring in rings:
        pixels |= outlines.filled(ring, (mask.shape[1], mask.shape[0]))
    return pixels


def _iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_an_outline_runs_along_the_edges_of_pixels_without_a_needless_point():
    mask = np.array([[0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 1, 0], [0, 1, 1, 0, 1, 1], [0, 0, 0, 0, 0, 1]], bool)
    first, second = outlines.rings(mask)
    assert first.tolist() == [[1, 0], [3, 0], [3, 3], [1, 3]]
    assert second.tolist() == [[4, 1], [5, 1], [5, 2], [6, 2], [6, 4], [5, 4], [5, 3], [4, 3]]


@pytest.mark.parametrize("smooth", [0.0, 1.5, 4.0])
def test_rings_filled_again_are_the_mask_in_every_pixel_holes_and_corners_included(smooth):
    mask = _speckled(1, smooth)
    parts = outlines.parts(mask)
    assert sum(len(part.holes) for part in parts) > 0, "the mask has holes"
    assert np.array_equal(_filled([outlines.bridged(part) for part in parts], mask), mask)


def test_a_hole_within_a_part_within_a_hole_and_the_whole_picture():
    mask = np.ones((30, 40), bool)
    assert outlines.rings(mask)[0].tolist() == [[0, 0], [40, 0], [40, 30], [0, 30]]
    mask[3:27, 3:37] = False
    mask[6:24, 6:34] = True
    mask[9:12, 9:12] = mask[15:18, 20:30] = False
    outer, inner = outlines.parts(mask)
    assert (len(outer.holes), len(inner.holes)) == (1, 2)
    assert np.array_equal(_filled(outlines.rings(mask), mask), mask)
    assert outlines.rings(np.zeros((5, 5), bool)) == []


def test_half_a_pixel_of_tolerance_costs_little():
    for seed in range(4):
        mask = _speckled(seed, smooth=6.0)
        assert mask.sum() > 300
        assert _iou(_filled(outlines.rings(mask, 0.5), mask), mask) >= 0.995


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.0])
def test_neighbours_simplified_together_leave_no_gap_and_do_not_overlap(tolerance):
    noise = ndimage.gaussian_filter(np.random.default_rng(3).standard_normal((60, 80)), 6)
    labels = np.digitize(noise, np.quantile(noise, [0.3, 0.6, 0.8])).astype(np.uint8) + 1
    found = outlines.parts_together(labels, [1, 2, 3, 4, 9], tolerance)
    assert found[9] == []
    claims = sum(_filled([outlines.bridged(part) for part in found[k]], labels > 0).astype(int) for k in (1, 2, 3, 4))
    assert (claims == 1).all(), "every pixel belongs to one object"
    if tolerance == 0:
        for object_id in (1, 2, 3, 4):
            rings = [outlines.bridged(part) for part in found[object_id]]
            assert np.array_equal(_filled(rings, labels > 0), labels == object_id)


def test_neighbours_share_the_points_of_their_borders_also_where_two_meet_at_the_straight_side_of_a_third():
    y, x = np.indices((40, 60))
    labels = np.where(y >= 20, 1, np.where(x < 20 + y, 2, 3))
    exact = [outlines.exact_outline(labels == each) for each in (1, 2, 3)]
    assert not shapely.coverage_is_valid(exact)
    assert shapely.coverage_is_valid(outlines.edge_matched(exact))


def test_a_bridge_is_the_shortest_way_between_points():
    mask = np.zeros((30, 30), bool)
    mask[5:25, 5:25] = True
    mask[20:22, 21:23] = False
    (ring,) = outlines.rings(mask)
    length = np.abs(np.roll(ring, -1, axis=0) - ring)
    assert np.hypot(*length.T).sum() == pytest.approx(4 * 20 + 4 * 2 + 2 * np.hypot(2, 3))


def test_a_ring_far_beyond_the_picture_is_cut_by_it_and_no_corner_moves():
    y, x = np.mgrid[:48, :64] + 0.5
    diamond = np.array([[-1e12, 24], [32, -30], [1e12, 24], [32, 78]])
    assert outlines.filled(diamond, (64, 48)).all(), "a corner at 10^12 costs neither time nor memory"
    slanted = np.array([[-18, 6], [30, -14], [52, 20], [24, 43]], float)
    inside = np.ones((48, 64), bool)
    for (x0, y0), (x1, y1) in zip(slanted, np.roll(slanted, -1, axis=0), strict=True):
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0
    assert _iou(outlines.filled(slanted, (64, 48)), inside) > 0.99
    assert not outlines.filled(slanted + 1000, (64, 48)).any()


def test_points_that_repeat_change_nothing():
    square = np.array([[2, 2], [9, 2], [9, 2], [9, 8], [2, 8], [2, 2]], float)
    expected = np.zeros((12, 12), bool)
    expected[2:8, 2:9] = True
    assert np.array_equal(outlines.filled(square, (12, 12)), expected)


def test_a_library_that_is_missing_is_one_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "shapely", None)
    with pytest.raises(InputError, match=r"no library 'shapely'.*pip install 'lis\[export\]'"):
        outlines.rings(np.ones((2, 2), bool))
