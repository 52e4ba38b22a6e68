"""Sharper boundaries by a guided filter: no weights, no training."""

from stages.engines.spec import Cost, Spec

SPEC = Spec(
    plug="refiner",
    name="guided",
    package=__name__,
    build="engine:Guided",
    summary="guided filter around the boundary (He et al., ECCV 2010)",
    cost=Cost(seconds=0.05),
)
