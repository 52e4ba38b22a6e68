"""Looking up a frame's cells in other frames: a cell reads from the cells that look like it, the nearer ones rather.

S. W. Oh, J.-Y. Lee, N. Xu, S. J. Kim, "Video Object Segmentation using Space-Time Memory Networks", ICCV 2019, reads
from all cells alike; that distance counts a little keeps look-alikes apart.
A cell is 8 x 8 pixels. Its mask is kept as 4 x 4 sub-cells, so that what is read back is finer than the cell.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

CELL_PX = 8
SUB_CELLS = 4
TEMPERATURE = 0.03
"""Cold enough for look-alikes not to matter: picking out the best 16 matches changes nothing and takes three times as
long."""
SPREAD_CELLS = 28.0
"""Between an anchor and a frame: what is that far away counts 0.6 times as much as what is in the same place."""
NEAR_CELLS = 4.0
"""The same between neighbouring frames."""
_USUAL_CELLS = 48
"""Along the longer side. Where there are more, all distances count for less: it is the same distance on the frame."""
_CELLS_AT_ONCE = 192
"""Their weights stay in a core's own cache, and there are enough of them for products of matrices at full speed."""
_LOG2_E = math.log2(math.e)


class Matches(NamedTuple):
    """What every cell of N frames found in the anchors beside them."""

    sums: Tensor
    """(N, H, W, channels): of the values, weighted."""
    similarity: Tensor
    """(N, H, W) of a frame's cell and the best one of the anchor: 1 at most, less for distance."""
    reached: Tensor
    """(N, H, W), the other way: of an anchor's cell and the best one of the frame."""


def match(query: Tensor, anchor: Tensor, values: Tensor) -> Matches:
    """Match every cell of N frames with those of one anchor each, and sum up what these hold.

    A cell's weight is exp((similarity - 1) / temperature - (distance / spread)^2 / 2). Sums over several anchors may be
    added: divided by the sum of the weights (let a channel of the values be 1) they are what a softmax over all reads.

    Args:
        query: (N, C, H, W) keys of unit length.
        anchor: (N, C, H, W), the same of the anchors.
        values: (N, H, W, channels) of the anchors.
    """
    count, _, height, width = query.shape
    asked, cells = _placed(query, anchor)
    everywhere = values.flatten(1, 2)
    reached = query.new_full((count, height * width), -torch.inf)
    sums, highest = [], []
    for some in torch.split(asked.flatten(2).transpose(1, 2), _CELLS_AT_ONCE, dim=1):
        weights = some @ cells.flatten(2)
        found = weights.detach()
        highest.append(found.amax(dim=2))
        torch.maximum(reached, found.amax(dim=1), out=reached)
        sums.append(weights.exp2_() @ everywhere)

    def similarity(found: Tensor) -> Tensor:
        return 1 + TEMPERATURE / _LOG2_E * found.view(count, height, width)

    read = torch.cat(sums, dim=1).view(count, height, width, -1)
    return Matches(read, similarity(torch.cat(highest, dim=1)), similarity(reached))


def _placed(query: Tensor, anchor: Tensor) -> tuple[Tensor, Tensor]:
    """Keys whose products are the exponents of `match` to the base 2, which is the quicker one: (N, C + 4, H, W) each.

    Distance is a product, too: -(a - b)^2 / 2 = a b - a^2 / 2 - b^2 / 2.
    """
    count, _, height, width = query.shape
    rows, columns = (
        (torch.arange(length, device=query.device, dtype=query.dtype) - length / 2) / (SPREAD_CELLS * _wider(query))
        for length in (height, width)
    )
    place = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    far = -place.square().sum(dim=0, keepdim=True) / 2
    one = torch.ones_like(far)
    there = torch.cat([place, far - 1 / TEMPERATURE, one]).expand(count, -1, -1, -1)
    here = torch.cat([place, one, far]).expand(count, -1, -1, -1)
    return _LOG2_E * torch.cat([query / TEMPERATURE, there], dim=1), torch.cat([anchor, here], dim=1)


def _wider(keys: Tensor) -> float:
    """How many times as many cells there are along the longer side of keys (..., H, W) as usual; 1 at least."""
    return max(1.0, max(keys.shape[-2:]) / _USUAL_CELLS)


def _nearness(length: int, spread: float, like: Tensor) -> Tensor:
    """What distance along an axis takes from a score: (length, length), 0 or less."""
    places = torch.arange(length, device=like.device, dtype=like.dtype)
    return -((places[:, None] - places) ** 2) / (2 * spread**2)


def follow(query: Tensor, neighbour: Tensor, values: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """Match some cells of a frame with all cells of a neighbouring one, the nearer ones rather.

    Weights are those of `match`, with a smaller spread: look-alikes keep apart, and what moves fast is found.

    Args:
        query: (C, H, W) keys of unit length.
        neighbour: (C, H, W), the same of the neighbouring frame.
        values: (H, W, channels) of that.
        where: (H, W) bool: which cells.

    Returns:
        What these read (cells, channels), and the similarity (cells,) of their best match, in [-1, 1].
    """
    rows, columns = (_nearness(length, NEAR_CELLS * _wider(query), query) for length in where.shape)
    y, x = where.nonzero(as_tuple=True)
    similarity = query[:, where].T @ neighbour.flatten(1)
    nearness = (rows[y, :, None] + columns[x, None]).flatten(1)
    read = torch.softmax(nearness.add_(similarity, alpha=1 / TEMPERATURE), dim=1) @ values.flatten(0, 1)
    return read, similarity.amax(dim=1)


def to_cells(masks: Tensor) -> Tensor:
    """Masks (N, C, h, w), sides multiples of 8 -> their sub-cells (N, 16 C, h / 8, w / 8)."""
    return functional.pixel_unshuffle(functional.avg_pool2d(masks, CELL_PX // SUB_CELLS), SUB_CELLS)


def from_cells(cells: Tensor) -> Tensor:
    """The other way, at half the pixels' resolution: (N, 16 C, H, W) -> (N, C, 4 H, 4 W)."""
    return functional.pixel_shuffle(cells, SUB_CELLS)
