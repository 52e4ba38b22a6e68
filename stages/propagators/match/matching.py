"""Looking up a frame's cells in anchor frames: a cell may match only cells near its own place, and only the best count.

S. W. Oh, J.-Y. Lee, N. Xu, S. J. Kim, "Video Object Segmentation using Space-Time Memory Networks", ICCV 2019, reads
from all cells; windows and best matches keep look-alikes elsewhere out, and most of the affinity need not be computed.
A cell is 8 x 8 pixels. Its mask is kept as 4 x 4 sub-cells, so that what is read back is finer than the cell.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

CELL_PX = 8
SUB_CELLS = 4
REACH = 14
"""Cells in every direction."""
BEST = 16
_TEMPERATURE = 0.05
_BLOCK = 16


class Matches(NamedTuple):
    """The best matches of every cell (queries of them, row by row) in one or several anchors."""

    similarity: Tensor
    """(queries, BEST) in [-1, 1], not sorted; -inf where the window holds fewer cells."""
    cell: Tensor
    """(queries, BEST): row by row, one anchor behind the other."""


def find(query: Tensor, memory: Tensor) -> Matches:
    """Find the best matches of every cell of a frame in one anchor.

    Only what lies in a window is computed, blocks of cells at a time: all queries of a block share one piece of memory.

    Args:
        query: (C, H, W) keys of unit length.
        memory: (C, H, W), the same of the anchor.
    """
    height, width = query.shape[1:]
    similarities, indices = query.new_full((2, height, width, BEST), -torch.inf).unbind()
    ys, xs = (torch.arange(side, device=query.device) for side in (height, width))
    cells = ys[:, None] * width + xs
    for top in range(0, height, _BLOCK):
        rows, near_rows = _block(top, height)
        in_reach_y = (ys[rows, None] - ys[near_rows]).abs() <= REACH
        for left in range(0, width, _BLOCK):
            columns, near_columns = _block(left, width)
            in_reach_x = (xs[columns, None] - xs[near_columns]).abs() <= REACH
            in_reach = in_reach_y[:, None, :, None] & in_reach_x[None, :, None, :]
            here = query[:, rows, columns]
            scores = here.flatten(1).T @ memory[:, near_rows, near_columns].flatten(1)
            scores.masked_fill_(~in_reach.view(scores.shape), -torch.inf)
            best = scores.topk(min(BEST, scores.shape[1]), sorted=False)
            found = cells[near_rows, near_columns].flatten()[best.indices]
            shape = (*here.shape[1:], -1)
            similarities[rows, columns, : found.shape[1]] = best.values.view(shape)
            indices[rows, columns, : found.shape[1]] = found.view(shape).to(indices.dtype)
    return Matches(similarities.flatten(0, 1), indices.flatten(0, 1).clamp(min=0).long())


def join(matches: Sequence[Matches]) -> Matches:
    """The best matches in several anchors of equal size, taken together."""
    cells = len(matches[0].cell)
    similarity = torch.cat([each.similarity for each in matches], dim=1)
    index = torch.cat([each.cell + number * cells for number, each in enumerate(matches)], dim=1)
    best = similarity.topk(BEST, sorted=False)
    return Matches(best.values, index.gather(1, best.indices))


def read(matches: Matches, values: Tensor) -> Tensor:
    """What the matched cells hold, weighted by a softmax over similarity / 0.05.

    Args:
        matches: of every cell.
        values: (cells, channels), the cells of all anchors that the matches speak of, one anchor behind the other.

    Returns:
        (queries, channels).
    """
    shares = torch.softmax(matches.similarity / _TEMPERATURE, dim=1)
    return functional.embedding_bag(matches.cell, values, per_sample_weights=shares, mode="sum")


def to_cells(masks: Tensor) -> Tensor:
    """Masks (N, C, h, w), sides multiples of 8 -> their sub-cells (N, 16 C, h / 8, w / 8)."""
    return functional.pixel_unshuffle(functional.avg_pool2d(masks, CELL_PX // SUB_CELLS), SUB_CELLS)


def from_cells(cells: Tensor) -> Tensor:
    """The other way, at half the pixels' resolution: (N, 16 C, H, W) -> (N, C, 4 H, 4 W)."""
    return functional.pixel_shuffle(cells, SUB_CELLS)


def _block(start: int, side: int) -> tuple[slice, slice]:
    """A block of cells along one axis, and the cells in reach of any of it."""
    stop = min(start + _BLOCK, side)
    return slice(start, stop), slice(max(0, start - REACH), min(side, stop + REACH))
