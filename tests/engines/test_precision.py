"""Engines whose networks may compute in bfloat16: nearly the same masks."""

import numpy as np
import pytest

from stages.engines.engine import Engine
from stages.engines.spec import PRECISION
from stages.testing.scenes import Scene
from tests.engines.contracts.engines import at_hand, build, try_out

SCENE = Scene(height=96, width=128, objects=2)
ENGINES = [
    each
    for each in at_hand("propagator", "refiner")
    if PRECISION in each.spec.options and each.network and PRECISION.argument not in each.network.without
]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda each: each.name)
def test_masks_in_bfloat16_are_nearly_the_same_and_not_the_same(engine: Engine) -> None:
    exact, narrow = (
        np.stack(try_out(engine, build(engine, precision=precision), SCENE)) for precision in PRECISION.choices
    )
    assert narrow.dtype == np.float32
    assert ((exact > 0.5) != (narrow > 0.5)).mean() <= 0.001
    assert not np.array_equal(exact, narrow)


def test_these_are_what_the_description_says() -> None:
    assert {each.name for each in ENGINES} == {"match:trunk", "match:lite", "cascadepsp:lite"}
