"""The networks of two-anchor matching: a trunk that makes keys, and a small decoder that corrects the fusion.

What is known of a frame between two anchors is what matching reads from them (`matching.py`) and what optical flow
carries from them. Both are fused by a rule (`fuse`); the decoder adds to the logit of that, and starts at zero.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.engines.propagators.match.matching import SUB_CELLS, from_cells, match, to_cells
from stages.nn.lite import Lite, channels, from_rgb, upsample

_KEY_SHARES = (0.6, 0.8)  # their squares add up to 1
_KEY_CHANNELS = channels(8) + channels(16)
_AGREEMENT_FALL = 4.0
_MATCHING_WEIGHT = 0.7
LEAST = 0.02

_LEAST_TRUST = 0.1
_TINY = 1e-6

_WHOLE = 64
_WIDTHS = {8: 80, 4: 40, 2: 16}
_MIXED = 64
_READOUT = 3 * SUB_CELLS**2


class Features(NamedTuple):
    """What the trunk says of pictures."""

    fine: Tensor
    """(N, 16, h / 2, w / 2)."""
    middle: Tensor
    """(N, 24, h / 4, w / 4)."""
    key: Tensor
    """(N, 152, h / 8, w / 8), of unit length in every cell."""


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
    has: Tensor
    """(M, 2) 0 or 1: whether either anchor has the object."""
    found: Tensor
    """(M, 4): how well its cells on either anchor are found again, and by how much better than others."""
    position: Tensor
    """(M,): 0 at the anchor before, 1 at the one after."""
    rivals: Tensor
    """(M, 1, h / 2, w / 2) in [0, 1]: where other objects are, as far as `fuse` knows."""


class MatchTrunk(nn.Module):
    """Keys from a trunk that was trained on ImageNet only: matching without any training."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Lite(deepest=16)

    def features(self, picture: Tensor) -> Features:
        """Look at pictures (N, 3, h, w) float32 RGB in [0, 255], sides multiples of 16."""
        fine, middle, coarse, coarsest = self.trunk(from_rgb(picture))
        parts = coarse, upsample(coarsest, coarse.shape[-2:])
        key = [share * functional.normalize(part) for share, part in zip(_KEY_SHARES, parts, strict=True)]
        return Features(fine, middle, torch.cat(key, dim=1))

    def forward(self, features: Features, evidence: Evidence) -> tuple[Tensor, Tensor | None]:
        """The masks' logits (M, 1, h, w), and those (M,) of the objects being there at all, if it has an opinion.

        The features are of M pictures, or of one that serves all masks.
        """
        return _twice(torch.logit(fuse(evidence), LEAST)), None


class MatchLite(MatchTrunk):
    """The same with a decoder that was trained, and the trunk from stride 8 on with it."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder()

    def forward(self, features: Features, evidence: Evidence) -> tuple[Tensor, Tensor | None]:
        """See `MatchTrunk`."""
        base = fuse(evidence)
        change, presence = self.decoder(features, evidence, base)
        return _twice(torch.logit(base, LEAST) + change), presence


class Decoder(nn.Module):
    """From cells to half the resolution, in three steps, and a look at the whole: is it there? 0.45 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        coarse, middle, fine = _WIDTHS.values()
        self.mix = nn.Conv2d(_KEY_CHANNELS, _MIXED, 1)
        evidence = _READOUT + 2 + 2 * SUB_CELLS**2 + 2 + 2 + 2 + SUB_CELLS**2
        self.coarse = nn.Sequential(_conv(evidence + _MIXED, coarse), Residual(coarse), Residual(coarse))
        self.whole = nn.Sequential(nn.Linear(2 * coarse + 2 + 4 + 1, _WHOLE), nn.ReLU(inplace=True))
        self.presence = nn.Linear(_WHOLE, 1)
        self.to_cells = nn.Linear(_WHOLE, coarse)
        self.to_middle = nn.Conv2d(coarse, middle, 1)
        self.middle_skip = nn.Conv2d(channels(4), middle, 1)
        self.middle = nn.Sequential(_conv(middle + 12, middle), Residual(middle))
        self.to_fine = nn.Conv2d(middle, fine, 1)
        self.fine_skip = _conv(channels(2), fine)
        self.fine = nn.Sequential(_conv(fine + 4, fine), Residual(fine))
        self.last = nn.Conv2d(fine, 1, 3, padding=1)
        for layer in (self.last, self.to_cells):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, features: Features, evidence: Evidence, base: Tensor) -> tuple[Tensor, Tensor]:
        """What to add to the logits at half the resolution (M, 1, h / 2, w / 2), and the logits of presence (M,)."""
        count, _, height, width = evidence.readouts.shape

        def everywhere(values: Tensor) -> Tensor:
            return values.view(count, -1, 1, 1).expand(-1, -1, height, width)

        mixed = self.mix(features.key).expand(count, -1, -1, -1)
        weights = functional.avg_pool2d(torch.cat([_flow_weight(evidence), evidence.trusts], dim=1), SUB_CELLS)
        maps = functional.pixel_unshuffle(torch.cat([evidence.priors, evidence.rivals], dim=1), SUB_CELLS)
        place = everywhere(torch.cat([evidence.position[:, None], evidence.has], dim=1))
        x = self.coarse(torch.cat([evidence.readouts, evidence.similarity, maps, weights, place, mixed], dim=1))
        parts = x.amax(dim=(2, 3)), x.mean(dim=(2, 3)), evidence.has, evidence.found, evidence.position[:, None]
        whole = self.whole(torch.cat(parts, dim=1))
        x = x + self.to_cells(whole)[..., None, None]

        read_fine = from_cells(evidence.readouts[:, : SUB_CELLS**2])
        known = torch.cat([read_fine, evidence.flow, evidence.rivals], dim=1)
        x = _twice(self.to_middle(x)) + self.middle_skip(features.middle)
        x = self.middle(torch.cat([x, functional.pixel_unshuffle(known, 2)], dim=1))

        x = _twice(self.to_fine(x)) + self.fine_skip(features.fine)
        x = self.fine(torch.cat([x, known, base], dim=1))
        return self.last(x), self.presence(whole)[:, 0]


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        return functional.relu(x + self.layers(x))


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


