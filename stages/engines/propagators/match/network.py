"""The networks of two-anchor matching: a trunk that makes keys, and a small decoder that corrects the fusion.

What is known of a frame is fused by a rule (`Evidence.base`); the decoder adds to its logit, and starts at zero.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.engines.propagators.match.evidence import Evidence
from stages.engines.propagators.match.matching import SUB_CELLS, from_cells
from stages.nn.fused import relu_of_sum
from stages.nn.lite import Lite, channels, from_rgb, upsample

_KEY_SHARES = (0.6, 0.8)  # their squares add up to 1
_KEY_CHANNELS = channels(8) + channels(16)
LEAST = 0.02

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


class MatchTrunk(nn.Module):
    """Keys from a trunk that was trained on ImageNet only: matching without any training."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Lite(deepest=16)

    def features(self, picture: Tensor) -> Features:
        """Look at pictures (N, 3, h, w) float32 RGB in [0, 255], sides multiples of 16."""
        fine, middle, coarse, coarsest = self.trunk(from_rgb(picture))
        coarse, coarsest = coarse.float(), coarsest.float()  # what is compared has all bits, see `Precision`
        parts = coarse, upsample(coarsest, coarse.shape[-2:])
        key = [share * functional.normalize(part) for share, part in zip(_KEY_SHARES, parts, strict=True)]
        return Features(fine, middle, torch.cat(key, dim=1))

    def forward(self, features: Features, evidence: Evidence) -> tuple[Tensor, Tensor | None]:
        """The masks' logits (M, 1, h, w), and those (M,) of the objects being there at all, if it has an opinion.

        The features are of M pictures, or of one that serves all masks.
        """
        return _twice(torch.logit(evidence.base, LEAST)), None


class MatchLite(MatchTrunk):
    """The same with a decoder that was trained, and the trunk from stride 8 on with it."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder()

    def forward(self, features: Features, evidence: Evidence) -> tuple[Tensor, Tensor | None]:
        """See `MatchTrunk`."""
        change, presence = self.decoder(features, evidence)
        return _twice(torch.logit(evidence.base, LEAST) + change), presence


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

    def forward(self, features: Features, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """What to add to the logits at half the resolution (M, 1, h / 2, w / 2), and the logits of presence (M,)."""
        count, _, height, width = evidence.readouts.shape

        def everywhere(values: Tensor) -> Tensor:
            return values.view(count, -1, 1, 1).expand(-1, -1, height, width)

        mixed = self.mix(features.key).expand(count, -1, -1, -1)
        weights = functional.avg_pool2d(torch.cat([evidence.flow_weight, evidence.trusts], dim=1), SUB_CELLS)
        maps = functional.pixel_unshuffle(torch.cat([evidence.priors, evidence.rivals], dim=1), SUB_CELLS)
        place = everywhere(torch.cat([evidence.position[:, None], evidence.has], dim=1))
        x = self.coarse(_beside(evidence.readouts, evidence.similarity, maps, weights, place, mixed)).float()
        parts = x.amax(dim=(2, 3)), x.mean(dim=(2, 3)), evidence.has, evidence.found, evidence.position[:, None]
        whole = self.whole(torch.cat(parts, dim=1))
        x = x + self.to_cells(whole)[..., None, None]

        read_fine = from_cells(evidence.readouts[:, : SUB_CELLS**2])
        known = _beside(read_fine, evidence.flow, evidence.rivals)
        x = _twice(self.to_middle(x)) + self.middle_skip(features.middle)
        x = self.middle(_beside(x, functional.pixel_unshuffle(known, 2)))

        x = _twice(self.to_fine(x)) + self.fine_skip(features.fine)
        x = self.fine(_beside(x, known, evidence.base))
        return self.last(x).float(), self.presence(whole)[:, 0]


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) -> the same shape."""
        return relu_of_sum(self.layers[-1], self.layers[:-1](x), x)


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True))


def _beside(*maps: Tensor) -> Tensor:
    """Channels of several tensors, laid out as convolutions want them."""
    return torch.cat([each.contiguous(memory_format=torch.channels_last) for each in maps], dim=1)


def _twice(x: Tensor) -> Tensor:
    return upsample(x, (2 * x.shape[-2], 2 * x.shape[-1]))
