"""Soft masks come out of their packing as they went in, to 8 bits."""

import numpy as np
import pytest

from stages.core.packed import Packed
from stages.core.soft import from_uint8


@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 6), (2, 0, 9), (4, 0), (0, 8, 8)])
def test_layers_come_back_rounded_and_in_their_shape(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    nearby = from_uint8(values) + np.float32(0.001)
    assert np.array_equal(Packed(nearby).unpack(), from_uint8(values))
