"""J and F against the published evaluation's own figures, a plain second implementation, and by their definition."""

import json
import os
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stages.core.errors import InputError
from stages.core.metrics import (
    SequenceScores,
    boundary_accuracy,
    boundary_tolerance_px,
    region_similarity,
    score_frame,
    score_sequence,
    statistics,
)
from tests import reference

SHAPE = (480, 854)
CASES = json.loads((Path(__file__).parent / "metric_cases.json").read_text())


@cache
def ground_truth(sequence: str) -> NDArray[np.uint8]:
    if "LIS_DAVIS_ROOT" not in os.environ:
        pytest.skip("LIS_DAVIS_ROOT is not set: the published figures need DAVIS ground truth")
    folder = Path(os.environ["LIS_DAVIS_ROOT"]) / "Annotations" / "480p" / sequence
    if not folder.is_dir():
        pytest.skip(f"LIS_DAVIS_ROOT has no sequence {sequence}")
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


def disturbed(truth: NDArray[np.uint8], case: str) -> NDArray[np.uint8]:
    """The prediction that a case's name stands for: what a shift vacates is 0, what it pushes out is lost."""
    prediction = np.zeros_like(truth)
    match case.split("_"):
        case ["shift", dx, dy]:
            right, down = int(dx.removeprefix("dx")), int(dy.removeprefix("dy"))
            _, height, width = truth.shape
            moved = truth[:, : height - down, max(-right, 0) : width - max(right, 0)]
            prediction[:, down:, max(right, 0) : width + min(right, 0)] = moved
        case ["right", "half", "blank"]:
            prediction[:, :, :427] = truth[:, :, :427]
        case ["previous", "frame"]:
            prediction[0], prediction[1:] = truth[0], truth[:-1]
        case ["all", "empty"]:
            pass
        case _:
            raise ValueError(case)
    return prediction


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: f"{case['sequence']}-{case['case']}")
def test_figures_of_the_published_evaluation_are_met_exactly(case: dict[str, Any]) -> None:
    truth = ground_truth(case["sequence"])
    prediction = disturbed(truth, case["case"])
    assert sha256(truth).hexdigest() == case["gt_sha256"], "another ground truth than the figures were made from"
    assert sha256(prediction).hexdigest() == case["pred_sha256"]
    scores = score_sequence(prediction, truth, [1])
    exactly = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_array_equal(scores.region[:, 0], case["J_per_frame"])
    np.testing.assert_array_equal(scores.boundary[:, 0], case["F_per_frame"])
    np.testing.assert_allclose(statistics(scores.region[:, 0]), list(case["J_stats"].values()), **exactly)
    np.testing.assert_allclose(statistics(scores.boundary[:, 0]), list(case["F_stats"].values()), **exactly)
    np.testing.assert_allclose(scores.j_and_f.mean(), case["JF_mean"], **exactly)
    inner = scores.under("semi-supervised")
    np.testing.assert_allclose(inner.region.mean(), case["J_mean_semisup_no_first_last"], **exactly)
    np.testing.assert_allclose(inner.boundary.mean(), case["F_mean_semisup_no_first_last"], **exactly)


