"""SiamMask: follows an object's box and draws its mask on the way (Wang et al., CVPR 2019)."""

from collections.abc import Callable

from torch import nn

from stages.propagators.siammask.lite import SiamMaskLite
from stages.propagators.siammask.network import SiamMask, SiamMaskSharp


def _sharp() -> nn.Module:
    return SiamMaskSharp().eval()


def _base() -> nn.Module:
    return SiamMask().eval()


def _lite() -> nn.Module:
    return SiamMaskLite().eval()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "siammask_sharp": _sharp,
    "siammask_base": _base,
    "siammask_lite": _lite,
}
"""Networks by the name that `stages.weights.build_network` knows: float32, unfused, in eval mode."""
