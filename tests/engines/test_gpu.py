"""What engines do where their network is not on the CPU: the same masks, and nothing that only a CPU has."""

import pytest

from stages.testing.scenes import Scene
from tests.engines.contracts.engines import ENGINES, build, try_out
from tests.pretended_gpu import DEVICE, pretended_gpu

SCENE = Scene(height=48, width=64, objects=2)
LARGER = {"fbrs_resnet50_dh128", "fbrs_resnet101_dh256", "fbrs_hrnet18_ocr64", "fbrs_hrnet32_ocr128"}
"""Of the same code as others."""
NETWORKS = {each.network.key: each for each in reversed(ENGINES) if each.network and each.network.key not in LARGER}
LEAST_STEP = 0.01
"""Of a probability. f-BRS optimises, which makes more of rounding, and arbitrary weights leave many pixels near 0.5."""


@pytest.mark.slow
@pytest.mark.parametrize("key", NETWORKS)
def test_masks_are_those_of_the_cpu(key: str) -> None:
    """Networks that come without weights have arbitrary ones."""
    engine = NETWORKS[key]
    on_cpu = try_out(engine, build(engine), SCENE)
    with pretended_gpu():
        elsewhere = try_out(engine, build(engine, device=DEVICE), SCENE)
    for one, other in zip(on_cpu, elsewhere, strict=True):
        differs = ((one > 0.5) != (other > 0.5)) & (abs(one - other) > LEAST_STEP)
        assert differs.mean() <= 0.001
