"""What matching reads on a frame: masks of the anchors and of a neighbouring frame, and how alike the cells are."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stages.engines.propagators.match.matching import SUB_CELLS, follow, from_cells, match, to_cells

_UNLIKE, _ALIKE = 0.7, 0.9
"""Similarities of a cell and its match on a neighbouring frame."""
_LEAST_NEAR = 0.05
_TINY = 1e-6


class Memory(NamedTuple):
    """N anchors as matching needs them."""

    key: Tensor
    """(N, 152, H, W)."""
    values: Tensor
    """(N, H, W, objects x 16 + 1): sub-cells of the masks, and 1."""
    has: Tensor
    """(N, objects) bool: whether an object is there at all."""


class Readout(NamedTuple):
    """What matching reads on N frames from the anchors before them (first) and after them."""

    together: Tensor
    """(N, objects, 16, H, W): sub-cells, of all anchors."""
    sides: Tensor
    """(N, 2, objects, 16, H, W): of either."""
    similarity: Tensor
    """(N, 2, H, W) of the best match in either, in [-1, 1]."""
    found: Tensor
    """(N, 2, objects): how well the cells of an object on the anchor are found again, mean similarity, in [-1, 1]."""
    usual: Tensor
    """(N, 2): the same of all cells of the anchor."""
    has: Tensor
    """(N, 2, objects) bool: whether the anchor has the object."""


def memory(key: Tensor, masks: Tensor) -> Memory:
    """Remember N anchors: their keys (N, 152, H, W), and masks (N, objects, h, w) float32 in [0, 1]."""
    cells = to_cells(masks).permute(0, 2, 3, 1)
    return Memory(key, functional.pad(cells, (0, 1), value=1), (masks > 0.5).flatten(2).any(dim=2))


def look_up(key: Tensor, memories: Sequence[Memory], beyond: Sequence[Memory] = ()) -> Readout:
    """Read masks from the anchors before and those after, or twice from the only ones there are.

    Args:
        key: (N, 152, H, W) of the frames.
        memories: one or two.
        beyond: further ones; they count where all anchors are read together.
    """
    matches = [match(key, each.key, each.values) for each in memories]
    further = [match(key, each.key, each.values) for each in beyond]
    total = torch.stack([each.sums for each in (*matches, *further)]).sum(dim=0)
    cells = [_apart(each.values[..., :-1]).mean(dim=4) for each in memories]
    found = [
        torch.einsum("nhwo,nhw->no", shares, each.reached) / shares.sum(dim=(1, 2)).clamp(min=1e-6)
        for shares, each in zip(cells, matches, strict=True)
    ]
    usual = [each.reached.mean(dim=(1, 2)) for each in matches]
    pairs = (
        [_read(each.sums) for each in matches],
        [each.similarity for each in matches],
        [torch.where(each.has, value, mean[:, None]) for each, value, mean in zip(memories, found, usual, strict=True)],
        usual,
        [each.has for each in memories],
    )
    return Readout(_read(total), *(torch.stack([each[0], each[-1]], dim=1) for each in pairs))


def followed(key: Tensor, neighbour: Tensor, masks: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """What the masks of a neighbouring frame become by matching alone.

    Args:
        key: (1, 152, H, W) of the frame.
        neighbour: the same of the neighbouring one.
        masks: (objects, h / 2, w / 2) in [0, 1].
        where: (H, W) bool: the cells that are asked for.

    Returns:
        Masks (objects, h / 2, w / 2), and how far they are to be trusted (1, h / 2, w / 2) in [0, 1]: 0 elsewhere.
    """
    cells = functional.pixel_unshuffle(masks[None], SUB_CELLS)[0].permute(1, 2, 0)
    read, similarity = follow(key[0], neighbour[0], cells, where)
    cells, trust = torch.zeros_like(cells), torch.zeros(where.shape, device=key.device)
    cells[where] = read
    trust[where] = ((similarity - _UNLIKE) / (_ALIKE - _UNLIKE)).clamp(0, 1)
    trust = trust.repeat_interleave(SUB_CELLS, 0).repeat_interleave(SUB_CELLS, 1)
    return from_cells(cells.permute(2, 0, 1)[None])[0], trust[None]


def told_apart(readout: Readout, near: Tensor) -> Readout:
    """The same, where objects look alike divided among them by where they were a frame ago.

    How much of a cell is an object's at all is left as it was read; of look-alikes each one's cells say so.

    Args:
        readout: see `look_up`.
        near: (N, objects, h / 2, w / 2) in [0, 1], masks of neighbouring frames, carried to these; all 0 says nothing.
    """
    cells = functional.pixel_unshuffle(near[:, :, None], SUB_CELLS)

    def divided(read: Tensor, cells: Tensor) -> Tensor:
        shares = read * (cells + _LEAST_NEAR)
        return shares * (read.sum(dim=-4, keepdim=True) / shares.sum(dim=-4, keepdim=True).clamp(min=_TINY))

    sides = divided(readout.sides, cells[:, None])
    return readout._replace(together=divided(readout.together, cells), sides=sides)


def _read(sums: Tensor) -> Tensor:
    """The mean of what was read: sums (N, H, W, objects x 16 + 1) -> sub-cells (N, objects, 16, H, W)."""
    return _apart(sums[..., :-1] / sums[..., -1:]).permute(0, 3, 4, 1, 2)


def _apart(cells: Tensor) -> Tensor:
    """(N, H, W, objects x 16) -> (N, H, W, objects, 16)."""
    return cells.reshape(*cells.shape[:3], -1, SUB_CELLS**2)
