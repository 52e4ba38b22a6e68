"""The optimisation behind f-BRS: a scale and a shift per channel that make the network agree with every click.

K. Sofiiuk et al., "f-BRS", CVPR 2020, sections 3.1 and 3.2; loss of W.-D. Jang and C.-S. Kim, "Interactive Image
Segmentation via Backpropagating Refinement Scheme", CVPR 2019. L-BFGS walks in float64, the network runs in float32.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.engines.segmenters.fbrs.clicks import Square, square_masks
from stages.engines.segmenters.fbrs.network import ClickNetwork, Features, Insertion, resize

Variables = NDArray[np.floating]
"""(2C,): the scales of all channels, then their shifts; zeros leave the network as it is."""

SCALE_WEIGHT = 1e-3
SHIFT_WEIGHT = 1e-2
EPSILON = 1e-5


@dataclass(frozen=True)
class StopRules:
    """When the optimisation ends; defaults of the official evaluation."""

    threshold: float = 0.49
    """Probability from which a pixel is on; all squares on their side of it = done."""
    min_iou_change: float = 0.01
    """Done when two successive masks differ less than this."""
    max_evaluations: int = 20
    """Looked at between iterations only, so that a line search may exceed it."""
    max_iterations: int = 40


OFFICIAL_RULES = StopRules()


class ClickLoss(NamedTuple):
    """How far a prediction is from the clicks."""

    loss: Tensor
    """0-d."""
    worst_positive: Tensor
    """0-d: largest distance from 1 in a positive square."""
    worst_negative: Tensor
    """0-d: largest distance from 0 in a negative square."""


def click_loss(probability: Tensor, positive: Tensor, negative: Tensor) -> ClickLoss:
    """Mean squared error in the clicks' squares, each sign on its own.

    Args:
        probability: (N, 1, H, W) float32 in [0, 1], or any other shape.
        positive: same shape, 1 in the squares of positive clicks, else 0.
        negative: the same for negative clicks.
    """
    miss, false = (1 - probability) * positive, probability * negative
    loss = miss.square().sum() / (positive.sum() + EPSILON) + false.square().sum() / (negative.sum() + EPSILON)
    return ClickLoss(loss, miss.max(), false.max())


def regularisation(variables: Tensor) -> Tensor:
    """The price of leaving the trained network: (2C,) -> 0-d."""
    scale, shift = variables.chunk(2)
    price: Tensor = SCALE_WEIGHT * scale.square().sum() + SHIFT_WEIGHT * shift.square().sum()
    return price


def scale_and_shift(features: Tensor, variables: Tensor) -> Tensor:
    """Apply the variables (2C,) to (N, C, h, w): x (1 + scale) + shift, the same for the whole batch."""
    scale, shift = variables.view(2, 1, -1, 1, 1)
    scaled: Tensor = features * (1 + scale) + shift
    return scaled


def full_logits(
    network: ClickNetwork, at: Insertion, features: Features, variables: Tensor, size_hw: tuple[int, int]
) -> Tensor:
    """Run the network from the insertion point on, with these variables: (N, 1, H, W) logits."""
    scaled = (scale_and_shift(features[0], variables), *features[1:])
    return resize(network.low_logits(scaled, at), size_hw)


class Evaluation:
    """The objective at one point. Gradient and logits are computed when they are asked for."""

    def __init__(self, variables: Tensor, outcome: ClickLoss, logits: Callable[[], Tensor]) -> None:
        self._variables = variables
        self._total = outcome.loss + regularisation(variables)
        self._logits = logits
        self.loss = float(self._total.detach())
        self.worst_positive = float(outcome.worst_positive.detach())
        self.worst_negative = float(outcome.worst_negative.detach())

    def gradient(self) -> NDArray[np.float64]:
        """(2C,); to be asked for once."""
        (gradient,) = torch.autograd.grad(self._total, self._variables)
        return np.asarray(gradient.cpu().numpy(), dtype=np.float64)

    @cached_property
    def logits(self) -> Tensor:
        """(N, 1, H, W) without gradient."""
        return self._logits().detach()


Objective = Callable[[Variables], Evaluation]


def leaf(x: Variables, device: torch.device) -> Tensor:
    """The variables as the network takes them: float32, ready for a gradient."""
    return torch.from_numpy(x.astype(np.float32)).to(device).requires_grad_()


class FullObjective:
    """The objective as published: every evaluation runs the whole rest of the network, forward and backward."""

    def __init__(
        self,
        network: ClickNetwork,
        at: Insertion,
        features: Features,
        squares: Sequence[Sequence[Square]],
        size_hw: tuple[int, int],
    ) -> None:
        """Fix what does not change during the optimisation.

        Args:
            network: its parameters need no gradient.
            at: insertion point.
            features: what the network gave there for the batch, without gradient.
            squares: of the clicks, for each picture of the batch.
            size_hw: of the pictures that went into the network.
        """
        self._network, self._at, self._features, self._size_hw = network, at, features, size_hw
        masks = torch.from_numpy(np.stack([square_masks(each, size_hw) for each in squares]))
        masks = masks.to(features[0])
        self._positive, self._negative = masks[:, :1], masks[:, 1:]

    def __call__(self, x: Variables) -> Evaluation:
        """Evaluate at x (2C,)."""
        with torch.enable_grad():
            variables = leaf(x, self._features[0].device)
            logits = full_logits(self._network, self._at, self._features, variables, self._size_hw)
            outcome = click_loss(torch.sigmoid(logits), self._positive, self._negative)
            return Evaluation(variables, outcome, lambda: logits)


@dataclass(frozen=True)
class Optimum:
    """Where the optimisation ended."""

    x: NDArray[np.float64]
    """(2C,): the optimiser's last point, from which the next click starts."""
    logits: Tensor
    """(N, 1, H, W) of the *best* evaluation, which need not be the last point's."""
    trace: tuple[tuple[float, float], ...]
    """Loss and largest absolute entry of the gradient, for every evaluation."""


