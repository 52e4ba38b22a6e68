"""What is known of a frame between two anchors: what matching reads (`reading.py`), and what optical flow carries.

Both are fused by a rule (`_fused`).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stages.engines.propagators.match.matching import SUB_CELLS, from_cells
from stages.engines.propagators.match.reading import Readout

_AGREEMENT_FALL = 4.0
_MATCHING_WEIGHT = 0.7
_LEAST_TRUST = 0.1
_TINY = 1e-6


class Evidence(NamedTuple):
    """What is known of M masks before the decoder looks at the picture."""

    readouts: Tensor
    """(M, 48, h / 8, w / 8): sub-cells to go by, of the anchor before, of the one after.

    To go by are both anchors together, or the one that has the object; in the place of one that lacks it stands what
    both say, the one's object against the other's background.
    """
    similarity: Tensor
    """(M, 2, h / 8, w / 8) of the best match in either anchor, in [-1, 1]."""
    priors: Tensor
    """(M, 2, h / 2, w / 2) in [0, 1]: masks that flow carried from the anchor before and the one after."""
    trusts: Tensor
    """(M, 2, h / 2, w / 2) in [0, 1]: how far either is to be trusted; 0 where there is no flow."""
    flow: Tensor
    """(M, 1, h / 2, w / 2): both joined, or that of the anchor that has the object."""
    trust: Tensor
    """(M, 1, h / 2, w / 2) in [0, 1]: how far that is to be trusted."""
    flow_weight: Tensor
    """(M, 1, h / 2, w / 2) in [0, 1]: how much it counts."""
    base: Tensor
    """(M, 1, h / 2, w / 2) in [0, 1]: masks, matching and flow fused."""
    has: Tensor
    """(M, 2) 0 or 1: whether either anchor has the object."""
    found: Tensor
    """(M, 4): how well its cells on either anchor are found again, and by how much better than others."""
    position: Tensor
    """(M,): 0 at the anchor before, 1 at the one after."""
    rivals: Tensor
    """(M, 1, h / 2, w / 2) in [0, 1]: where other objects are, as far as `base` knows."""


def gather(readout: Readout, priors: Tensor, trusts: Tensor, position: Tensor) -> Evidence:
    """Put together what is known of all objects on N frames; M is N x objects, those of a frame side by side.

    Args:
        readout: see `look_up`.
        priors: (N, 2, objects, h / 2, w / 2) in [0, 1]: masks as flow carries them from either side; a single one
            stands for both, and 0.5 for none.
        trusts: (N, 2, objects, h / 2, w / 2) in [0, 1]; 0 where there is no flow.
        position: (N,) 0 at the anchor before, 1 at the one after; 0.5 if there is only one.
    """
    objects = readout.together.shape[1]
    has = readout.has.to(priors.dtype)
    own = (readout.has & ~readout.has.flip(1))[..., None, None, None]  # by this side alone
    to_go_by = torch.where(own[:, 0], readout.sides[:, 0], readout.together)
    to_go_by = torch.where(own[:, 1], readout.sides[:, 1], to_go_by)
    sides = torch.where(own.flip(1), readout.together[:, None], readout.sides)
    readouts = torch.cat([to_go_by[:, None], sides], dim=1).transpose(1, 2).flatten(2, 3).flatten(0, 1)

    nearness = torch.stack([1 - position, position], dim=1)[:, :, None] * has
    shares = nearness[..., None, None]
    weights = shares * (trusts + _LEAST_TRUST)
    flow = (weights * priors).sum(dim=1) / weights.sum(dim=1).clamp(min=_TINY)
    trust = (shares * trusts).sum(dim=1) / shares.sum(dim=1).clamp(min=_TINY)

    def for_each(values: Tensor) -> Tensor:
        return values[:, None].expand(-1, objects, *values.shape[1:]).flatten(0, 1)

    found = torch.cat([readout.found, readout.found - readout.usual[..., None]], dim=1)
    has = has.transpose(1, 2).flatten(0, 1)
    priors, trusts = (each.transpose(1, 2).flatten(0, 1) for each in (priors, trusts))
    flow, trust = (each.flatten(0, 1)[:, None] for each in (flow, trust))
    weight = _flow_weight(trust, priors, has)
    return Evidence(
        readouts,
        for_each(readout.similarity),
        priors,
        trusts,
        flow,
        trust,
        weight,
        _fused(flow, weight, readouts),
        has,
        found.transpose(1, 2).flatten(0, 1),
        for_each(position),
        torch.zeros_like(flow),
    )


def against(base: Tensor, outside: Tensor) -> Tensor:
    """Where the rivals of each object are: 1 - the product of (1 - p) over the others.

    Args:
        base: (N, objects, h, w) in [0, 1], see `Evidence`.
        outside: (N, 1, h, w) in [0, 1], objects that are looked at elsewhere.
    """
    free = 1 - base
    others = [
        torch.cat([free[:, :number], free[:, number + 1 :], 1 - outside], dim=1).prod(dim=1)
        for number in range(base.shape[1])
    ]
    return 1 - torch.stack(others, dim=1)


def _fused(flow: Tensor, weight: Tensor, readouts: Tensor) -> Tensor:
    """Matching and flow, weighted by the trust in flow: masks (M, 1, h / 2, w / 2) in [0, 1].

    base = (w pf + 0.7 pm) / (w + 0.7),  w = mean trust * exp(-4 mean |forward - backward|), means over about 9 pixels.
    """
    return (weight * flow + _MATCHING_WEIGHT * _matched(readouts)) / (weight + _MATCHING_WEIGHT)


def _matched(readouts: Tensor) -> Tensor:
    """The masks that matching alone gives."""
    return _blur(from_cells(readouts[:, : SUB_CELLS**2]))


def _flow_weight(trust: Tensor, priors: Tensor, has: Tensor) -> Tensor:
    """(M, 1, h / 2, w / 2) in [0, 1], see `_fused`; shapes are those of `Evidence`."""
    in_both = has.prod(dim=1).view(-1, 1, 1, 1)
    layers = torch.cat([trust, (priors[:, :1] - priors[:, 1:]).abs() * in_both], dim=1)
    for axis in (2, 3):  # one after the other, which is quicker than both at once
        window, padding = ((5, 1), (2, 0)) if axis == 2 else ((1, 5), (0, 2))
        layers = functional.avg_pool2d(layers, window, stride=1, padding=padding, count_include_pad=False)
    return layers[:, :1] * torch.exp(-_AGREEMENT_FALL * layers[:, 1:])


def _blur(masks: Tensor) -> Tensor:
    """Sub-cells are steps; a binomial over five of them makes slopes of these."""
    taps = masks.new_tensor([1, 4, 6, 4, 1]) / 16
    padded = functional.pad(masks, (2, 2, 2, 2), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))
