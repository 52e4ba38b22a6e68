"""Pictures with the masks of their objects, and how a training draws them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.palette import IGNORE
from stages.core.types import LabelMap

SMALLEST_SIDE_PX = 28
"""Objects with a smaller bounding box are not drawn: enlarged, they have no contour to learn from."""
_LARGE_PX = 1500
HELD_OUT = 1 / 16
"""Share of the pictures that is kept for validation."""
CLIPS_SET = "davis16_train"
HELD_OUT_CLIPS = ("bear", "bus", "dance-jump", "flamingo", "lucia", "rollerblade", "soccerball", "tennis")
"""Clips of that set that no training may see: validation and `benchmarks.presence` are made of them."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with the masks of its objects."""

    set_name: str
    name: str
    """The file's stem; of a clip's frame `<clip>/<stem>`."""
    rgb: NDArray[np.uint8]
    """(H, W, 3)."""
    labels: LabelMap
    """(H, W) uint8: 0 background, 1.. objects, 255 unknown."""

    @property
    def clip(self) -> str:
        """The clip that it is a frame of, `bear` of `bear/00012`; "" for a picture by itself."""
        return self.name.rpartition("/")[0]

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

    def objects(self, least_px: int = 1, most_share: float = 1.0) -> list[int]:
        """Objects that may be drawn: not tiny, of so many pixels, and not more than a share of the picture."""
        return [
            object_id
            for object_id, (_, _, width, height) in self.boxes.items()
            if max(width, height) >= SMALLEST_SIDE_PX
            and least_px <= self.areas[object_id] <= most_share * self.labels.size
        ]

    @property
    def has_large_object(self) -> bool:
        """Whether it serves for validation best: some object has a contour worth measuring."""
        return max(self.areas.values(), default=0) >= _LARGE_PX


def rank(set_name: str, name: str) -> float:
    """In [0, 1), from the name alone, the lowest to be held out; the same for all frames of a clip."""
    owner = name.partition("/")[0]
    if set_name == CLIPS_SET and owner in HELD_OUT_CLIPS:
        return 0.0
    return int.from_bytes(hashlib.sha256(f"{set_name}/{owner}".encode()).digest()[:4], "big") / 2**32


def is_held_out(set_name: str, name: str) -> bool:
    """Whether a picture serves for validation in any case: its name alone says so, whatever else is in the set."""
    return rank(set_name, name) < HELD_OUT


def counted(number: int, noun: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def by_set(pictures: Sequence[Picture], shares: Mapping[str, float]) -> dict[str, list[Picture]]:
    """The pictures of each set, in the order of `shares`; sets that have none are left out."""
    members = {name: [picture for picture in pictures if picture.set_name == name] for name in shares}
    return {name: found for name, found in members.items() if found}


def in_turn(pictures: Sequence[Picture], shares: Mapping[str, float], most: int) -> list[Picture]:
    """Pictures for examples of a validation, one set after the other; fewer examples if there are few pictures."""
    sets = list(by_set(pictures, shares).values())
    turns = ((sets[number % len(sets)], number // len(sets)) for number in range(examples(pictures, most)))
    return [members[turn % len(members)] for members, turn in turns]


def examples(pictures: Sequence[Picture], most: int) -> int:
    """How many examples a validation makes of held-out pictures."""
    return min(most, 16 * len(pictures))


def clips_of(draw: object) -> Sequence[Sequence[Picture]]:
    """The clips that somebody draws frames of; none if it does not know any."""
    return draw.clips if isinstance(draw, Drawing) else ()


def by_clip(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """The clips among pictures, each in order of its frames; pictures by themselves are left out."""
    found: dict[tuple[str, str], list[Picture]] = {}
    for picture in pictures:
        if picture.clip:
            found.setdefault((picture.set_name, picture.clip), []).append(picture)
    return [sorted(frames, key=lambda picture: picture.name) for frames in found.values()]


class Drawing:
    """The `Draw` of a training: the set by its share, the picture evenly within the set."""

    def __init__(self, pictures: Sequence[Picture], shares: Mapping[str, float]) -> None:
        """Sort pictures by set; shares need not add up to 1, and those of sets without pictures fall to the others."""
        sets = by_set(pictures, shares)
        self._sets = list(sets.values())
        self.clips: Sequence[Sequence[Picture]] = by_clip([picture for members in self._sets for picture in members])
        self._shares = np.array([shares[name] for name in sets]) / sum(shares[name] for name in sets)

    def __call__(self, rng: np.random.Generator) -> Picture:
        """Draw one."""
        members = self._sets[int(rng.choice(len(self._sets), p=self._shares))]
        return members[int(rng.integers(len(members)))]
