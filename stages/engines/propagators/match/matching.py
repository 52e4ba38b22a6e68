"""Looking up a frame's cells in an anchor frame: a cell reads from the cells near its own place that look like it.

S. W. Oh, J.-Y. Lee, N. Xu, S. J. Kim, "Video Object Segmentation using Space-Time Memory Networks", ICCV 2019, reads
from all cells; windows keep look-alikes elsewhere out, and a part of the affinity need not be computed.
A cell is 8 x 8 pixels. Its mask is kept as 4 x 4 sub-cells, so that what is read back is finer than the cell.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

CELL_PX = 8
SUB_CELLS = 4
REACH = 14
"""Cells in every direction."""
TEMPERATURE = 0.03
"""Cold enough for look-alikes not to matter: picking out the best 16 matches changes nothing and takes three times as
long."""


class Matches(NamedTuple):
    """What every cell of N frames found in the anchors beside them."""

    sums: Tensor
    """(N, H, W, channels): of the values, weighted."""
    similarity: Tensor
    """(N, H, W) in [-1, 1], of a frame's cell and the best one of the anchor."""
    reached: Tensor
    """(N, H, W) in [-1, 1], the other way: of an anchor's cell and the best one of the frame."""


def match(query: Tensor, anchor: Tensor, values: Tensor) -> Matches:
    """Match every cell of N frames with those of one anchor each in its window, and sum up what these hold.

    A cell's weight is exp((similarity - 1) / temperature). Sums over several anchors may be added: divided by the sum
    of the weights (let a channel of the values be 1) they are what a softmax over all of them reads.

    Args:
        query: (N, C, H, W) keys of unit length.
        anchor: (N, C, H, W), the same of the anchors.
        values: (N, H, W, channels) of the anchors.
    """
    count, _, height, width = query.shape
    x = torch.arange(width, device=query.device)
    far = (x[:, None] - x).abs() > REACH
    offset = torch.where(far, -torch.inf, -1 / TEMPERATURE).to(query.dtype)[:, None].expand(-1, 2 * REACH + 1, -1)
    offset = offset.flatten(1)[None].expand(count, -1, -1)
    reached = query.new_full((count, height, width), -torch.inf)
    sums, highest = [], []
    for y in range(height):
        near_y = slice(max(0, y - REACH), y + REACH + 1)
        cells = anchor[:, :, near_y].flatten(2)
        weights = torch.baddbmm(
            offset[..., : cells.shape[2]], query[:, :, y].transpose(1, 2), cells, alpha=1 / TEMPERATURE
        )
        found = weights.detach()
        highest.append(found.amax(dim=2))
        here = reached[:, near_y]
        torch.maximum(here, found.amax(dim=1).view_as(here), out=here)
        sums.append(weights.exp_() @ values[:, near_y].flatten(1, 2))
    return Matches(torch.stack(sums, dim=1), 1 + TEMPERATURE * torch.stack(highest, dim=1), 1 + TEMPERATURE * reached)


def to_cells(masks: Tensor) -> Tensor:
    """Masks (N, C, h, w), sides multiples of 8 -> their sub-cells (N, 16 C, h / 8, w / 8)."""
    return functional.pixel_unshuffle(functional.avg_pool2d(masks, CELL_PX // SUB_CELLS), SUB_CELLS)


def from_cells(cells: Tensor) -> Tensor:
    """The other way, at half the pixels' resolution: (N, 16 C, H, W) -> (N, C, 4 H, 4 W)."""
    return functional.pixel_shuffle(cells, SUB_CELLS)
