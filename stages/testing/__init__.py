"""What every engine must pass: one class per plug point, for the engines of this project and for those of others.

An engine's test is a class that makes the engine; pytest, or any other runner of `test_*` methods, does the rest:

    from stages.testing import PropagatorContract

    class TestMine(PropagatorContract):
        def engine(self):
            return Mine()

No weights, files or downloads are needed, and no quality is asked for: the pictures are drawn, and a network with
arbitrary weights passes. What is shown is what the pipeline relies on, as `stages.engines.protocols` states it.
"""

from stages.testing.propagators import PropagatorContract
from stages.testing.refiners import RefinerContract
from stages.testing.segmenters import SegmenterContract

__all__ = ["PropagatorContract", "RefinerContract", "SegmenterContract"]
