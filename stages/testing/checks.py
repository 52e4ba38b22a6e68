"""What the contracts of all plug points check."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_range(values: Any, shape: tuple[int, ...], what: str) -> None:
    """An array of float32 in [0, 1], of this shape."""
    check_array(values, shape, what)
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    assert low >= 0 and high <= 1, f"{what}: found values from {low!s} to {high!s}, expected them in [0, 1]"


def check_array(values: Any, shape: tuple[int, ...], what: str) -> None:
    """A finite array of float32 of this shape."""
    assert isinstance(values, np.ndarray), f"{what}: found {type(values).__name__}, expected a numpy array"
    assert values.dtype == np.float32, f"{what}: found {values.dtype}, expected float32"
    assert values.shape == shape, f"{what}: found the shape {values.shape}, expected {shape}"
    assert np.isfinite(values).all(), f"{what}: not all values are finite"


def check_same(one: NDArray[Any], other: NDArray[Any], what: str) -> None:
    """Equal byte for byte."""
    differing = int(np.count_nonzero(one != other)) if one.shape == other.shape else -1
    assert one.tobytes() == other.tobytes(), (
        f"{what}: expected the same bytes, found {differing} different values of {one.size}"
        if differing >= 0
        else f"{what}: expected the same bytes, found the shapes {one.shape} and {other.shape}"
    )


@contextmanager
def unchanged(**arrays: NDArray[Any] | None) -> Iterator[None]:
    """Whatever happens inside leaves the arrays as they are."""
    given = {name: array for name, array in arrays.items() if array is not None}
    before = {name: array.tobytes() for name, array in given.items()}
    yield
    changed = [name for name, array in given.items() if array.tobytes() != before[name]]
    assert not changed, f"the engine has written into its input: {', '.join(changed)}"


def draw_random_numbers(seed: int) -> None:
    """Leave the generators that engines share in another state; those of libraries that are not loaded stay away."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - it is the shared one that is meant
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setRNGSeed(seed)
