"""What engines do where their network is not on the CPU: the same masks, and nothing that only a CPU has."""

import pytest

from stages.testing.scenes import Scene
from tests.engines.contracts.engines import ENGINES, build, try_out
from tests.pretended_gpu import DEVICE, pretended_gpu

SCENE = Scene(height=48, width=64, objects=2)
NETWORKS = {each.network.key: each for each in reversed(ENGINES) if each.network}


@pytest.mark.slow
@pytest.mark.parametrize("key", NETWORKS)
def test_masks_are_those_of_the_cpu(key: str) -> None:
    """Networks that come without weights have arbitrary ones."""
    engine = NETWORKS[key]
    on_cpu = try_out(engine, build(engine), SCENE)
    with pretended_gpu():
        elsewhere = try_out(engine, build(engine, device=DEVICE), SCENE)
    for one, other in zip(on_cpu, elsewhere, strict=True):
        assert ((one > 0.5) != (other > 0.5)).mean() <= 0.001
