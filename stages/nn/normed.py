"""Convolutions as detectron2 names them: the normalisation is a part of its convolution, `conv1.norm.weight`."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

_EPSILON = 1e-5


class NormedConv2d(nn.Conv2d):
    """A convolution without bias, a normalisation behind it, and perhaps a ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        norm: nn.Module,
        stride: int = 1,
        padding: int = 0,
        rectified: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        self.norm = norm
        self._rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H', W')."""
        x = self.norm(super().forward(x))
        return functional.relu_(x) if self._rectified else x


class FrozenNorm(nn.Module):
    """Batch normalisation by numbers that no training changes."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}.items():
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W), scaled and shifted."""
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=_EPSILON)


def fold_frozen_norms(network: nn.Module) -> None:
    """Move frozen normalisations into the weights of their convolutions, in place."""
    for conv in network.modules():
        if isinstance(conv, NormedConv2d) and isinstance(norm := conv.norm, FrozenNorm):
            numbers = norm.running_mean, norm.running_var, _EPSILON, norm.weight, norm.bias
            conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, None, *numbers)
            conv.norm = nn.Identity()
