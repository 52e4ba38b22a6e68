"""CascadePSP: a mask's boundary, refined globally and locally (Cheng et al., CVPR 2020)."""

from collections.abc import Callable

from torch import nn

from stages.refiners.cascadepsp.lite import LiteCascade
from stages.refiners.cascadepsp.network import CascadePSPNetwork


def _cascadepsp() -> nn.Module:
    return CascadePSPNetwork().eval()


def _lite() -> nn.Module:
    return LiteCascade().eval()


NETWORKS: dict[str, Callable[[], nn.Module]] = {"cascadepsp": _cascadepsp, "cascadepsp_lite": _lite}
"""Networks by the name that `stages.weights.build_network` knows: float32, unfused, in eval mode."""
