import pytest

from stages.testing import RefinerContract
from tests.engines.contracts.engines import at_hand, build


class TestRefiners(RefinerContract):
    @pytest.fixture(autouse=True, params=at_hand("refiner"), ids=lambda engine: engine.name)
    def choose(self, request):
        self.chosen = request.param

    def engine(self):
        return build(self.chosen)
