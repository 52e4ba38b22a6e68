"""The same function in fewer operations: what is done once, when the weights are loaded, for inference.

Every step is exact algebra; the results differ by float32 rounding only (docs/parity.md has the figures).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.engines.refiners.cascadepsp.network import PyramidPooling, UpBlock, upsample
from stages.nn.fused import fuse_convolutions
from stages.nn.prepare import fold_batch_norms, for_inference


def rearranged(network: nn.Module) -> nn.Module:
    """A copy of a network, for inference alone, that computes the same in less time.

    Args:
        network: in eval mode, float32; built of the blocks of `network.py`. It is left as it is.

    Returns:
        A frozen network of the same call, whose parameters no longer have the published names.
    """
    fast = copy.deepcopy(network)
    for parent in list(fast.modules()):
        for name, child in parent.named_children():
            if isinstance(child, PyramidPooling):
                setattr(parent, name, FoldedPyramidPooling(child))
            elif isinstance(child, UpBlock):
                setattr(parent, name, FoldedUpBlock(child))
    for module in fast.modules():
        fold_batch_norms(module)
    return for_inference(fast)


def rearranged_for_few_sizes(network: nn.Module) -> nn.Module:
    """The same for a network that sees pictures of a few sizes only: its convolutions are fused, too."""
    fast = rearranged(network)
    fuse_convolutions(fast)
    return fast


class FoldedPyramidPooling(nn.Module):
    """Pyramid pooling without the wide concatenation.

    A 1x1 convolution commutes with bilinear resizing, so the bottleneck's part for each grid is merged with that grid's
    own convolution: W [up(S_k pool_k(x)), x] + b = sum_k up((W_k S_k) pool_k(x)) + W_x x + b.
    """

    def __init__(self, original: PyramidPooling) -> None:
        super().__init__()
        *grid_parts, own_part = original.bottleneck.weight.chunk(len(original.stages) + 1, dim=1)
        self.stages = nn.ModuleList()
        for stage, part in zip(original.stages, grid_parts, strict=True):
            pool, conv = stage.children()
            merged = part.flatten(1) @ conv.get_parameter("weight").flatten(1)
            self.stages.append(nn.Sequential(pool, _pointwise(merged)))
        self.bottleneck = _pointwise(own_part.flatten(1), original.bottleneck.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) -> (B, out_channels, h, w)."""
        joined: Tensor = self.bottleneck(x)
        for stage in self.stages:
            joined += F.interpolate(stage(x), x.shape[-2:], mode="bilinear", align_corners=False)
        return F.relu_(joined)


class FoldedUpBlock(nn.Module):
    """An upsampling block that does before the resolution doubles what may be done there: a quarter of its cost.

    A bilinear value is a mean of others: what shifts and scales channels commutes with it, and so does a 1x1 kernel.
    """

    _scale: Tensor
    _shift: Tensor

    def __init__(self, original: UpBlock) -> None:
        super().__init__()
        norm, *layers = original.conv
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().view(-1, 1, 1)
        shift = norm.bias.detach().view(-1, 1, 1) - norm.running_mean.view(-1, 1, 1) * scale
        self.register_buffer("_scale", scale, persistent=False)
        self.register_buffer("_shift", shift, persistent=False)
        self.conv, self.conv2, self.shortcut = nn.Sequential(*layers), original.conv2, original.shortcut

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, x_channels, h, w) and (B, skip_channels, 2h, 2w) -> (B, out_channels, 2h, 2w)."""
        skip = skip.contiguous(memory_format=torch.channels_last)  # the picture is not, and would turn the features
        split = [x.shape[1], skip.shape[1]]
        (x_scale, skip_scale), (x_shift, skip_shift) = (torch.split(each, split) for each in (self._scale, self._shift))
        joined = [upsample(torch.addcmul(x_shift, x, x_scale), 2), torch.addcmul(skip_shift, skip, skip_scale)]
        y: Tensor = self.conv(torch.cat(joined, 1))
        y += upsample(self.shortcut(x), 2)
        y += self.conv2(y)
        return y


def _pointwise(weight: Tensor, bias: Tensor | None = None) -> nn.Conv2d:
    """A 1x1 convolution with these weights (out, in)."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    conv.weight = nn.Parameter(weight[:, :, None, None].contiguous(), requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias, requires_grad=False)
    return conv
