"""Masks carried by optical flow from both anchors: no weights, no training."""

from stages.engines.spec import Cost, Spec

SPEC = Spec(
    plug="propagator",
    name="flow",
    package=__name__,
    build="engine:Flow",
    summary="dense optical flow from both anchors (DIS: Kroeger et al., ECCV 2016)",
    cost=Cost(seconds=0.06),
)
