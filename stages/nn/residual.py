"""The two residual blocks of K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning", CVPR 2016, figure 5.

Shared by the networks that are built of them, but for SiamMask, which pads in its own way. Key names (`conv1`, `bn1`,
..., `downsample.0`) are those of their checkpoints. A block that changes the channels or the stride projects its input
by `downsample`.
"""

from torch import Tensor, nn
from torch.nn import functional


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """Return what makes the residual fit the block's output, or None where it fits already."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int = 1, dilations: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        first, second = dilations
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=first, dilation=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=second, dilation=second, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = projection(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, width, ceil(H / stride), ceil(W / stride))."""
        residual = x if self.downsample is None else self.downsample(x)
        x = functional.relu_(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        x += residual
        return functional.relu_(x)


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride and the dilation), 1x1 to four times the width."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1, dilations: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        dilation = dilations[0]
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample = projection(in_channels, width * 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, 4 width, ceil(H / stride), ceil(W / stride))."""
        residual = x if self.downsample is None else self.downsample(x)
        x = functional.relu_(self.bn1(self.conv1(x)))
        x = functional.relu_(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        x += residual
        return functional.relu_(x)


def residual_layer(in_channels: int, width: int, blocks: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Bottlenecks of one width; the first one changes stride and channels, and is never dilated."""
    first = Bottleneck(in_channels, width, stride)
    return nn.Sequential(
        first, *(Bottleneck(4 * width, width, dilations=(dilation, dilation)) for _ in range(1, blocks))
    )
