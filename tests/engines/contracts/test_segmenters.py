import pytest

from stages.testing import SegmenterContract
from tests.engines.contracts.engines import at_hand, build


class TestSegmenters(SegmenterContract):
    @pytest.fixture(autouse=True, params=at_hand("segmenter"), ids=lambda engine: engine.name)
    def choose(self, request):
        self.chosen = request.param

    def engine(self):
        return build(self.chosen)
