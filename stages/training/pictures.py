"""The pictures that networks are trained on: folders `<set>/images/*.jpg` and `<set>/masks/*.png` of the same names.

A mask holds 0 for background, 1.. for objects, and 255 where nobody knows.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.core.palette import IGNORE
from stages.core.types import LabelMap
from stages.formats.frames import load_picture, read_frame

_LARGE_PX = 1500
HELD_OUT = 1 / 16
"""Share of every set that is kept for validation."""


@dataclass(frozen=True)
class Picture:
    """A picture with the masks of its objects."""

    set_name: str
    name: str
    rgb: NDArray[np.uint8]
    """(H, W, 3)."""
    labels: LabelMap
    """(H, W) uint8: 0 background, 1.. objects, 255 unknown."""

    @cached_property
    def areas(self) -> dict[int, int]:
        """Pixels of every object, by its id, ascending."""
        counts = np.bincount(self.labels.ravel())
        return {
            object_id: int(counts[object_id]) for object_id in np.flatnonzero(counts).tolist() if 0 < object_id < IGNORE
        }

    @cached_property
    def boxes(self) -> dict[int, tuple[int, int, int, int]]:
        """Left, top, width and height of every object, in pixels, by its id."""
        return {object_id: cv2.boundingRect((self.labels == object_id).astype(np.uint8)) for object_id in self.areas}

    @property
    def has_large_object(self) -> bool:
        """Whether it serves for validation: some object has a contour worth measuring."""
        return max(self.areas.values(), default=0) >= _LARGE_PX


def is_held_out(set_name: str, name: str) -> bool:
    """Whether a picture serves for validation: decided by its name alone, so that more pictures change nothing."""
    digest = hashlib.sha256(f"{set_name}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32


def read_pictures(root: Path, sets: Sequence[str]) -> tuple[list[Picture], list[Picture]]:
    """Read all pictures of some sets into memory.

    Args:
        root: folder of the sets.
        sets: their names.

    Returns:
        Those to train on and those held out, both ordered by set and name.

    Raises:
        InputError: a set is missing or empty, a picture lacks its mask, or their sizes differ.
    """
    pictures = [picture for set_name in sets for picture in _read_set(root / set_name)]
    held_out = [picture for picture in pictures if is_held_out(picture.set_name, picture.name)]
    return [picture for picture in pictures if not is_held_out(picture.set_name, picture.name)], held_out


def _read_set(folder: Path) -> list[Picture]:
    files = sorted((folder / "images").glob("*.jpg"))
    if not files:
        raise InputError(
            f"{folder / 'images'}: found no *.jpg, expected a set of training pictures with masks beside it in "
            f"{folder / 'masks'}; correct --train-root or the recipe's sets"
        )
    pictures = []
    for file in files:
        rgb, labels = read_frame(file), _read_labels(folder / "masks" / f"{file.stem}.png")
        if rgb.shape[:2] != labels.shape:
            raise InputError(f"{file}: found {rgb.shape[:2]} (rows, columns), expected {labels.shape} as in its mask")
        pictures.append(Picture(folder.name, file.stem, rgb, labels))
    return pictures


def _read_labels(path: Path) -> LabelMap:
    if not path.is_file():
        raise InputError(f"{path}: found no mask, expected one for every picture of the set")
    picture = load_picture(path)
    if picture.mode not in ("L", "P"):
        raise InputError(f"{path}: found a picture of mode {picture.mode}, expected object ids (mode L or P)")
    return np.array(picture, np.uint8)


class Drawing:
    """The `Draw` of a training: the set by its share, the picture evenly within the set."""

    def __init__(self, pictures: Sequence[Picture], shares: Mapping[str, float]) -> None:
        """Sort pictures by set; shares need not add up to 1."""
        self._sets = [[picture for picture in pictures if picture.set_name == name] for name in shares]
        self._shares = np.array(list(shares.values())) / sum(shares.values())

    def __call__(self, rng: np.random.Generator) -> Picture:
        """Draw one."""
        members = self._sets[int(rng.choice(len(self._sets), p=self._shares))]
        return members[int(rng.integers(len(members)))]