def minimise(objective: Objective, start: Variables, rules: StopRules) -> Optimum:
    """Run L-BFGS until the clicks are met, the mask stands still, or the evaluations are used up."""
    descent, x = _Descent(objective, rules), start.astype(np.float64)
    first = [descent(x)]
    if first[0][1].any():
        from scipy.optimize import fmin_l_bfgs_b  # noqa: PLC0415 - half a second that most strokes do not need

        x, _, _ = fmin_l_bfgs_b(
            lambda x: first.pop() if first else descent(x),
            x,
            m=20,
            factr=0,
            pgtol=1e-8,
            maxfun=rules.max_evaluations,
            maxiter=rules.max_iterations,
        )
    assert descent.best is not None
    return Optimum(x, descent.best.logits, tuple(descent.trace))


class _Descent:
    """What L-BFGS calls: the objective, and the memory of one click. A gradient of zero tells it to stop."""

    def __init__(self, objective: Objective, rules: StopRules) -> None:
        self.best: Evaluation | None = None
        self.trace: list[tuple[float, float]] = []
        self._objective = objective
        self._rules = rules
        self._mask: Tensor | None = None

    def __call__(self, x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        evaluation = self._objective(x)
        if self.best is None or evaluation.loss < self.best.loss:
            self.best = evaluation
        done = self._clicks_met(evaluation) or self._mask_stands_still(evaluation)
        gradient = np.zeros_like(x) if done else evaluation.gradient()
        self.trace.append((evaluation.loss, float(np.abs(gradient).max())))
        return evaluation.loss, gradient

    def _clicks_met(self, evaluation: Evaluation) -> bool:
        threshold = self._rules.threshold
        return evaluation.worst_positive < 1 - threshold and evaluation.worst_negative < threshold

    def _mask_stands_still(self, evaluation: Evaluation) -> bool:
        """Compare with the previous mask; the mask that ends the optimisation is not remembered."""
        mask = torch.sigmoid(evaluation.logits) > self._rules.threshold
        if self._mask is not None and mean_iou(mask, self._mask) > 1 - self._rules.min_iou_change:
            return True
        self._mask = mask
        return False


def mean_iou(a: Tensor, b: Tensor) -> float:
    """IoU of (N, 1, H, W) bool masks, averaged over the samples whose union is not empty; NaN if none is left."""
    intersection, union = (a & b).sum(dim=(1, 2, 3)), (a | b).sum(dim=(1, 2, 3))
    return float((intersection[union > 0] / union[union > 0]).mean())
