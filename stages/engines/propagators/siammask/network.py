"""SiamMask: one template, one search crop; where the object is (boxes) and what shape it has (masks).

Q. Wang, L. Zhang, L. Bertinetto, W. Hu, P. H. S. Torr, "Fast Online Object Tracking and Segmentation: A Unifying
Approach", CVPR 2019. Reference: github.com/foolwood/SiamMask (MIT licence). Parameter names are those of the published
checkpoints (`SiamMask_DAVIS.pth` and its siblings), doubled prefixes included.

    template 127x127 ─ backbone ─ adjust ─ centre 7x7 ──┐
                                                        ├─ depth-wise correlation, 25x25 cells ─ classes, boxes, masks
    search   255x255 ─ backbone ─ adjust ─ 31x31 ───────┘
                          └ p0, p1, p2 ─────────────── one cell's correlation + windows of these ─ refined mask

Nothing of a target is stored on a network: the template and what a mask needs are returned and passed back in.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

ANCHORS_PER_CELL = 5
COARSE_SIDE = 63
REFINED_SIDE = 127


class MaskState(NamedTuple):
    """What one search crop leaves behind for the masks of its cells."""

    p0: Tensor
    """(N, 64, 125, 125) after the first convolution."""
    p1: Tensor
    """(N, 256, 63, 63) after layer1."""
    p2: Tensor
    """(N, 512, 31, 31) after layer2."""
    correlation: Tensor
    """(N, 256, 25, 25) the mask branch before its head."""
    coarse: Tensor
    """(N, 3969, 25, 25) logits: 63x63 values, row by row, for every cell."""


class SiamMask(nn.Module):
    """`siammask_base`: boxes, and a coarse 63x63 mask for every cell."""

    mask_side: int = COARSE_SIDE
    """Side of the square that `refine` returns."""
    sees_mask: bool = False
    close_context: float | None = None
    """Whether `template` wants the object's mask as a fourth channel."""

    def __init__(self) -> None:
        super().__init__()
        self.features = Features()
        self.rpn_model = RegionProposals()
        self.mask_model = MaskBranch()

    def template(self, z: Tensor) -> Tensor:
        """Describe the target.

        Args:
            z: (N, 3, 127, 127) float BGR, 0..255.

        Returns:
            (N, 256, 7, 7), to be passed to `track_mask` with every search crop.
        """
        feature: Tensor = self.features(z)[-1]
        return feature[:, :, 4:-4, 4:-4]  # what no padding has touched

    def track_mask(self, template: Tensor, x: Tensor) -> tuple[Tensor, Tensor, MaskState]:
        """Look for the target in a search crop.

        Args:
            template: what `template` returned; as many targets as crops.
            x: (N, 3, 255, 255) float BGR, 0..255.

        Returns:
            Class logits (N, 10, 25, 25): channels 0-4 background, 5-9 foreground of the five anchors; box offsets
            (N, 20, 25, 25): channels 0-4 dx, 5-9 dy, 10-14 dw, 15-19 dh; and the state for `refine`.
        """
        p0, p1, p2, search = self.features(x)
        correlation = self.mask_model.mask.correlate(template, search)
        coarse = self.mask_model.mask.head(correlation)
        cls, loc = self.rpn_model(template, search)
        return cls, loc, MaskState(p0, p1, p2, correlation, coarse)

    def refine(self, state: MaskState, y: int, x: int) -> Tensor:
        """The mask that belongs to cell (y, x), both 0..24: logits (N, 63, 63)."""
        return state.coarse[:, :, y, x].reshape(-1, COARSE_SIDE, COARSE_SIDE)


class SiamMaskSharp(SiamMask):
    """`siammask_sharp`: the coarse mask is replaced by a finer one made from the backbone's early stages."""

    mask_side: int = REFINED_SIDE

    def __init__(self) -> None:
        super().__init__()
        self.refine_model = Refine()

    def refine(self, state: MaskState, y: int, x: int) -> Tensor:
        """The mask that belongs to cell (y, x), both 0..24: logits (N, 127, 127)."""
        grown = self.refine_model.deconv(state.correlation[:, :, y : y + 1, x : x + 1])
        refined: Tensor = self.refine_model(grown, *windows(state.p0, state.p1, state.p2, y, x))
        return refined


