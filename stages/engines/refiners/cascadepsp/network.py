"""CascadePSP's network: one set of weights that refines a mask in up to three passes, coarse to fine.

Cheng, Chung, Tai, Tang, "CascadePSP: Toward Class-Agnostic and Very High-Resolution Segmentation via Global and Local
Refinement", CVPR 2020 (published by its authors under the MIT licence). A dilated ResNet-50 that sees the picture and
three masks, pyramid pooling, and a decoder of three upsampling blocks. The names of the parameters are those of the
published checkpoint (without its `module.` prefix).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.core.errors import InputError
from stages.nn.residual import residual_layer

OUTPUT_STRIDE = 8
"""Height and width of the input must be multiples of this."""
MEAN_RGB = (0.485, 0.456, 0.406)
STD_RGB = (0.229, 0.224, 0.225)
"""ImageNet's mean and deviation, of colours in [0, 1]."""
POOL_SIZES = (1, 2, 3, 6)


class CascadePSPNetwork(nn.Module):
    """RGB picture and mask in, logits at three strides out (section 3.2 of the paper)."""

    def __init__(self) -> None:
        super().__init__()
        self.feats = Extractor()
        self.psp = PyramidPooling(2048, 1024)
        self.up_1 = UpBlock(1024, 256, 512)
        self.up_2 = UpBlock(512, 64, 256)
        self.up_3 = UpBlock(256, 3, 32)
        self.final_28 = head(1024)
        self.final_56 = head(512)
        self.final_11 = nn.Conv2d(32 + 3, 32, 1)
        self.final_21 = nn.Conv2d(32, 1, 1)

    def forward(
        self, x: Tensor, seg: Tensor, inter_s8: Tensor | None = None, inter_s4: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Refine a mask in three passes; a pass whose result is given is left out.

        Args:
            x: (B, 3, H, W) float32 RGB, normalised by ImageNet's mean and deviation; H and W are multiples of 8.
            seg: (B, 1, H, W) float32 in [-1, 1], the mask to refine (1 is the object).
            inter_s8: (B, 1, H, W) float32 in [-1, 1], a stride-8 result at full resolution; leaves out the first pass.
            inter_s4: the same at stride 4; leaves out the second pass. Needs `inter_s8`.

        Returns:
            (B, 1, H, W) logits `out_<name>` and probabilities `pred_<name>`. Pass 1: 28. Pass 2: 28_2, 56. Pass 3:
            28_3, 56_2 and the result, 224. The numbers are the widths at the authors' training size, 224.

        Raises:
            InputError: a size is no multiple of 8, or `inter_s4` comes without `inter_s8`.
        """
        if x.shape[-2] % OUTPUT_STRIDE or x.shape[-1] % OUTPUT_STRIDE:
            raise InputError(
                f"CascadePSP got a picture of {x.shape[-2]} x {x.shape[-1]} pixels; both sides must be multiples of "
                f"{OUTPUT_STRIDE}: use stages.engines.refiners.cascadepsp.refiner.padded_forward, which pads"
            )
        if inter_s8 is None and inter_s4 is not None:
            raise InputError("CascadePSP got inter_s4 without inter_s8: give both, or inter_s8 alone, or none")

        logits: dict[str, Tensor] = {}
        if inter_s8 is None:
            deep, _, _ = self.encode(x, seg, seg, seg)
            logits["out_28"] = upsample(self.final_28(deep), 8)
            inter_s8 = torch.tanh(logits["out_28"])

        if inter_s4 is None:
            deep, _, skip_s4 = self.encode(x, seg, inter_s8, inter_s8)
            logits["out_28_2"] = upsample(self.final_28(deep), 8)
            logits["out_56"] = upsample(self.final_56(self.up_1(deep, skip_s4)), 4)
            inter_s8 = torch.tanh(logits["out_28_2"])
            inter_s4 = torch.tanh(logits["out_56"])

        deep, skip_s2, skip_s4 = self.encode(x, seg, inter_s8, inter_s4)
        logits["out_28_3"] = upsample(self.final_28(deep), 8)
        at_s4 = self.up_1(deep, skip_s4)
        logits["out_56_2"] = upsample(self.final_56(at_s4), 4)
        at_s1 = self.up_3(self.up_2(at_s4, skip_s2), x)
        logits["out_224"] = self.final_21(F.relu(self.final_11(torch.cat([at_s1, x], 1))))

        return logits | {name.replace("out_", "pred_"): torch.sigmoid(value) for name, value in logits.items()}

    def encode(self, x: Tensor, *masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Picture and three masks -> pooled features (1024, stride 8), skips (64, stride 2) and (256, stride 4)."""
        deep, skip_s2, skip_s4 = self.feats(torch.cat([x, *masks], 1))
        return self.psp(deep), skip_s2, skip_s4


class Extractor(nn.Module):
    """ResNet-50 of output stride 8 with six input channels: RGB and three masks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(6, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = residual_layer(64, 64, blocks=3)
        self.layer2 = residual_layer(256, 128, blocks=4, stride=2)
        self.layer3 = residual_layer(512, 256, blocks=6, dilation=2)
        self.layer4 = residual_layer(1024, 512, blocks=3, dilation=4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 6, H, W) -> (B, 2048, H/8, W/8), and the skips (B, 64, H/2, W/2) and (B, 256, H/4, W/4)."""
        skip_s2 = self.conv1(x)  # the skip is taken before the normalisation
        skip_s4 = self.layer1(self.maxpool(self.relu(self.bn1(skip_s2))))
        return self.layer4(self.layer3(self.layer2(skip_s4))), skip_s2, skip_s4


class PyramidPooling(nn.Module):
    """Averages over grids of 1, 2, 3 and 6 cells a side join the features (Zhao et al., PSPNet, CVPR 2017)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), nn.Conv2d(in_channels, in_channels, 1, bias=False))
            for size in POOL_SIZES
        )
        self.bottleneck = nn.Conv2d(in_channels * (len(POOL_SIZES) + 1), out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) -> (B, out_channels, h, w)."""
        pooled = [F.interpolate(stage(x), x.shape[-2:], mode="bilinear", align_corners=False) for stage in self.stages]
        return F.relu(self.bottleneck(torch.cat([*pooled, x], 1)))


class UpBlock(nn.Module):
    """Doubles the resolution and joins a skip: two residual units, each normalised before its convolutions."""

    def __init__(self, x_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = preactivated(x_channels + skip_channels, out_channels)
        self.conv2 = preactivated(out_channels, out_channels)
        self.shortcut = nn.Conv2d(x_channels, out_channels, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, x_channels, h, w) and (B, skip_channels, 2h, 2w) -> (B, out_channels, 2h, 2w)."""
        x = upsample(x, 2)
        y: Tensor = self.conv(torch.cat([x, skip], 1)) + self.shortcut(x)
        refined: Tensor = y + self.conv2(y)
        return refined


def preactivated(in_channels: int, out_channels: int) -> nn.Sequential:
    """Twice batch norm, ReLU, 3x3 convolution."""
    units = (
        (nn.BatchNorm2d(a), nn.ReLU(inplace=True), nn.Conv2d(a, b, 3, padding=1))
        for a, b in pairwise((in_channels, out_channels, out_channels))
    )
    return nn.Sequential(*(layer for unit in units for layer in unit))


def head(in_channels: int) -> nn.Sequential:
    """Features to one channel of logits."""
    return nn.Sequential(nn.Conv2d(in_channels, 32, 1), nn.ReLU(inplace=True), nn.Conv2d(32, 1, 1))


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear, by a whole factor, corners not aligned."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
