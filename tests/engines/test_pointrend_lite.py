"""The small point head: what is asked of it, where it may change a mask, and what the shipped one does."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.core.metrics import region_similarity
from stages.engines import registry
from stages.engines.protocols import Refiner
from stages.engines.refiners.pointrend.boundary import Boundary
from stages.engines.refiners.pointrend.lite import TOLD, LitePoints, told, views
from tests.engines.test_cascadepsp_lite import scene


class Says(nn.Module):
    """In the place of the head: says the same of every point, and keeps what it was told."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))
        self.asked: list[Tensor] = []

    def forward(self, told: Tensor) -> Tensor:
        self.asked.append(told)
        return self.logit.expand(1, 1, told.shape[-1])


def soft(mask: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5)


def to_boundary(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel from a mask's boundary."""
    inside = mask.astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 5) + cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)


@pytest.mark.parametrize("logit", [-9.0, 9.0])
def test_whatever_the_head_says_nothing_changes_far_from_the_boundary(logit: float) -> None:
    rgb, truth = scene(200)
    given = soft(truth)
    refined = Boundary(Says(logit), device="cpu").refine(rgb, given)
    changed = refined != given
    assert changed.any() and to_boundary(truth)[changed].max() < 24
    turned = (refined > 0.5) ^ (given > 0.5)
    assert turned.any() and ((refined > 0.5)[turned] == (logit > 0)).all()


def test_in_every_doubling_few_points_are_asked_for() -> None:
    rgb, truth = scene(200)
    head = Says(0.0)
    Boundary(head, device="cpu").refine(rgb, soft(truth))
    assert len(head.asked) == 3
    assert sum(each.shape[-1] for each in head.asked) < 0.2 * truth.size


def test_untrained_it_keeps_the_mask() -> None:
    rgb, truth = scene()
    given = soft(truth)
    refined = Boundary(LitePoints().eval(), device="cpu").refine(rgb, given)
    assert region_similarity(refined > 0.5, given > 0.5) > 0.98


def test_a_large_object_is_looked_at_in_a_bounded_size() -> None:
    rgb, truth = scene()
    large, mask = (cv2.resize(each, None, fx=5, fy=5) for each in (rgb, soft(truth)))
    sizes = []
    for picture, given in ((rgb, soft(truth)), (large, mask)):
        head = Says(0.0)
        Boundary(head, device="cpu").refine(picture, given)
        sizes.append(sum(each.shape[-1] for each in head.asked))
    assert sizes[1] < 2.5 * sizes[0]


def test_a_point_is_told_how_its_colour_goes_with_either_side() -> None:
    rgb, truth = scene()
    cells, near = (torch.from_numpy(each)[None] for each in views(rgb, truth.astype(np.float32)))
    points = torch.tensor([[[80.5, 70.5], [10.5, 10.5], [80.5, 30.5], [80.5, 20.5]]]) / 160
    numbers = told(cells, near, points)[0]
    assert numbers.shape == (TOLD, 4) and torch.isfinite(numbers).all()
    mask, logit, likelier = numbers[0], numbers[1], numbers[3]
    assert mask.tolist() == [1, 0, 1, 0]
    assert (logit > 0).tolist() == (likelier > 0).tolist() == [True, False, True, False]


@pytest.fixture(scope="module")
def shipped() -> Refiner:
    return registry.refiner("pointrend:lite", Path("none"), "cpu", {})


@pytest.mark.parametrize("operation", [cv2.dilate, cv2.erode])
def test_shipped_head_moves_a_boundary_to_where_the_colours_change(
    operation: Callable[..., np.ndarray], shipped: Refiner
) -> None:
    rgb, truth = scene()
    wrong = operation(truth.astype(np.uint8), np.ones((9, 9), np.uint8))
    repaired = shipped.refine(rgb, soft(wrong)) > 0.5
    assert 1 - region_similarity(repaired, truth) < 0.6 * (1 - region_similarity(wrong > 0, truth))


def test_shipped_head_keeps_a_right_mask(shipped: Refiner) -> None:
    rgb, truth = scene()
    assert region_similarity(shipped.refine(rgb, soft(truth)) > 0.5, truth) > 0.97
