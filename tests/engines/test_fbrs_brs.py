"""When f-BRS's optimisation stops, what it returns, and what it keeps from click to click."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stages.engines.segmenters.fbrs.brs import ClickLoss, Evaluation, Objective, StopRules, leaf, mean_iou, minimise
from stages.engines.segmenters.fbrs.clicks import Click
from stages.engines.segmenters.fbrs.deeplab import DeepLab
from stages.engines.segmenters.fbrs.predictor import Predictor
from stages.engines.segmenters.fbrs.zoom import Roi, holds_clicks
from stages.nn.residual import BasicBlock
from tests.parity.filled import fill, picture


def toy(loss: Callable[[Tensor], Tensor], worst: float = 1.0, mask_changes: bool = True) -> Objective:
    """An objective of two variables; its logits show how often it was called, and by their sign a mask."""
    count = 0

    def evaluate(x: np.ndarray) -> Evaluation:
        nonlocal count
        count += 1
        variables = leaf(x, torch.device("cpu"))
        value = loss(variables)
        sign = torch.ones(1, 1, 4, 4)
        sign[..., :2, :] = -1.0
        sign = sign * (-1) ** (count if mask_changes else 0)
        outcome = ClickLoss(value, torch.tensor(worst), torch.tensor(0.0))
        return Evaluation(variables, outcome, lambda number=count: sign * number)

    return evaluate


def bowl(variables: Tensor) -> Tensor:
    return 1 + (variables - 3).square().sum()


def test_without_a_reason_to_stop_it_finds_the_minimum() -> None:
    optimum = minimise(toy(bowl), np.zeros(2), StopRules())
    np.testing.assert_allclose(optimum.x, 3, atol=0.05)  # regularisation pulls it a little towards zero


def test_it_stops_when_every_click_is_met() -> None:
    optimum = minimise(toy(bowl, worst=0.50), np.zeros(2), StopRules(threshold=0.49))
    assert optimum.trace == ((pytest.approx(19.0), 0.0),)
    np.testing.assert_array_equal(optimum.x, 0)
    assert len(minimise(toy(bowl, worst=0.52), np.zeros(2), StopRules(threshold=0.49)).trace) > 1


def test_it_stops_when_the_mask_stands_still() -> None:
    optimum = minimise(toy(bowl, mask_changes=False), np.zeros(2), StopRules())
    assert [gradient == 0 for _, gradient in optimum.trace] == [False, True]


def test_the_best_evaluation_is_returned_not_the_last() -> None:
    def broken_promise(variables: Tensor) -> Tensor:  # the slope leads down, yet the start is the lowest point
        height = (variables != 0).any().float()
        return 1 + height + variables.sum() - variables.sum().detach()

    optimum = minimise(toy(broken_promise), np.zeros(2), StopRules())
    losses = [loss for loss, _ in optimum.trace]
    assert losses[0] == min(losses) < max(losses)
    assert optimum.logits.abs().unique().tolist() == [1.0], "the first of the lowest"


def test_evaluations_are_limited_but_an_iteration_is_finished() -> None:
    def curved(variables: Tensor) -> Tensor:
        a, b = variables
        return (1 - a).square() + 100 * (b - a.square()).square()

    assert 5 < len(minimise(toy(curved), np.array([-1.2, 1.0]), StopRules(max_evaluations=5)).trace) <= 10


def test_masks_without_any_object_do_not_count_as_standing_still() -> None:
    nothing = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    half = nothing.clone()
    half[0, :, :2] = True
    assert not mean_iou(nothing, nothing) > 0.99
    assert mean_iou(half, half) == 1.0, "the empty sample is left out"


def test_a_click_on_a_crops_last_row_or_column_is_outside_it() -> None:
    roi = Roi(10, 20, 30, 40)
    assert holds_clicks(roi, [Click(True, 10, 30), Click(True, 19.9, 39), Click(False, 90, 90)])
    assert not holds_clicks(roi, [Click(True, 20, 35)])
    assert not holds_clicks(roi, [Click(True, 15, 40)])
    assert not holds_clicks(roi, [Click(True, 9.9, 35)])


# -- from click to click -----------------------------------------------------------------------------------------------

CLICKS = [Click(True, 30, 30), Click(False, 50, 70), Click(True, 20, 60), Click(False, 10, 10)]


@pytest.fixture
def predictor() -> Callable[[int], Predictor]:
    """Makes predictors of a thin, real network without ZoomIn."""
    network = fill(DeepLab(BasicBlock, (1, 1, 1, 1), channels=16)).requires_grad_(False)
    rules = StopRules(threshold=0.0, min_iou_change=0.0, max_iterations=2)
    frame = picture(64, 96, seed=2)
    return lambda limit=8: Predictor(network, frame, zoom=None, rules=rules, net_clicks_limit=limit)


def test_the_first_click_is_not_optimised(predictor: Callable[..., Predictor]) -> None:
    one = predictor()
    one.predict(CLICKS[:1])
    assert one.optimum is None
    one.predict(CLICKS[:2])
    assert one.optimum is not None


def test_an_optimisation_starts_where_the_last_one_ended(predictor: Callable[..., Predictor]) -> None:
    warm, cold = predictor(), predictor()
    warm.predict(CLICKS[:2])
    warm.predict(CLICKS[:3])
    cold.predict(CLICKS[:3])
    assert warm.optimum is not None and cold.optimum is not None
    assert warm.optimum.trace[0][0] < cold.optimum.trace[0][0]
    assert np.abs(warm.optimum.x - cold.optimum.x).max() > 1e-3


def test_clicks_beyond_the_networks_limit_act_through_the_optimisation_only(
    predictor: Callable[..., Predictor],
) -> None:
    limited = predictor(2)
    limited.predict(CLICKS[:2])
    drawn = limited._features
    limited.predict(CLICKS[:3])
    assert limited._features is drawn, "the network's first half is not run again"
    assert limited.optimum is not None and len(limited.optimum.trace) > 1
    before = limited.predict(CLICKS[:3], optimise=False)
    assert np.abs(limited.predict(CLICKS[:4]) - before).max() > 1e-3, "the fourth click is enforced all the same"
