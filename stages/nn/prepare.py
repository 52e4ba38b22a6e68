"""How a network is made ready for inference: the one way, for all engines."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stages.core.errors import InputError
from stages.nn.fused import compute_in
from stages.nn.residual import Bottleneck
from stages.nn.winograd import use_winograd

Precision = Literal["float32", "bfloat16"]


def prepare(
    network: nn.Module,
    device: str = "cpu",
    rearranged: Callable[[nn.Module], nn.Module] | None = None,
    precision: Precision = "float32",
) -> nn.Module:
    """Make a network ready: on its device, frozen, and arranged for speed.

    Args:
        network: filled, in eval mode; it is taken over, and may be changed.
        device: see `choose_device`.
        rearranged: what the engine knows to make of it, the same function in less time; None computes step by step as
            the original.
        precision: of its fused convolutions.

    Raises:
        InputError: the GPU is not there.
    """
    place = choose_device(device)
    if place.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # on by default: masks would be other ones than a CPU's
    network = network.to(place).requires_grad_(False)
    network = network if rearranged is None else rearranged(network)
    if precision != "float32":
        compute_in(network, getattr(torch, precision))
    return network


def for_inference(network: nn.Module) -> nn.Module:
    """Freeze a network in place, and arrange it for a CPU if it is on one.

    For networks that need gradients, or see many sizes.

    What sees a few sizes only, without gradients, is faster still if its convolutions are fused (`fused.py`).

    Memory is laid out channels last, and 1x1 convolutions are declared dilated. A single point has no neighbours to
    spread, so that means nothing, except that PyTorch takes oneDNN for "dilated" convolutions also on one thread, which
    is twice as fast as its own way for 1x1 kernels. On a CPU, wide 3x3 convolutions are done by Winograd's method:
    their weights must not change any more, and have other names.
    """
    if not all(parameter.is_cpu for parameter in network.parameters()):
        return network.requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            module.dilation = (2, 2)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in PyTorch's annotations
    use_winograd(network.requires_grad_(False))
    return network


def choose_device(name: str) -> torch.device:
    """The place that a name stands for: `cpu`, `cuda`, `cuda:1`, or `auto`, the first GPU if there is one.

    Raises:
        InputError: the GPU is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"found the device {name!r}, but there is no usable GPU; take 'cpu' or 'auto'")
    return torch.device(name)


def fold_batch_norms(module: nn.Module) -> None:
    """Move the batch norms that directly follow a convolution into its weights, in place."""
    names = list(dict(module.named_children()))
    if isinstance(module, Bottleneck):
        followers = [(f"conv{i}", f"bn{i}") for i in (1, 2, 3)]
    else:
        followers = list(pairwise(names)) if isinstance(module, nn.Sequential) else []
    for conv_name, norm_name in followers:
        conv, norm = getattr(module, conv_name), getattr(module, norm_name)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(module, norm_name, nn.Identity())
