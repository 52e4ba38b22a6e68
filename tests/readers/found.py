"""What a reader found, on its way from the reader's environment to the test: numpy is all that it needs."""

from pathlib import Path
from typing import NamedTuple

import numpy as np


class Shape(NamedTuple):
    """A mask, or a ring that the test fills."""

    picture: str
    """As the reader names it."""
    category: str
    object_id: int
    """0 where the reader knows none."""
    pixels: np.ndarray
    """(H, W) bool; or rings one after the other, (points, 3) float: number of the ring, x, y."""


def save(path: str, pictures: list[str], shapes: list[Shape]) -> None:
    """Write what was found, and the names of all pictures that were seen."""
    arrays = {f"pixels{number}": shape.pixels for number, shape in enumerate(shapes)}
    np.savez_compressed(
        path,
        pictures=np.array(pictures, dtype=str),
        names=np.array([[shape.picture, shape.category] for shape in shapes], dtype=str).reshape(-1, 2),
        ids=np.array([shape.object_id for shape in shapes], dtype=int),
        **arrays,
    )


def load(path: Path) -> dict[str, list[Shape]]:
    """Picture -> its shapes in the reader's order."""
    with np.load(path) as arrays:
        found: dict[str, list[Shape]] = {str(name): [] for name in arrays["pictures"]}
        for number, ((picture, category), object_id) in enumerate(zip(arrays["names"], arrays["ids"], strict=True)):
            shape = Shape(str(picture), str(category), int(object_id), arrays[f"pixels{number}"])
            found[shape.picture].append(shape)
        return found
