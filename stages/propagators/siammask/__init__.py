"""SiamMask: follows an object's box and draws its mask on the way (Wang et al., CVPR 2019)."""

from collections.abc import Callable

from torch import nn

from stages.propagators.siammask.network import SiamMask, SiamMaskSharp


def _sharp() -> nn.Module:
    return SiamMaskSharp().eval()


def _base() -> nn.Module:
    return SiamMask().eval()


NETWORKS: dict[str, Callable[[], nn.Module]] = {"siammask_sharp": _sharp, "siammask_base": _base}
"""Networks by the name that `stages.weights.build_network` knows: float32, unfused, in eval mode."""