def rectangle(rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


EMPTY = rectangle(slice(0), slice(0))
FULL = rectangle(slice(None), slice(None))
SQUARE = rectangle(slice(100, 200), slice(300, 500))
STRIP = rectangle(slice(None), slice(50))
PIXEL = rectangle(slice(10, 11), slice(10, 11))
EDGES = {
    "both_empty": (EMPTY, EMPTY),
    "gt_empty_pred_square": (SQUARE, EMPTY),
    "gt_square_pred_empty": (EMPTY, SQUARE),
    "identical": (SQUARE, SQUARE),
    "full_vs_full": (FULL, FULL),
    "full_vs_square": (FULL, SQUARE),
    "pixel_vs_pixel": (PIXEL, PIXEL),
    "border_strip_vs_square": (STRIP, SQUARE),
    "border_strip_identical": (STRIP, STRIP),
}


@pytest.mark.parametrize("case", CASES["edge_cases"], ids=lambda case: case["name"])
def test_edge_cases_of_the_published_evaluation_are_met_exactly(case: dict[str, Any]) -> None:
    pair = EDGES[case["name"]]
    assert region_similarity(*pair) == case["J"]
    assert boundary_accuracy(*pair, boundary_tolerance_px(SHAPE)) == case["F"]


def test_every_kind_of_blob_scores_as_the_plain_implementation_says() -> None:
    """Small pictures, so that masks meet every border and the tolerance takes several values."""
    random = np.random.default_rng(0)
    for _ in range(300):
        shape = tuple(random.integers(1, 400, 2) // random.choice([1, 4, 16]) + 1)
        pair = [blobs(shape, random) for _ in range(2)]
        assert region_similarity(*pair) == reference.region_similarity(*pair)
        expected = reference.boundary_accuracy(*pair, dilate=reference.dilate_by_opencv)
        assert boundary_accuracy(*pair, boundary_tolerance_px(shape)) == expected


def blobs(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.bool_]:
    """Up to three rectangles, some of them cut by the border, with a few pixels flipped."""
    mask = np.zeros(shape, bool)
    for _ in range(random.integers(0, 4)):
        (top, bottom), (left, right) = (np.sort(random.integers(0, size + 1, 2)) for size in shape)
        mask[top:bottom, left:right] ^= True
    return mask ^ (random.random(shape) < random.choice([0, 0.001]))


@pytest.mark.parametrize(("down", "right", "found"), [(8, 0, 1), (9, 0, 1 / 2), (10, 0, 0), (5, 6, 1), (6, 6, 3 / 4)])
def test_one_pixel_beyond_the_tolerance_is_a_miss(down: int, right: int, found: float) -> None:
    """One pixel's boundary is a square of 2 x 2; the tolerance is 8 pixels here, in every direction."""
    assert boundary_accuracy(np.roll(PIXEL, (down, right), (0, 1)), PIXEL, boundary_tolerance_px(SHAPE)) == found


def test_each_object_is_scored_on_its_own() -> None:
    truth = 3 * SQUARE.astype(np.uint8) + 7 * STRIP
    region, boundary = score_frame(np.where(truth == 3, 7, truth), truth, [3, 7, 9])
    assert region.tolist() == [0, STRIP.sum() / (STRIP | SQUARE).sum(), 1]
    assert boundary[0] == 0
    assert 0 < boundary[1] < 1
    assert boundary[2] == 1, "an object that is nowhere, in both masks, is right"


def test_mean_recall_and_decay() -> None:
    falling = np.array([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    mean, recall, decay = statistics(falling)
    assert mean == pytest.approx(0.65)
    assert recall == 5 / 8, "exactly one half does not count"
    assert decay == pytest.approx(np.mean([1.0, 0.9, 0.8]) - np.mean([0.5, 0.4, 0.3])), "bins share their edges"


def test_decay_of_a_long_video_compares_its_two_ends() -> None:
    assert statistics(np.linspace(1, 0, 1001)).decay == pytest.approx(0.75)


def test_protocols_differ_by_the_first_and_the_last_frame() -> None:
    frames = np.arange(5.0)[:, None] / 10
    scores = SequenceScores((1,), frames, 1 - frames)
    assert scores.under("interactive").region[:, 0].tolist() == [0, 0.1, 0.2, 0.3, 0.4]
    inner = scores.under("semi-supervised")
    assert inner.region[:, 0].tolist() == [0.1, 0.2, 0.3]
    assert inner.boundary[:, 0].tolist() == [0.9, 0.8, 0.7]
    with pytest.raises(InputError, match="semi-supervised protocol, which needs 3"):
        SequenceScores((1,), frames[:2], frames[:2]).under("semi-supervised")


def test_255_is_refused_and_not_ignored() -> None:
    binary = SQUARE.astype(np.uint8)
    with pytest.raises(InputError, match=r"prediction holds the value 255 in 20000 pixels.*Write a binary mask as 0"):
        score_frame(binary * 255, binary, [1])
    with pytest.raises(InputError, match="ground truth holds the value 255"):
        score_frame(binary, binary * 255, [1])


def test_masks_that_do_not_belong_together_are_refused() -> None:
    mask = SQUARE.astype(np.uint8)
    with pytest.raises(InputError, match=r"\(480, 427\).*\(480, 854\)"):
        score_frame(mask[:, ::2], mask, [1])
    with pytest.raises(InputError, match="predictions end after 1 frames"):
        score_sequence([mask], [mask, mask], [1])
    with pytest.raises(InputError, match="ground truth ends after 1 frames"):
        score_sequence([mask, mask], [mask], [1])
    with pytest.raises(InputError, match="no masks"):
        score_sequence([], [], [1])