# --------------------------------------------------------------------------------------------------- features


class Features(nn.Module):
    """Backbone and adjust layer. Key prefixes: `features.features.*`, `features.downsample.downsample.*`."""

    def __init__(self) -> None:
        super().__init__()
        self.features = Backbone()
        self.downsample = Adjust()

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """p0, p1, p2, and p3 with its 1024 channels adjusted to 256."""
        p0, p1, p2, p3 = self.features(picture)
        return p0, p1, p2, self.downsample(p3)


class Backbone(nn.Module):
    """ResNet-50 without layer4; stride 8: the first convolution is not padded, layer3 dilated instead of strided."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=0, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(
            Bottleneck(64, 64, downsample=projection(64, 256, kernel=1)),
            *(Bottleneck(256, 64) for _ in range(2)),
        )
        # Where a stage begins, the shortcut is a 3x3 convolution, not the usual 1x1 ...
        self.layer2 = nn.Sequential(
            Bottleneck(256, 128, stride=2, padding=0, downsample=projection(256, 512, kernel=3, stride=2)),
            *(Bottleneck(512, 128) for _ in range(3)),
        )
        # ... and the first block of the dilated stage is not dilated yet.
        self.layer3 = nn.Sequential(
            Bottleneck(512, 256, downsample=projection(512, 1024, kernel=3, padding=1)),
            *(Bottleneck(1024, 256, padding=2, dilation=2) for _ in range(5)),
        )

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, 3, 255, 255) -> p0 (N, 64, 125, 125), p1 (N, 256, 63, 63), p2 (N, 512, 31, 31), p3 (N, 1024, 31, 31)."""
        p0 = self.relu(self.bn1(self.conv1(picture)))
        p1 = self.layer1(self.maxpool(p0))
        p2 = self.layer2(p1)
        p3 = self.layer3(p2)
        return p0, p1, p2, p3


class Bottleneck(nn.Module):
    """1x1, 3x3 (carries stride, padding and dilation), 1x1 to four times the width; plus the shortcut."""

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int = 1,
        padding: int = 1,
        dilation: int = 1,
        downsample: nn.Sequential | None = None,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 4 width, H', W')."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: Tensor = self.relu(y + shortcut)
        return out


def projection(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    """The shortcut of a block that changes width or size."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs))


class Adjust(nn.Module):
    """1024 -> 256 channels, no relu."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample = nn.Sequential(nn.Conv2d(1024, 256, 1, bias=False), nn.BatchNorm2d(256))

    def forward(self, p3: Tensor) -> Tensor:
        """(N, 1024, H, W) -> (N, 256, H, W)."""
        adjusted: Tensor = self.downsample(p3)
        return adjusted


# ------------------------------------------------------------------------------------------------- correlation


class RegionProposals(nn.Module):
    """Which cells and anchors show the target, and how its box differs from the anchor."""

    def __init__(self) -> None:
        super().__init__()
        self.cls = CorrelationHead(2 * ANCHORS_PER_CELL)
        self.loc = CorrelationHead(4 * ANCHORS_PER_CELL)

    def forward(self, template: Tensor, search: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (N, 10, 25, 25) and box offsets (N, 20, 25, 25)."""
        return self.cls(template, search), self.loc(template, search)


class MaskBranch(nn.Module):
    """A 63x63 mask as a vector, for every cell."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = CorrelationHead(COARSE_SIDE * COARSE_SIDE)


class CorrelationHead(nn.Module):
    """Template and search features, each through its own convolution, correlated channel by channel, then 1x1."""

    def __init__(self, outputs: int, width: int = 256) -> None:
        super().__init__()
        self.conv_kernel = unpadded(width)
        self.conv_search = unpadded(width)
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, outputs, 1),
        )

    def correlate(self, template: Tensor, search: Tensor) -> Tensor:
        """(N, 256, 7, 7) and (N, 256, 31, 31) -> (N, 256, 25, 25)."""
        return correlate_depthwise(self.conv_search(search), self.conv_kernel(template))

    def forward(self, template: Tensor, search: Tensor) -> Tensor:
        """(N, 256, 7, 7) and (N, 256, 31, 31) -> (N, outputs, 25, 25)."""
        logits: Tensor = self.head(self.correlate(template, search))
        return logits


