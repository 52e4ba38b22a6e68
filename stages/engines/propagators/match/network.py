"""The networks of two-anchor matching: a frozen trunk that makes keys, and a small decoder that corrects the fusion.

What is known of a frame between two anchors is what matching reads from them (`matching.py`) and what optical flow
carries from them. Both are fused by a rule (`fuse`); the decoder adds to the logit of that, and starts at zero.
"""

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
    """An anchor as matching needs it."""

    key: Tensor
    """(152, H, W)."""
    values: Tensor
    """(H, W, objects x 16 + 1): sub-cells of the masks, and 1."""


class Evidence(NamedTuple):
    """What is known of N masks before the decoder looks at the picture."""

    readouts: Tensor
    """(N, 48, h / 8, w / 8): sub-cells read from both anchors together, the one before, the one after."""
    similarity: Tensor
    """(N, 2, h / 8, w / 8) of the best match in either anchor, in [-1, 1]."""
    priors: Tensor
    """(N, 2, h / 2, w / 2) in [0, 1]: masks that flow carried from the anchor before and the one after."""
    flow: Tensor
    """(N, 1, h / 2, w / 2): both joined."""
    trust: Tensor
    """(N, 1, h / 2, w / 2) in [0, 1]: how far the flow is to be trusted; 0 where there is none."""
    position: Tensor
    """(N,): 0 at the anchor before, 1 at the one after."""


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

    def forward(self, features: Features, evidence: Evidence) -> Tensor:
        """The masks' logits (N, 1, h, w)."""
        return _twice(torch.logit(fuse(evidence), LEAST))


class MatchLite(MatchTrunk):
    """The same with a decoder, the only part that is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder()

    def forward(self, features: Features, evidence: Evidence) -> Tensor:
        """The masks' logits (N, 1, h, w); features of one picture serve all masks."""
        base = fuse(evidence)
        return _twice(torch.logit(base, LEAST) + self.decoder(features, evidence, base))


class Decoder(nn.Module):
    """From cells to half the resolution, in three steps; 0.4 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        coarse, middle, fine = _WIDTHS.values()
        self.mix = nn.Conv2d(_KEY_CHANNELS, _MIXED, 1)
        evidence = _READOUT + 2 + 2 * SUB_CELLS**2 + 2
        self.coarse = nn.Sequential(_conv(evidence + _MIXED, coarse), Residual(coarse), Residual(coarse))
        self.to_middle = nn.Conv2d(coarse, middle, 1)
        self.middle_skip = nn.Conv2d(channels(4), middle, 1)
        self.middle = nn.Sequential(_conv(middle + 8, middle), Residual(middle))
        self.to_fine = nn.Conv2d(middle, fine, 1)
        self.fine_skip = _conv(channels(2), fine)
        self.fine = nn.Sequential(_conv(fine + 3, fine), Residual(fine))
        self.last = nn.Conv2d(fine, 1, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, features: Features, evidence: Evidence, base: Tensor) -> Tensor:
        """What to add to the logits, at half the resolution: (N, 1, h / 2, w / 2)."""
        readouts, similarity, priors, flow, _, position = evidence
        count, _, height, width = readouts.shape
        place = position.view(-1, 1, 1, 1).expand(count, 1, height, width)
        mixed = self.mix(features.key).expand(count, -1, -1, -1)
        weight = functional.avg_pool2d(_flow_weight(evidence), SUB_CELLS)
        prior_cells = functional.pixel_unshuffle(priors, SUB_CELLS)
        x = self.coarse(torch.cat([readouts, similarity, prior_cells, weight, place, mixed], dim=1))

        read_fine = from_cells(readouts[:, : SUB_CELLS**2])
        halves = functional.pixel_unshuffle(torch.cat([read_fine, flow], dim=1), 2)
        x = _twice(self.to_middle(x)) + self.middle_skip(features.middle)
        x = self.middle(torch.cat([x, halves], dim=1))

        x = _twice(self.to_fine(x)) + self.fine_skip(features.fine)
        x = self.fine(torch.cat([x, read_fine, flow, base], dim=1))
        return self.last(x)


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
    """Remember an anchor: its key (152, H, W), and its masks (objects, h, w) float32 in [0, 1]."""
    cells = to_cells(masks[:, None]).flatten(0, 1).permute(1, 2, 0)
    return Memory(key, functional.pad(cells, (0, 1), value=1))


def look_up(key: Tensor, memories: list[Memory]) -> tuple[Tensor, Tensor]:
    """Read masks from the anchor before and the one after, or twice from the only one there is.

    Args:
        key: (152, H, W) of the frame.
        memories: one or two.

    Returns:
        `readouts` (objects, 48, H, W) and `similarity` (2, H, W), as in `Evidence`.
    """
    sums, similarity = zip(*(match(key, each.key, each.values) for each in memories), strict=True)
    together = torch.stack(sums).sum(dim=0)
    readouts = torch.stack([total[..., :-1] / total[..., -1:] for total in (together, sums[0], sums[-1])])
    readouts = readouts.view(*readouts.shape[:3], -1, SUB_CELLS**2).permute(3, 0, 4, 1, 2).flatten(1, 2)
    return readouts, torch.stack([similarity[0], similarity[-1]])


def gather(
    readouts: Tensor, similarity: Tensor, priors: Tensor, flow: Tensor, trust: Tensor, position: Tensor
) -> Evidence:
    """Put together what is known of the masks (objects) on one frame.

    Args:
        readouts: (objects, 48, H, W), see `look_up`.
        similarity: (2, H, W), see `look_up`.
        priors: (objects, 2, h / 2, w / 2), here and below see `stages.engines.propagators.match.prior.JoinedFlow`.
        flow: (objects, h / 2, w / 2).
        trust: (h / 2, w / 2).
        position: ().
    """
    count = len(readouts)
    return Evidence(
        readouts,
        similarity.expand(count, -1, -1, -1),
        priors,
        flow[:, None],
        trust.expand(count, 1, -1, -1),
        position.expand(count),
    )


def fuse(evidence: Evidence) -> Tensor:
    """Matching and flow, weighted by the trust in flow: masks (N, 1, h / 2, w / 2) in [0, 1].

    base = (w pf + 0.7 pm) / (w + 0.7),  w = mean trust * exp(-4 mean |forward - backward|), means over about 9 pixels.
    """
    weight = _flow_weight(evidence)
    return (weight * evidence.flow + _MATCHING_WEIGHT * matched(evidence.readouts)) / (weight + _MATCHING_WEIGHT)


def matched(readouts: Tensor) -> Tensor:
    """The masks (N, 1, h / 2, w / 2) that matching alone gives, from both anchors together."""
    return _blur(from_cells(readouts[:, : SUB_CELLS**2]))


def _flow_weight(evidence: Evidence) -> Tensor:
    """How much the flow counts: (N, 1, h / 2, w / 2) in [0, 1]."""
    apart = (evidence.priors[:, :1] - evidence.priors[:, 1:]).abs()
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
