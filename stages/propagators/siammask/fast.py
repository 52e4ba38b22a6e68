"""The same network, arranged for speed; equal to `network.py` within rounding.

What is saved, against the original procedure: the template's kernels are made once and not in every frame; the heads of
the three branches share one convolution; the mask branch looks only at the cell that the box was found in, and its
3969-channel head is not computed when its result would be refined anyway; convolutions are fused (see `fused.py`).
"""

from copy import copy
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stages.propagators.siammask.fused import FusedConvolution, fuse
from stages.propagators.siammask.network import (
    SiamMask,
    SiamMaskSharp,
    correlate_depthwise,
    windows,
)


class FastMaskState(NamedTuple):
    """What one search crop leaves behind for the mask of one of its cells."""

    p0: Tensor
    p1: Tensor
    p2: Tensor
    search: Tensor
    """(N, 256, 31, 31) adjusted feature."""
    kernel: Tensor
    """(N, 256, 5, 5) the mask branch's template."""


class FastSiamMask(nn.Module):
    """Made from a network in eval mode, which it doesn't change; takes and gives what the network does."""

    def __init__(self, network: SiamMask) -> None:
        super().__init__()
        self.mask_side = network.mask_side
        cls, loc, mask = network.rpn_model.cls, network.rpn_model.loc, network.mask_model.mask
        self.features = fuse(network.features)
        self.kernels = side_by_side(cls.conv_kernel, loc.conv_kernel, mask.conv_kernel)
        self.box_search = side_by_side(cls.conv_search, loc.conv_search)
        self.mask_search = side_by_side(mask.conv_search)
        self.cls_head = fuse(cls.head)
        self.loc_head = fuse(loc.head)
        self.coarse_head = fuse(mask.head)
        self.refine_model = fuse(network.refine_model) if isinstance(network, SiamMaskSharp) else None

    def template(self, z: Tensor) -> Tensor:
        """(N, 3, 127, 127) float BGR, 0..255 -> (N, 768, 5, 5): the kernels of classes, boxes and masks."""
        feature = self.features(z)[-1][:, :, 4:-4, 4:-4]
        kernels: Tensor = self.kernels(feature)
        return kernels

    def track_mask(self, template: Tensor, x: Tensor) -> tuple[Tensor, Tensor, FastMaskState]:
        """As `SiamMask.track_mask`; x: (N, 3, 255, 255) float BGR, 0..255."""
        p0, p1, p2, search = self.features(x)
        cls_kernel, loc_kernel, mask_kernel = template.chunk(3, dim=1)
        cls_search, loc_search = self.box_search(search).chunk(2, dim=1)
        cls = self.cls_head(correlate_depthwise(cls_search, cls_kernel))
        loc = self.loc_head(correlate_depthwise(loc_search, loc_kernel))
        return cls, loc, FastMaskState(p0, p1, p2, search, mask_kernel)

    def refine(self, state: FastMaskState, y: int, x: int) -> Tensor:
        """The mask that belongs to cell (y, x), both 0..24: logits (N, side, side)."""
        seen = state.search[:, :, y : y + 7, x : x + 7]
        correlation = correlate_depthwise(self.mask_search(seen), state.kernel)
        if self.refine_model is None:
            coarse: Tensor = self.coarse_head(correlation)
            return coarse.reshape(-1, self.mask_side, self.mask_side)
        refined: Tensor = self.refine_model(correlation, *windows(state.p0, state.p1, state.p2, y, x))
        return refined


def side_by_side(*branches: nn.Sequential) -> FusedConvolution:
    """Convolution, batch norm and relu of several branches that see the same input, as one convolution."""
    folded = [fuse_conv_bn_eval(cast(nn.Conv2d, branch[0]), cast(nn.BatchNorm2d, branch[1])) for branch in branches]
    joined = copy(folded[0])
    joined.weight = nn.Parameter(torch.cat([convolution.weight for convolution in folded]))
    joined.bias = nn.Parameter(torch.cat([cast(Tensor, convolution.bias) for convolution in folded]))
    return FusedConvolution(joined, relu=True)
