"""Looking up a frame's cells in an anchor frame: a cell reads from the cells near its own place that look like it.

S. W. Oh, J.-Y. Lee, N. Xu, S. J. Kim, "Video Object Segmentation using Space-Time Memory Networks", ICCV 2019, reads
from all cells; windows keep look-alikes elsewhere out, and a part of the affinity need not be computed.
A cell is 8 x 8 pixels. Its mask is kept as 4 x 4 sub-cells, so that what is read back is finer than the cell.
"""

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


def match(query: Tensor, anchor: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Match every cell of a frame with those of one anchor in its window, and sum up what these hold.

    A cell's weight is exp((similarity - 1) / temperature). Sums over several anchors may be added: divided by the sum
    of the weights (let a channel of the values be 1) they are what a softmax over all of them reads.

    Args:
        query: (C, H, W) keys of unit length.
        anchor: (C, H, W), the same of the anchor.
        values: (H, W, channels) of the anchor.

    Returns:
        The sums (H, W, channels), and the similarity of the best match (H, W) in [-1, 1].
    """
    height, width = query.shape[1:]
    sums = values.new_empty(height, width, values.shape[2])
    highest = query.new_empty(height, width)
    x = torch.arange(width, device=query.device)
    near_x = ((x[:, None] - x).abs() <= REACH).to(query.dtype)[:, None]
    for y in range(height):
        near_y = slice(max(0, y - REACH), y + REACH + 1)
        weights = query[:, y].T @ anchor[:, near_y].flatten(1)
        weights.sub_(1).div_(TEMPERATURE).exp_()
        weights.view(width, -1, width).mul_(near_x)
        sums[y] = weights @ values[near_y].flatten(0, 1)
        highest[y] = weights.amax(dim=1)
    return sums, 1 + TEMPERATURE * highest.log()


def to_cells(masks: Tensor) -> Tensor:
    """Masks (N, C, h, w), sides multiples of 8 -> their sub-cells (N, 16 C, h / 8, w / 8)."""
    return functional.pixel_unshuffle(functional.avg_pool2d(masks, CELL_PX // SUB_CELLS), SUB_CELLS)


def from_cells(cells: Tensor) -> Tensor:
    """The other way, at half the pixels' resolution: (N, 16 C, H, W) -> (N, C, 4 H, 4 W)."""
    return functional.pixel_shuffle(cells, SUB_CELLS)
