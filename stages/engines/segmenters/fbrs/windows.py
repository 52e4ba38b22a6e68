"""The same objective for less: loss and gradient from small windows around the clicks.

The loss looks at 3x3 pixels per click, and behind the insertion points of most networks a logit looks only a few
low-resolution pixels far. So a window of the features around each click gives the same loss and the same gradient
(to the rounding of float32). Only the rule about masks that stand still needs the whole picture, without gradient.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.engines.segmenters.fbrs.brs import Evaluation, Variables, click_loss, full_logits, leaf, scale_and_shift
from stages.engines.segmenters.fbrs.clicks import Square
from stages.engines.segmenters.fbrs.network import ClickNetwork, Features, Insertion

GRADIENT_COST = 3
"""A forward pass with gradient, in forward passes without."""


class Axis(NamedTuple):
    """Bilinear upsampling with aligned corners along one axis: out = (1 - weight) low[first] + weight low[second]."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weight: NDArray[np.float32]


def upsampling(low: int, high: int) -> Axis:
    """Where each of `high` pixels lies among `low` ones; in float32, as PyTorch does it."""
    step = np.float32((low - 1) / (high - 1)) if high > 1 else np.float32(0)
    position = step * np.arange(high, dtype=np.float32)
    first = np.minimum(position.astype(np.int64), low - 1)
    return Axis(first, np.minimum(first + 1, low - 1), position - first.astype(np.float32))


def window_starts(
    first: NDArray[np.int64], last: NDArray[np.int64], reach: int, size: int
) -> tuple[NDArray[np.int64], int]:
    """Place windows of equal length around first..last (inclusive, each (K,)) plus `reach` on both sides.

    At the picture's border a window is moved inwards, not cut: so the zeros that convolutions see beyond the window are
    those beyond the picture, and all other ends of the window are at least `reach` away.

    Returns:
        Start of each window (K,), and their length.
    """
    length = min(int((last - first).max()) + 1 + 2 * reach, size)
    return np.clip(first - reach, 0, size - length), length


def windows_pay_off(
    network: ClickNetwork, at: Insertion, features: Features, squares: Sequence[Sequence[Square]]
) -> bool:
    """Whether windows are possible here and save work."""
    reach = network.reach[at]
    count = sum(map(len, squares))
    if reach is None or count == 0:
        return False
    batch, _, height, width = features[0].shape
    picture_px, window_px = batch * height * width, count * (2 * reach + 3) ** 2
    return GRADIENT_COST * window_px + picture_px < GRADIENT_COST * picture_px


class WindowObjective:
    """The objective of `FullObjective`, for insertion points with a finite reach."""

    def __init__(
        self,
        network: ClickNetwork,
        at: Insertion,
        features: Features,
        squares: Sequence[Sequence[Square]],
        size_hw: tuple[int, int],
    ) -> None:
        """Cut the windows; arguments as for `FullObjective`, at least one square."""
        reach = network.reach[at]
        assert reach is not None
        self._network, self._at, self._features, self._size_hw = network, at, features, size_hw
        device = features[0].device
        rows, columns = (upsampling(low, high) for low, high in zip(features[0].shape[-2:], size_hw, strict=True))
        placed = [(n, square) for n, of_picture in enumerate(squares) for square in of_picture]
        top, bottom, left, right = np.array([square[1:] for _, square in placed]).T
        tops, height = window_starts(rows.first[top], rows.second[bottom - 1], reach, features[0].shape[-2])
        lefts, width = window_starts(columns.first[left], columns.second[right - 1], reach, features[0].shape[-1])
        self._windows = torch.stack(
            [features[0][n, :, y : y + height, x : x + width] for (n, _), y, x in zip(placed, tops, lefts, strict=True)]
        )

        # Pixels of all squares; one that several squares of a sign share is read in the window of the last of them.
        owner = np.full((len(squares), 2, *size_hw), -1)
        for k, (n, square) in enumerate(placed):
            owner[n, 0 if square.is_positive else 1, square.top : square.bottom, square.left : square.right] = k
        _, sign, row, column = np.nonzero(owner >= 0)
        window = owner[owner >= 0]
        corners, weights = [], []
        for low_row, row_weight in ((rows.first, 1 - rows.weight), (rows.second, rows.weight)):
            for low_column, column_weight in ((columns.first, 1 - columns.weight), (columns.second, columns.weight)):
                y, x = low_row[row] - tops[window], low_column[column] - lefts[window]
                corners.append((window * height + y) * width + x)
                weights.append(row_weight[row] * column_weight[column])
        self._corners = torch.from_numpy(np.stack(corners)).to(device)
        self._weights = torch.from_numpy(np.stack(weights)).to(device)
        self._negative = torch.from_numpy(sign.astype(np.float32)).to(device)

    def __call__(self, x: Variables) -> Evaluation:
        """Evaluate at x (2C,)."""
        with torch.enable_grad():
            variables = leaf(x, self._windows.device)
            low = self._network.low_logits((scale_and_shift(self._windows, variables),), self._at)
            logits = (low.flatten()[self._corners] * self._weights).sum(dim=0)
            outcome = click_loss(torch.sigmoid(logits), 1 - self._negative, self._negative)
            return Evaluation(variables, outcome, lambda: self._whole(variables.detach()))

    def _whole(self, variables: Tensor) -> Tensor:
        with torch.no_grad():
            return full_logits(self._network, self._at, self._features, variables, self._size_hw)
