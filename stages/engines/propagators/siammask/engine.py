"""SiamMask as a `Propagator`: one tracker per object and direction, fused."""

from stages.engines.bidirectional import Bidirectional
from stages.engines.propagators.siammask.lite import SiamMaskLite
from stages.engines.propagators.siammask.network import SiamMask
from stages.engines.propagators.siammask.tracker import siammask


def engine(
    network: SiamMask | SiamMaskLite, configuration: str, *, device: str, exact: bool, padding: float, lost_score: float
) -> Bidirectional:
    """Build the engine.

    Args:
        network: filled, in eval mode.
        configuration: `davis`, `vot`, `vot18`, `base` or `lite`.
        device: `auto`, `cpu` or `cuda`.
        exact: step by step as the original; see `stages.engines.propagators.siammask.tracker.siammask`.
        padding: share of the anchor mask's size by which the first box is grown on each side.
        lost_score: below it a target counts as lost; 0 switches the loss gate off: neither score nor area are judged.
    """
    minimum_score = lost_score or None
    make_tracker = siammask(
        network, configuration, exact=exact, device=device, padding=padding, minimum_score=minimum_score
    )
    return Bidirectional(make_tracker, minimum_score)
