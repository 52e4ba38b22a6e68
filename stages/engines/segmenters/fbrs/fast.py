"""Prepare a network for speed: the same function but for rounding (docs/parity.md), in less time."""

from copy import deepcopy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stages.nn.prepare import for_inference


def rearranged(network: nn.Module) -> nn.Module:
    """Copy a network in eval mode, rearranged for inference; its parameters have other names then.

    Batch normalisations are folded into the convolutions before them; for the rest see `for_inference`.
    """
    network = deepcopy(network)
    for parent in list(network.modules()):
        _fold_children(parent)
    return for_inference(network)


def _fold_children(parent: nn.Module) -> None:
    """Fold neighbours. In these networks a normalisation registered right after a convolution is what follows it."""
    for (first_name, _), (second_name, _) in pairwise(list(parent.named_children())):
        conv_parent, conv_name = _leaf(parent, first_name, last=True)
        norm_parent, norm_name = _leaf(parent, second_name, last=False)
        conv, norm = conv_parent.get_submodule(conv_name), norm_parent.get_submodule(norm_name)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(conv_parent, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(norm_parent, norm_name, nn.Identity())


def _leaf(parent: nn.Module, name: str, last: bool) -> tuple[nn.Module, str]:
    """Enter nested sequences until the module that runs last (or first) in them; returns its parent and its name."""
    child = parent.get_submodule(name)
    while isinstance(child, nn.Sequential):
        parent, name = child, str(len(child) - 1 if last else 0)
        child = parent.get_submodule(name)
    return parent, name
