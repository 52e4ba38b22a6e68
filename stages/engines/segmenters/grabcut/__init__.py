"""Anchor masks by GrabCut: no weights, no training."""

from stages.engines.spec import Cost, Spec

SPEC = Spec(
    plug="segmenter",
    name="grabcut",
    package=__name__,
    build="engine:GrabCut",
    summary="colour models around the strokes (Rother et al., SIGGRAPH 2004)",
    cost=Cost(seconds=1.0),
)
