"""Which of the two refiners a network makes."""

from torch import nn

from stages.engines.protocols import Refiner
from stages.engines.refiners.pointrend.boundary import Boundary
from stages.engines.refiners.pointrend.lite import LitePoints
from stages.engines.refiners.pointrend.network import PointRend
from stages.engines.refiners.pointrend.things import Things


def refiner(network: nn.Module, *, device: str) -> Refiner:
    """The published network knows things, ours knows boundaries.

    Args:
        network: filled and in eval mode; taken over.
        device: `auto`, `cpu` or `cuda`.
    """
    if isinstance(network, PointRend):
        return Things(network, device=device)
    assert isinstance(network, LitePoints)
    return Boundary(network, device=device)
