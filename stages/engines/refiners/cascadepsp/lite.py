"""`cascadepsp:lite`: the same call and the same three passes as the network of the paper, on a small backbone.

What is different: the picture's features up to stride 4 are computed once for all passes, since the masks enter behind
them; and every output is the mask as it came in plus a correction, coarse to fine, so that a network that knows nothing
changes nothing.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.core.errors import InputError
from stages.engines.refiners.cascadepsp.network import MEAN_RGB, STD_RGB
from stages.nn.fused import relu_of_sum
from stages.nn.lite import Lite, channels, from_rgb, separable, upsample

CONFIDENCE: Final = 2.5
"""Logit that a mask's values of 1 and -1 stand for before they are corrected."""
_WIDTHS: Final = {32: 128, 16: 96, 8: 64, 4: 40, 2: 24}
"""Channels of the decoder by stride."""
_UNSHUFFLED: Final = 4 * (3 + 3)
"""Picture and masks as the decoder sees them at stride 2: four neighbours are channels of one pixel."""


class LiteCascade(nn.Module):
    """RGB picture and mask in, logits at three strides out."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Lite(maps=3)
        self.squeeze = separable(channels(32), _WIDTHS[32])
        self.whole = nn.Sequential(nn.Conv2d(_WIDTHS[32], _WIDTHS[32], 1), nn.ReLU(inplace=True))
        self.around = separable(_WIDTHS[32], _WIDTHS[32], dilation=2)
        self.lateral = nn.ModuleDict({str(s): nn.Conv2d(_seen(s), _wider(s), 1) for s in (16, 8, 4, 2)})
        self.merge = nn.ModuleDict({str(s): separable(_wider(s), _WIDTHS[s]) for s in (16, 8, 4, 2)})
        self.heads = nn.ModuleDict({"8": _head(_WIDTHS[8], 1), "4": _head(_WIDTHS[4], 1), "2": _head(_WIDTHS[2], 4)})
        for name, value in (("mean", MEAN_RGB), ("std", STD_RGB)):
            self.register_buffer(name, torch.tensor(value).view(3, 1, 1), persistent=False)

    def forward(
        self, x: Tensor, seg: Tensor, inter_s8: Tensor | None = None, inter_s4: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See `CascadePSPNetwork.forward`; `seg` may be soft."""
        if inter_s8 is None and inter_s4 is not None:
            raise InputError("CascadePSP got inter_s4 without inter_s8: give both, or inter_s8 alone, or none")
        picture = from_rgb(255 * (x * self.get_buffer("std") + self.get_buffer("mean")))
        early = self.encoder.early(picture)

        logits: dict[str, Tensor] = {}
        if inter_s8 is None:
            (logits["out_28"],) = self.correct(picture, early, (seg, seg, seg), finest=8)
            inter_s8 = torch.tanh(logits["out_28"])
        if inter_s4 is None:
            logits["out_28_2"], logits["out_56"] = self.correct(picture, early, (seg, inter_s8, inter_s8), finest=4)
            inter_s8, inter_s4 = torch.tanh(logits["out_28_2"]), torch.tanh(logits["out_56"])
        logits["out_28_3"], logits["out_56_2"], logits["out_224"] = self.correct(
            picture, early, (seg, inter_s8, inter_s4)
        )
        return logits | {name.replace("out_", "pred_"): torch.sigmoid(value) for name, value in logits.items()}

    def correct(
        self, picture: Tensor, early: tuple[Tensor, Tensor], masks: Sequence[Tensor], finest: int = 1
    ) -> list[Tensor]:
        """One pass.

        Args:
            picture: (B, 3, H, W) as the backbone wants it.
            early: what `self.encoder.early` made of it.
            masks: three of (B, 1, H, W) in [-1, 1]; the last one is what gets corrected.
            finest: stride to stop at: 8, 4 or 1.

        Returns:
            (B, 1, H, W) logits at the strides 8, 4 and 1, as far as wanted; each adds its correction to the one before.
        """
        stacked = torch.cat(list(masks), 1)
        fine, *taps, deep = self.encoder.late(early, stacked)
        x: Tensor = self.squeeze(deep)
        x = x + self.whole(x.mean(dim=(2, 3), keepdim=True))
        x = x + self.around(x)
        x = self._join(x, taps.pop(), 16)
        logits = [CONFIDENCE * masks[-1]]
        for stride, tap in zip((8, 4), reversed(taps), strict=True):
            x = self._join(x, tap, stride)
            correction: Tensor = self.heads[str(stride)](x).float()
            logits.append(logits[-1] + upsample(correction, picture.shape[-2:]))
            if stride == finest:
                return logits[1:]
        unshuffled = functional.pixel_unshuffle(torch.cat([picture, stacked], 1), 2)
        x = self._join(x, torch.cat([fine, unshuffled], 1), 2)
        return [*logits[1:], logits[-1] + functional.pixel_shuffle(self.heads["2"](x), 2)]

    def _join(self, x: Tensor, tap: Tensor, stride: int) -> Tensor:
        """Go up to the stride of a tap by adding it."""
        grown = upsample(x, tap.shape[-2:])
        joined: Tensor = self.merge[str(stride)](relu_of_sum(self.lateral[str(stride)], tap, grown))
        return joined


def _seen(stride: int) -> int:
    """Channels that enter the decoder at a stride."""
    return channels(stride) + (_UNSHUFFLED if stride == 2 else 0)


def _wider(stride: int) -> int:
    """Channels in which a level of the decoder is added: those of the level below it."""
    return _WIDTHS[2 * stride]


def _head(inputs: int, outputs: int) -> nn.Sequential:
    """Features to a correction, which is zero until it is trained."""
    last = nn.Conv2d(16, outputs, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(nn.Conv2d(inputs, 16, 1), nn.ReLU(inplace=True), last)
