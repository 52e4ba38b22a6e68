import cv2
import numpy as np
import pytest

from stages.core.strokes import FrameScribbles, Line
from stages.engines.segmenters.grabcut.engine import GrabCut

HEIGHT, WIDTH = 120, 200


def disc(x: float, y: float, radius_px: float) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius_px**2


def stroke(object_id: int, *points_xy: tuple[float, float]) -> Line:
    return Line(object_id, tuple((x / WIDTH, y / HEIGHT) for x, y in points_xy))


def iou(probability: np.ndarray, truth: np.ndarray) -> float:
    return float(((probability > 0.5) & truth).sum() / ((probability > 0.5) | truth).sum())


ONE, OTHER = disc(60, 60, 24), disc(140, 60, 24)


@pytest.fixture
def frame() -> np.ndarray:
    """A red and a blue disc on grey."""
    picture = np.full((HEIGHT, WIDTH, 3), 110)
    picture[ONE], picture[OTHER] = (200, 60, 50), (50, 70, 200)
    return np.clip(picture + np.random.default_rng(0).integers(-15, 16, picture.shape), 0, 255).astype(np.uint8)


def test_a_stroke_finds_its_object(frame):
    (probability,) = GrabCut().segment(frame, FrameScribbles((stroke(1, (45, 60), (75, 60)),)))
    assert probability.dtype == np.float32
    assert probability.shape == (HEIGHT, WIDTH)
    assert probability.min() >= 0
    assert probability.max() <= 1
    assert iou(probability, ONE) > 0.95
    soft = (probability > 0.1) & (probability < 0.9)
    assert soft.any()
    boundary = cv2.morphologyEx(ONE.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((9, 9), np.uint8)) > 0
    assert (soft & boundary).sum() > 0.9 * soft.sum()


def test_objects_come_in_the_order_of_their_ids(frame):
    lines = stroke(7, (125, 60), (155, 60)), stroke(2, (45, 60), (75, 60))
    probability = GrabCut().segment(frame, FrameScribbles(lines))
    assert iou(probability[0], ONE) > 0.95
    assert iou(probability[1], OTHER) > 0.95


@pytest.mark.parametrize("object_id", [0, 2])
def test_background_and_other_objects_strokes_push_back(object_id):
    # Two halves of one colour: only the other stroke says that they are not one object.
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    picture[40:80, 40:160] = 200
    own = stroke(1, (45, 60), (120, 60))
    alone = GrabCut().segment(picture, FrameScribbles((own,)))[0]
    pushed = GrabCut().segment(picture, FrameScribbles((own, stroke(object_id, (135, 45), (135, 75)))))[0]
    assert alone[60, 135] > 0.5
    assert pushed[60, 135] < 0.5
    assert pushed[60, 60] > 0.5


def test_the_same_input_gives_the_same_bytes_whatever_random_numbers_were_drawn_before():
    # In noise the result hangs on the random start of the colour clusters.
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    scribbles = FrameScribbles((stroke(1, (45, 60), (120, 60)),))
    results = []
    for seed in (1, 2, 3):
        cv2.setRNGSeed(seed)
        results.append(GrabCut().segment(noise, scribbles))
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_a_single_dot_finds_a_small_object():
    small = disc(60, 60, 12)
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    picture[small] = (200, 60, 50)
    (probability,) = GrabCut().segment(picture, FrameScribbles((stroke(1, (60, 60)),)))
    assert iou(probability, small) > 0.9


def test_the_stroke_itself_is_always_inside(frame):
    noise = np.random.default_rng(0).integers(0, 255, frame.shape).astype(np.uint8)
    (probability,) = GrabCut().segment(noise, FrameScribbles((stroke(1, (60, 60), (62, 60)),)))
    assert (probability[60, 60:63] > 0.5).all()


def test_strokes_that_fill_the_frame_are_no_error(frame):
    lines = stroke(1, (0, 0), (WIDTH, HEIGHT)), stroke(1, (WIDTH, 0), (0, HEIGHT))
    assert np.isfinite(GrabCut().segment(frame, FrameScribbles(lines))).all()


def test_an_object_covered_by_another_ones_stroke_is_empty(frame):
    both = GrabCut().segment(frame, FrameScribbles((stroke(1, (60, 60)), stroke(2, (60, 60)))))
    assert not both[0].any()
    assert both[1].any()
