"""The large networks, whose weights nobody may pass on: arbitrary weights show shapes, ranges and determinism, too."""

import pytest

from stages.engines.engine import Engine
from stages.testing.checks import check_same
from stages.testing.scenes import Scene
from tests.engines.contracts.engines import ENGINES, build, try_out


def one_of_each_network() -> list[Engine]:
    """The first engine of each network that is not here, and of each way to run it."""
    found: dict[str, Engine] = {}
    for engine in ENGINES:
        if engine.network is not None and not engine.comes_with_weights:
            found.setdefault(f"{engine.network.key} {engine.network.arguments}", engine)
    return list(found.values())


@pytest.mark.slow
@pytest.mark.parametrize("engine", one_of_each_network(), ids=lambda engine: engine.name)
def test_a_network_with_arbitrary_weights_runs_and_does_the_same_again(engine):
    built, scene = build(engine, brs_mode="NoBRS"), Scene(33, 57)  # nothing to find for an optimisation
    for one, other in zip(try_out(engine, built, scene), try_out(engine, built, scene), strict=True):
        check_same(one, other, engine.name)
