"""Soft masks as 8 bits and back."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stages.core.types import Probability

HALF: Final = 127
"""The highest of 8 bits that is not above one half."""


def to_uint8(probability: Probability) -> NDArray[np.uint8]:
    """[0, 1] -> 0..255, rounded; halves go down, so that a pixel exceeds 0.5 after it exactly if it did before.

    Where two directions disagree half-way, whole regions are exactly 0.5: rounding those up would turn them on.
    """
    return np.ceil(np.clip(probability, 0, 1) * np.float32(255) - np.float32(0.5)).astype(np.uint8)


def from_uint8(values: NDArray[np.uint8]) -> Probability:
    """0..255 -> [0, 1] float32."""
    return values.astype(np.float32) / np.float32(255)
