import cv2
import numpy as np
import pytest

from stages.engines.refiners.guided.engine import Guided
from stages.engines.refiners.none.engine import Unrefined

SHAPE = (120, 160)


@pytest.fixture
def truth() -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (x - 80) ** 2 + (y - 60) ** 2 <= 30**2


@pytest.fixture
def frame(truth: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-12, 13, (*SHAPE, 3))
    return np.clip(np.where(truth[..., None], 190, 70) + noise, 0, 255).astype(np.uint8)


def iou(probability: np.ndarray, truth: np.ndarray) -> float:
    return float(((probability > 0.5) & truth).sum() / ((probability > 0.5) | truth).sum())


@pytest.mark.parametrize("operation", [cv2.erode, cv2.dilate])
def test_a_boundary_that_is_off_moves_to_the_edge_in_the_picture(frame, truth, operation):
    coarse = operation(truth.astype(np.float32), np.ones((5, 5), np.uint8))
    refined = Guided().refine(frame, coarse)
    assert iou(coarse, truth) < 0.9
    assert iou(refined, truth) > iou(coarse, truth) + 0.02


def test_a_right_mask_stays_right(frame, truth):
    assert iou(Guided().refine(frame, truth.astype(np.float32)), truth) > 0.99


def test_only_a_band_around_the_boundary_changes(frame, truth):
    coarse = truth.astype(np.float32)
    changed = Guided().refine(frame, coarse) != coarse
    to_boundary = cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 5)
    to_boundary += cv2.distanceTransform(1 - truth.astype(np.uint8), cv2.DIST_L2, 5)
    assert changed.any()
    assert to_boundary[changed].max() < 10


def test_the_result_is_a_probability_and_the_input_is_left_alone(frame, truth):
    coarse = cv2.GaussianBlur(truth.astype(np.float32), (0, 0), 3)
    before = coarse.copy()
    refined = Guided().refine(frame, coarse)
    assert refined.dtype == np.float32
    assert refined.shape == SHAPE
    assert refined.min() >= 0
    assert refined.max() <= 1
    np.testing.assert_array_equal(coarse, before)
    np.testing.assert_array_equal(Guided().refine(frame, coarse), refined)


def test_an_empty_mask_stays_empty(frame):
    assert not Guided().refine(frame, np.zeros(SHAPE, np.float32)).any()


def test_masks_at_the_frame_border_are_refined_too(frame):
    corner = np.zeros(SHAPE, np.float32)
    corner[:30, :30] = 1
    assert Guided().refine(frame, corner).shape == SHAPE
    assert (Guided().refine(frame, np.ones(SHAPE, np.float32)) > 0.5).all()


def test_none_changes_nothing(frame, truth):
    np.testing.assert_array_equal(Unrefined().refine(frame, truth.astype(np.float32)), truth)
