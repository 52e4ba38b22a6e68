"""`pointrend:lite`: whether points belong to an object, by its mask and the colours on either side of its boundary.

A point is told what the mask says at it and around it, how often its colour occurs on the object and off it, and how
well the colour goes with what lies near, within three distances. All of that comes from histograms and box filters, so
it can be had for any point at once; a small head weighs it. `boundary.py` asks it about points near the boundary that
are in doubt, and about no others.
"""

from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.core.guided_filter import GuidedFilter
from stages.core.types import Frame, Probability
from stages.engines.refiners.pointrend.points import sample

CELL: Final = 4
"""Pixels."""
_REACHES: Final = (3, 7, 15)
"""Cells of the squares in which colours are looked at."""
_FILTER_RADIUS_PX: Final = 4
_BITS: Final = 4
"""Of a colour's channel, in the histograms."""
_RARE: Final = 1e-4
"""Share of the pixels that a colour has at least, on the object and off it."""
_LEAST_VARIANCE: Final = 2e-3
_OF_A_REACH: Final = 9
"""Layers of `_colours`: two means, two variances, the object's share."""
_NEAR: Final = {"colour": 3, "mask": 1, "filtered": 1, "likelier": 1}
"""Layers at the picture's resolution."""
_CELLS: Final = {"share": 1, "likelier": 2, "colours": _OF_A_REACH * len(_REACHES)}
"""Layers at that of cells."""
TOLD: Final = 7 + 4 * len(_REACHES)
"""Numbers that a point is told."""
_HIDDEN: Final = 48
_SURENESS: Final = 0.6
"""The mask's logits count so much before they are corrected."""


class LitePoints(nn.Module):
    """Logits of points."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.BatchNorm1d(TOLD, affine=False)
        last = nn.Conv1d(_HIDDEN, 1, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.correct = nn.Sequential(
            *(nn.Conv1d(TOLD, _HIDDEN, 1), nn.ReLU(inplace=True)),
            *(nn.Conv1d(_HIDDEN, _HIDDEN, 1), nn.ReLU(inplace=True)),
            last,
        )

    def forward(self, told: Tensor) -> Tensor:
        """What points are told (N, TOLD, P) -> logits (N, 1, P): the mask's, corrected by what is zero untrained."""
        correction: Tensor = self.correct(self.scale(told))
        return _SURENESS * as_logits(told[:, :1]) + correction


def views(picture: Frame, mask: Probability) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What points will be told of.

    Args:
        picture: (H, W, 3) uint8 RGB; sides are multiples of `CELL`.
        mask: (H, W) float32 in [0, 1].

    Returns:
        Layers of cells (C, H / 4, W / 4), the first of them the mask's share, and of pixels (C, H, W), for `told`.
    """
    likelier = _likelier(picture, mask)
    filtered = GuidedFilter(picture, _FILTER_RADIUS_PX).filtered(mask)
    near = np.dstack([cv2.blur(picture, (3, 3)).astype(np.float32) / 255, mask, filtered, likelier])

    halves_wh, cells_wh = (mask.shape[1] // 2, mask.shape[0] // 2), (mask.shape[1] // CELL, mask.shape[0] // CELL)
    colour = cv2.resize(picture, halves_wh, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    share = cv2.resize(mask, halves_wh, interpolation=cv2.INTER_AREA)
    weighted = np.dstack([colour, np.einsum("hwc,hwc->hw", colour, colour), np.ones_like(share)])
    inside = cv2.resize(weighted * share[..., None], cells_wh, interpolation=cv2.INTER_AREA)
    outside = cv2.resize(weighted, cells_wh, interpolation=cv2.INTER_AREA) - inside
    around = [_colours(inside, outside, reach) for reach in _REACHES]
    in_cells = cv2.resize(likelier, cells_wh, interpolation=cv2.INTER_AREA)
    cells = np.dstack([inside[..., 4], in_cells, cv2.blur(in_cells, (3, 3)), *around])
    return np.ascontiguousarray(cells.transpose(2, 0, 1)), np.ascontiguousarray(near.transpose(2, 0, 1))


def told(cells: Tensor, near: Tensor, points: Tensor) -> Tensor:
    """What points (N, P, 2) are told, of what `views` gave: (N, TOLD, P), the mask first."""
    share, likelier_around, colours = torch.split(sample(cells, points), list(_CELLS.values()), 1)
    colour, mask, filtered, likelier = torch.split(sample(near, points), list(_NEAR.values()), 1)
    return torch.cat(
        [mask, as_logits(mask), filtered, likelier, share, likelier_around, _goes_with(colour, colours)], 1
    )


def as_logits(mask: Tensor) -> Tensor:
    """Of a soft mask, from -5 to 5."""
    return torch.log((mask + 1e-3) / (1 - mask + 1e-3)).clamp(-5, 5)


def _likelier(picture: Frame, mask: Probability) -> NDArray[np.float32]:
    """How much more often a pixel's colour occurs on the object than off it: (H, W), a logarithm."""
    red, green, blue = cv2.split((picture >> (8 - _BITS)).astype(np.int32))
    colours = ((red << 2 * _BITS) | (green << _BITS) | blue).ravel()
    counted = [np.bincount(colours, weights.ravel(), 1 << 3 * _BITS) for weights in (mask, 1 - mask)]
    on, off = (count / max(float(count.sum()), 1) + _RARE for count in counted)
    return np.log(on / off).astype(np.float32)[colours].reshape(mask.shape)


def _colours(inside: NDArray[np.float32], outside: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """What lies around a cell, on the object and off it: (h, w, 9).

    Args:
        inside: (h, w, 5), colour, squared colour and share, weighted by the mask.
        outside: the same, weighted by the mask's rest.
        reach: side of the square, in cells.
    """
    means, variances, shares = [], [], []
    for part in (inside, outside):
        blurred = cv2.blur(part, (reach, reach))
        share = blurred[..., 4:]
        mean = blurred[..., :4] / (share + 1e-3)
        means.append(mean[..., :3])
        variances.append(np.maximum(mean[..., 3] - np.einsum("hwc,hwc->hw", means[-1], means[-1]), 0) + _LEAST_VARIANCE)
        shares.append(share[..., 0])
    return np.dstack([*means, *variances, shares[0] / (shares[0] + shares[1])])


def _goes_with(colour: Tensor, colours: Tensor) -> Tensor:
    """How well a colour goes with what lies around.

    Args:
        colour: (N, 3, P).
        colours: (N, 9 x distances, P), see `_colours`.

    Returns:
        (N, 4 x distances, P): distance from the object's mean and from the rest's, in deviations, which of them is
        likelier, and the object's share.
    """
    found = []
    for each in torch.split(colours, _OF_A_REACH, 1):
        inside, outside, inside_variance, outside_variance, share = torch.split(each, [3, 3, 1, 1, 1], 1)
        to_inside = (colour - inside).square().sum(1, keepdim=True) / inside_variance
        to_outside = (colour - outside).square().sum(1, keepdim=True) / outside_variance
        likelier = to_outside - to_inside + 1.5 * (outside_variance / inside_variance).log()
        distances = [0.5 * squared.clamp(max=16).sqrt() for squared in (to_inside, to_outside)]
        found += [*distances, likelier.clamp(-8, 8) / 4, share]
    return torch.cat(found, 1)
