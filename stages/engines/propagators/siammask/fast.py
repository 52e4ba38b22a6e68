"""The same networks arranged for speed; equal to those of `network.py` within rounding.

What is saved, against the original procedure: the template's kernels are made once, not in every frame; branches that
see the same input share a convolution; the mask branch works on the one cell whose mask is wanted, without its
3969-channel head where that mask is refined; convolutions are fused (see `stages.nn.fused`).
"""

import copy
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stages.engines.propagators.siammask.lite import SiamMaskLite
from stages.engines.propagators.siammask.network import (
    COARSE_SIDE,
    SiamMask,
    SiamMaskSharp,
    correlate_depthwise,
    windows,
)
from stages.nn.fused import FusedConvolution, fuse, fuse_convolutions


class FastMaskState(NamedTuple):
    """What one search crop leaves behind for the mask of one of its cells."""

    p0: Tensor
    p1: Tensor
    p2: Tensor
    search: Tensor
    """(N, 256, 31, 31) adjusted feature."""
    kernel: Tensor
    """(N, 256, 5, 5) the mask branch's template."""


def rearranged(network: nn.Module) -> nn.Module:
    """The same function for less; the network, in eval mode and on its device, isn't changed."""
    if isinstance(network, SiamMaskLite):
        return _fused(network)
    if isinstance(network, SiamMaskSharp):
        return FastSiamMaskSharp(network)
    return FastSiamMask(cast(SiamMask, network))


def _fused(network: SiamMaskLite) -> SiamMaskLite:
    """A copy for inference with its normalisations inside of its convolutions; equal within rounding."""
    fast = copy.deepcopy(network)
    for head in (fast.cls, fast.loc, fast.mask):
        for name, part in list(head.named_children()):
            setattr(head, name, fuse(part))
    for name in ("near", "far"):
        setattr(fast.features, name, fuse(getattr(fast.features, name)))
    fast.ladder = fuse(fast.ladder)  # type: ignore[assignment]
    fuse_convolutions(fast.features.trunk)
    return fast


class FastSiamMask(nn.Module):
    """Takes and gives what `SiamMask` does, but for the kind of template and state."""

    sees_mask: bool = False
    close_context: float | None = None

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
        self.mask_head = fuse(mask.head)

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

    def correlation(self, state: FastMaskState, y: int, x: int) -> Tensor:
        """The mask branch at cell (y, x), before its head: (N, 256, 1, 1)."""
        seen = state.search[:, :, y : y + 7, x : x + 7]
        return correlate_depthwise(self.mask_search(seen), state.kernel)

    def refine(self, state: FastMaskState, y: int, x: int) -> Tensor:
        """As `SiamMask.refine`."""
        coarse: Tensor = self.mask_head(self.correlation(state, y, x))
        return coarse.reshape(-1, COARSE_SIDE, COARSE_SIDE)


class FastSiamMaskSharp(FastSiamMask):
    """Takes and gives what `SiamMaskSharp` does."""

    def __init__(self, network: SiamMaskSharp) -> None:
        super().__init__(network)
        self.deconv = network.refine_model.deconv
        self.refine_model = fuse(network.refine_model)

    def refine(self, state: FastMaskState, y: int, x: int) -> Tensor:
        """As `SiamMaskSharp.refine`."""
        weight, bias = self.deconv.weight, cast(Tensor, self.deconv.bias)
        # Of a single pixel, a transposed convolution is one matrix product.
        grown = self.correlation(state, y, x).flatten(1) @ weight.flatten(1)
        grown = grown.reshape(-1, *weight.shape[1:]) + bias[:, None, None]
        refined: Tensor = self.refine_model(grown, *windows(state.p0, state.p1, state.p2, y, x))
        return refined


def side_by_side(*branches: nn.Sequential) -> FusedConvolution:
    """Convolution, batch norm and relu of several branches that see the same input, as one convolution."""
    joined, *others = (fuse_conv_bn_eval(cast(nn.Conv2d, part[0]), cast(nn.BatchNorm2d, part[1])) for part in branches)
    joined.weight = nn.Parameter(torch.cat([joined.weight, *(other.weight for other in others)]))
    joined.bias = nn.Parameter(torch.cat([cast(Tensor, part.bias) for part in (joined, *others)]))
    return FusedConvolution(joined, nn.ReLU)