def unpadded(width: int) -> nn.Sequential:
    """3x3 convolution that loses a cell on each side."""
    return nn.Sequential(nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def correlate_depthwise(search: Tensor, kernel: Tensor) -> Tensor:
    """Slide each sample's kernel over its own search feature, channel by channel.

    Args:
        search: (N, C, H, W).
        kernel: (N, C, h, w).

    Returns:
        (N, C, H - h + 1, W - w + 1), neither flipped nor scaled.
    """
    samples, channels = kernel.shape[:2]
    kernels = kernel.flatten(0, 1).unsqueeze(1)
    correlation = functional.conv2d(search.flatten(0, 1).unsqueeze(0), kernels, groups=samples * channels)
    return correlation.reshape(samples, channels, *correlation.shape[2:])


# -------------------------------------------------------------------------------------------------- refinement


class Refine(nn.Module):
    """One cell's correlation vector, grown to 15x15 by `deconv`, becomes 127x127 with the help of ever finer features.

    The windows are cut first and convolved after, so `v*` see zeros around the window and not what lies beside it:
    they can't be computed once for the whole crop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.v0 = two_convolutions(64, 16, 4)
        self.v1 = two_convolutions(256, 64, 16)
        self.v2 = two_convolutions(512, 128, 32)
        self.h2 = two_convolutions(32, 32, 32)
        self.h1 = two_convolutions(16, 16, 16)
        self.h0 = two_convolutions(4, 4, 4)
        self.deconv = nn.ConvTranspose2d(256, 32, 15, stride=15)
        self.post0 = nn.Conv2d(32, 16, 3, padding=1)
        self.post1 = nn.Conv2d(16, 4, 3, padding=1)
        self.post2 = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, grown: Tensor, f0: Tensor, f1: Tensor, f2: Tensor) -> Tensor:
        """(N, 32, 15, 15) and the windows of `windows` -> logits (N, 127, 127)."""
        a = self.post0(enlarge(self.h2(grown) + self.v2(f2), 31))
        a = self.post1(enlarge(self.h1(a) + self.v1(f1), 61))
        a = self.post2(enlarge(self.h0(a) + self.v0(f0), REFINED_SIDE))
        logits: Tensor = a.squeeze(1)
        return logits


def windows(p0: Tensor, p1: Tensor, p2: Tensor, y: int, x: int) -> tuple[Tensor, Tensor, Tensor]:
    """What cell (y, x) saw of the early stages, zero outside of the crop: 61x61 of p0, 31x31 of p1, 15x15 of p2."""
    return (
        padded_window(p0, 4 * y - 16, 4 * x - 16, 61),
        padded_window(p1, 2 * y - 8, 2 * x - 8, 31),
        padded_window(p2, y - 4, x - 4, 15),
    )


def padded_window(feature: Tensor, top: int, left: int, side: int) -> Tensor:
    """A square that may begin or end outside of the feature, where zeros are."""
    height, width = feature.shape[2:]
    bottom, right = top + side, left + side
    inside = feature[:, :, max(top, 0) : bottom, max(left, 0) : right]
    border = (max(-left, 0), max(right - width, 0), max(-top, 0), max(bottom - height, 0))
    return functional.pad(inside, border)


def two_convolutions(inputs: int, middle: int, outputs: int) -> nn.Sequential:
    """3x3, relu, 3x3, relu."""
    return nn.Sequential(
        nn.Conv2d(inputs, middle, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )


def enlarge(x: Tensor, side: int) -> Tensor:
    """Nearest neighbour with source index floor(i * in / out), as the original enlarges (not "nearest-exact")."""
    return functional.interpolate(x, size=(side, side), mode="nearest")