def _read(sums: Tensor) -> Tensor:
    """The mean of what was read: sums (N, H, W, objects x 16 + 1) -> sub-cells (N, objects, 16, H, W)."""
    return _apart(sums[..., :-1] / sums[..., -1:]).permute(0, 3, 4, 1, 2)


def _apart(cells: Tensor) -> Tensor:
    """(N, H, W, objects x 16) -> (N, H, W, objects, 16)."""
    return cells.reshape(*cells.shape[:3], -1, SUB_CELLS**2)


def gather(readout: Readout, priors: Tensor, trusts: Tensor, position: Tensor) -> Evidence:
    """Put together what is known of all objects on N frames; M is N x objects, those of a frame side by side.

    Args:
        readout: see `look_up`.
        priors: (N, 2, objects, h / 2, w / 2) in [0, 1]: masks as flow carries them from either side; a single one
            stands for both, and 0.5 for none.
        trusts: (N, 2, h / 2, w / 2) in [0, 1]; 0 where there is no flow.
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
    weights = shares * (trusts[:, :, None] + _LEAST_TRUST)
    flow = (weights * priors).sum(dim=1) / weights.sum(dim=1).clamp(min=_TINY)
    trust = (shares * trusts[:, :, None]).sum(dim=1) / shares.sum(dim=1).clamp(min=_TINY)

    def for_each(values: Tensor) -> Tensor:
        return values[:, None].expand(-1, objects, *values.shape[1:]).flatten(0, 1)

    found = torch.cat([readout.found, readout.found - readout.usual[..., None]], dim=1)
    flow = flow.flatten(0, 1)[:, None]
    return Evidence(
        readouts,
        for_each(readout.similarity),
        priors.transpose(1, 2).flatten(0, 1),
        for_each(trusts),
        flow,
        trust.flatten(0, 1)[:, None],
        has.transpose(1, 2).flatten(0, 1),
        found.transpose(1, 2).flatten(0, 1),
        for_each(position),
        torch.zeros_like(flow),
    )


def against(base: Tensor, outside: Tensor) -> Tensor:
    """Where the rivals of each object are: 1 - the product of (1 - p) over the others.

    Args:
        base: (N, objects, h, w) in [0, 1], see `fuse`.
        outside: (N, 1, h, w) in [0, 1], objects that are looked at elsewhere.
    """
    free = 1 - base
    others = [
        torch.cat([free[:, :number], free[:, number + 1 :], 1 - outside], dim=1).prod(dim=1)
        for number in range(base.shape[1])
    ]
    return 1 - torch.stack(others, dim=1)


def fuse(evidence: Evidence) -> Tensor:
    """Matching and flow, weighted by the trust in flow: masks (M, 1, h / 2, w / 2) in [0, 1].

    base = (w pf + 0.7 pm) / (w + 0.7),  w = mean trust * exp(-4 mean |forward - backward|), means over about 9 pixels.
    """
    weight = _flow_weight(evidence)
    return (weight * evidence.flow + _MATCHING_WEIGHT * matched(evidence.readouts)) / (weight + _MATCHING_WEIGHT)


def matched(readouts: Tensor) -> Tensor:
    """The masks (M, 1, h / 2, w / 2) that matching alone gives."""
    return _blur(from_cells(readouts[:, : SUB_CELLS**2]))


def _flow_weight(evidence: Evidence) -> Tensor:
    """How much the flow counts: (M, 1, h / 2, w / 2) in [0, 1]."""
    in_both = evidence.has.prod(dim=1).view(-1, 1, 1, 1)
    apart = (evidence.priors[:, :1] - evidence.priors[:, 1:]).abs() * in_both
    layers = torch.cat([evidence.trust, apart], dim=1)
    layers = functional.avg_pool2d(layers, 5, stride=1, padding=2, count_include_pad=False)
    return layers[:, :1] * torch.exp(-_AGREEMENT_FALL * layers[:, 1:])


def _blur(masks: Tensor) -> Tensor:
    """Sub-cells are steps; a binomial over five of them makes slopes of these."""
    taps = masks.new_tensor([1, 4, 6, 4, 1]) / 16
    padded = functional.pad(masks, (2, 2, 2, 2), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True))


def _twice(x: Tensor) -> Tensor:
    return upsample(x, (2 * x.shape[-2], 2 * x.shape[-1]))
