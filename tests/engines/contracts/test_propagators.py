from functools import cache

import numpy as np
import pytest

from stages.core.types import TrackResult
from stages.engines import registry
from stages.engines.bidirectional import Bidirectional
from stages.testing import PropagatorContract
from tests.engines.contracts.engines import at_hand, build


class TestPropagators(PropagatorContract):
    @pytest.fixture(autouse=True, params=at_hand("propagator"), ids=lambda engine: engine.name)
    def choose(self, request):
        self.chosen = request.param

    def engine(self):
        return build(self.chosen)


class FadingTracker:
    """Its mask stays where it is, and is gone from the second frame on, without a word."""

    def start(self, frame, mask):
        self._mask = mask

    def step(self, frame):
        result = TrackResult(self._mask, (0, 0, 1, 1), 0.5)
        self._mask = self._mask * np.float32(0.5)
        return result


@pytest.mark.parametrize("minimum_score", [0.1, None])
class TestBidirectionalWithATracker(PropagatorContract):
    """What an engine is that has a tracker only."""

    @pytest.fixture(autouse=True)
    def choose(self, minimum_score):
        self.minimum_score = minimum_score

    def engine(self):
        return Bidirectional(FadingTracker, self.minimum_score)


@cache
def arbitrary_stm():
    return build(registry.find("propagator", "stm:davis"))


@pytest.mark.slow
class TestStmWithArbitraryWeights(PropagatorContract):
    """Dear to make, so it is the same in all."""

    sizes_hw = ((17, 33), (50, 35))

    def engine(self):
        return arbitrary_stm()
