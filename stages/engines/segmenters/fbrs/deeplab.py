"""f-BRS on DeepLabV3+ with ResNet-34, 50 or 101.

picture + clicks ─ rgb_conv ─ stem ─ layer1 ─ layer2 ─ layer3 ─ layer4 ─[A]─ ASPP ─ resize ─┐
                                        └──────────────────────────────────────── skip ─────┴─[B]─ decoder ─[C]─ head
stride              1          4        4        8        8        8                        4

L.-C. Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation", ECCV 2018, with
the changes of the f-BRS authors: a skip of 32 channels, a second decoder as head, corners aligned in every resize.
Parameter names are those of the published checkpoints (`resnet34_dh128_sbd.pth` and its siblings).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.engines.segmenters.fbrs.network import ClickNetwork, Features, Insertion, resize
from stages.nn.residual import BasicBlock, Bottleneck

Block = type[BasicBlock] | type[Bottleneck]


class DeepLab(ClickNetwork):
    """The whole network."""

    reach = {"A": None, "B": 4, "C": 2}  # noqa: RUF012 - read-only; one pixel per depthwise 3x3 convolution

    def __init__(self, block: Block, depths: Sequence[int], channels: int) -> None:
        """Build it.

        Args:
            block: of the ResNet: basic for 34 layers, bottleneck for 50 and 101.
            depths: blocks in each of its four layers.
            channels: width of ASPP and decoder ("dh" in the checkpoints' names).
        """
        super().__init__()
        self.feature_extractor = FeatureExtractor(block, depths, channels)
        self.head = Head(channels)

    def features(self, image: Tensor, points: Tensor, at: Insertion) -> Features:
        """See `ClickNetwork.features`. A: ResNet's last layer (and the skip), B: ASPP with skip, C: decoder."""
        extractor = self.feature_extractor
        c1, c4 = extractor.backbone(self.mix_clicks(image, points))
        features: Features = (c4, extractor.skip_project(c1))
        if at != "A":
            features = (extractor.fuse(*features),)
        if at == "C":
            features = (extractor.head(*features),)
        return features

    def low_logits(self, features: Features, at: Insertion) -> Tensor:
        """See `ClickNetwork.low_logits`."""
        extractor = self.feature_extractor
        fused = extractor.fuse(*features) if at == "A" else features[0]
        decoded = fused if at == "C" else extractor.head(fused)
        logits: Tensor = self.head(decoded)
        return logits


class FeatureExtractor(nn.Module):
    """Everything under the checkpoints' prefix `feature_extractor`."""

    def __init__(self, block: Block, depths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.backbone = ResNet(block, depths)
        self.head = Decoder(channels)
        self.skip_project = SkipProjection(64 * block.expansion)
        self.aspp = ASPP(512 * block.expansion, channels)

    def fuse(self, c4: Tensor, skip: Tensor) -> Tensor:
        """Join ASPP's view of c4 with the skip: (N, channels + 32, H/4, W/4)."""
        height, width = skip.shape[-2:]
        return torch.cat([resize(self.aspp(c4), (height, width)), skip], dim=1)


class ResNet(nn.Module):
    """A ResNet whose last two layers dilate instead of striding: output stride 8."""

    def __init__(self, block: Block, depths: Sequence[int]) -> None:
        super().__init__()
        if block is BasicBlock:
            stem_channels = 64
            self.conv1: nn.Module = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        else:  # "v1s" of GluonCV: three small convolutions; the last one's normalisation is `bn1`
            stem_channels = 128
            self.conv1 = nn.Sequential(
                nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(64),
                nn.ReLU(),
                nn.Conv2d(64, 64, 3, padding=1, bias=False),
                nn.BatchNorm2d(64),
                nn.ReLU(),
                nn.Conv2d(64, 128, 3, padding=1, bias=False),
            )
        self.bn1 = nn.BatchNorm2d(stem_channels)
        expansion = block.expansion
        self.layer1 = layer(block, stem_channels, 64, depths[0], stride=1, dilation=1)
        self.layer2 = layer(block, 64 * expansion, 128, depths[1], stride=2, dilation=1)
        self.layer3 = layer(block, 128 * expansion, 256, depths[2], stride=1, dilation=2)
        self.layer4 = layer(block, 256 * expansion, 512, depths[3], stride=1, dilation=4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> layer1 at stride 4 and layer4 at stride 8."""
        x = functional.relu(self.bn1(self.conv1(x)))
        c1 = self.layer1(functional.max_pool2d(x, 3, stride=2, padding=1))
        return c1, self.layer4(self.layer3(self.layer2(c1)))


def layer(block: Block, in_channels: int, width: int, depth: int, stride: int, dilation: int) -> nn.Sequential:
    """Stack blocks; the first one's first 3x3 convolution still has half the dilation of all the others."""
    first = block(in_channels, width, stride, dilations=(max(dilation // 2, 1), dilation))
    channels = width * block.expansion
    others = [block(channels, width, dilations=(dilation, dilation)) for _ in range(depth - 1)]
    return nn.Sequential(first, *others)


class SkipProjection(nn.Module):
    """A thin copy of the fine features for the decoder."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.skip_project = nn.Sequential(nn.Conv2d(in_channels, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())

    def forward(self, c1: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, 32, h, w)."""
        skip: Tensor = self.skip_project(c1)
        return skip


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: the same features seen through windows of five sizes."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.concurent = nn.ModuleList(  # the checkpoints' spelling
            [atrous(in_channels, channels, rate) for rate in (0, 12, 24, 36)] + [GlobalPooling(in_channels, channels)]
        )
        self.project = nn.Sequential(
            nn.Conv2d(5 * channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w)."""
        projected: Tensor = self.project(torch.cat([branch(x) for branch in self.concurent], dim=1))
        return projected


def atrous(in_channels: int, channels: int, rate: int) -> nn.Sequential:
    """A 3x3 convolution with holes; rate 0 is a 1x1 convolution."""
    kernel = 3 if rate else 1
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, padding=rate, dilation=max(rate, 1), bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class GlobalPooling(nn.Module):
    """The mean over the whole picture, as a branch of ASPP."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.gap = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(in_channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, channels, h, w), constant over the picture."""
        pooled: Tensor = self.gap(x)
        return pooled.expand(-1, -1, *x.shape[-2:])


class Decoder(nn.Module):
    """Two separable convolutions and a linear one, at stride 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            SeparableConv(channels + 32, channels),
            SeparableConv(channels, channels),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels + 32, h, w) -> (N, channels, h, w)."""
        decoded: Tensor = self.block(x)
        return decoded


class Head(nn.Module):
    """From decoded features to one logit."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            SeparableConv(channels, channels // 2),
            SeparableConv(channels // 2, channels // 2),
            nn.Conv2d(channels // 2, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, 1, h, w)."""
        logits: Tensor = self.layers(x)
        return logits


class SeparableConv(nn.Module):
    """Depthwise 3x3, then pointwise; nothing between the two."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) -> (N, out_channels, h, w)."""
        y: Tensor = self.body(x)
        return y
