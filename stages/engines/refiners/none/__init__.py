"""No refinement."""

from stages.engines.spec import Cost, Spec

SPEC = Spec(
    plug="refiner",
    name="none",
    package=__name__,
    build="engine:Unrefined",
    summary="masks stay as they are",
    cost=Cost(seconds=0.02),
)
