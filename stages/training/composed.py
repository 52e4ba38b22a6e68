"""Clips composed of others, with exact truth: objects cut out of some clips move over the frames of another.

The scenery keeps its own motion and that of its camera; what is cut out keeps its own deformation, and gets a course
over the picture: it enters, leaves, returns, hides behind another object, stays beside one that looks alike or that it
touches, or is small and fast. A course is a curve through a few places; what covers what does not change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from stages.core.boxes import Box
from stages.core.types import Frame, LabelMap
from stages.training.pictures import Picture

LEAST_SEEN_PX: Final = 20
"""An object of which fewer pixels are to be seen is not there."""
_FREE_OF_THE_BORDER_PX: Final = 2
_SHORTEST_SHOT: Final = 6
_LEAST_CUT_OUT_PX: Final = 400
_LARGEST_CUT_OUT: Final = 0.4
"""Of its picture."""
_LEAST_OF_USUAL: Final = 0.6
_SOFTNESS_PX: Final = 0.7


@dataclass(frozen=True, eq=False)
class Shot:
    """Frames of a clip on which an object is whole, played to and fro."""

    frames: Sequence[Picture]
    object_id: int = 1

    def at(self, time: int) -> Picture:
        """The frame at a time of any size, forwards, then backwards."""
        last = len(self.frames) - 1
        return self.frames[last - abs(last - time % (2 * last))] if last else self.frames[0]

    @cached_property
    def size_px(self) -> float:
        """The root of its typical area."""
        return float(np.sqrt(np.median([picture.areas[self.object_id] for picture in self.frames])))


def shots(frames: Sequence[Picture], object_id: int = 1) -> list[Shot]:
    """The runs of a clip's frames on which an object is whole; none if they are short.

    It does not touch the border, and is not much smaller than usual, as what hides behind something is.
    """
    found, run = [], []
    usual_px = np.median([picture.areas.get(object_id, 0) for picture in frames])
    for picture in frames:
        if _is_whole(picture, object_id) and picture.areas[object_id] >= _LEAST_OF_USUAL * usual_px:
            run.append(picture)
            continue
        found.append(run)
        run = []
    found.append(run)
    least = min(_SHORTEST_SHOT, len(frames))
    return [Shot(run, object_id) for run in found if run and len(run) >= least]


def _is_whole(picture: Picture, object_id: int) -> bool:
    if object_id not in picture.areas:
        return False
    left, top, width, height = picture.boxes[object_id]
    rows, columns = picture.labels.shape
    margin = _FREE_OF_THE_BORDER_PX
    return (
        margin <= left
        and margin <= top
        and left + width <= columns - margin
        and top + height <= rows - margin
        and _LEAST_CUT_OUT_PX <= picture.areas[object_id] <= _LARGEST_CUT_OUT * picture.labels.size
    )


@dataclass(frozen=True, eq=False)
class Course:
    """Where the centre of a thing is at which time: a curve through places, that does not overshoot them."""

    times: Sequence[float]
    """Ascending."""
    places: Sequence[tuple[float, float]]
    """x, y in shares of the picture's width and height; outside of [0, 1] it may be out of the picture."""

    @cached_property
    def _curve(self) -> PchipInterpolator:
        return PchipInterpolator(self.times, np.asarray(self.places))

    def at(self, time: float) -> NDArray[np.float64]:
        """x, y; before the first time and after the last one it rests."""
        if len(self.times) == 1:
            return np.asarray(self.places[0], np.float64)
        return np.asarray(self._curve(np.clip(time, self.times[0], self.times[-1])))


@dataclass(frozen=True, eq=False)
class Thing:
    """Something that is cut out of a clip and moves over the picture."""

    shot: Shot
    course: Course
    scale: float
    """Pixels of the picture in a pixel of its clip."""
    object_id: int
    """What it is called in the truth; 0: scenery, nobody follows it."""
    first: int = 0
    """Which time of the shot comes at time 0."""
    is_flipped: bool = False
    gains: tuple[float, float, float] = (1, 1, 1)

    def draw(self, picture: Frame, labels: LabelMap, time: int) -> None:
        """Put it before what is there already, in place."""
        source = self.shot.at(self.first + time)
        left, top, width, height = source.boxes[self.shot.object_id]
        rows, columns = labels.shape
        x, y = self.course.at(time) * (columns, rows)
        reach_x, reach_y = self.scale * width / 2 + 2, self.scale * height / 2 + 2
        box = Box(
            max(0, int(x - reach_x)),
            max(0, int(y - reach_y)),
            min(columns, int(x + reach_x) + 1),
            min(rows, int(y + reach_y) + 1),
        )
        if min(box.size_wh) <= 0:
            return
        flip = -1 if self.is_flipped else 1
        linear = np.diag([flip * self.scale, self.scale])
        centre = np.array([left + width / 2, top + height / 2])
        affine = np.column_stack([linear, np.array([x - box.left, y - box.top]) - linear @ centre])
        rgb, mask = source.rgb, (source.labels == self.shot.object_id).astype(np.float32)
        part = slice(max(0, top - 4), top + height + 4), slice(max(0, left - 4), left + width + 4)
        affine[:, 2] += linear @ (part[1].start, part[0].start)
        rgb, mask = rgb[part], mask[part]
        if self.scale < 0.7:
            sigma = 0.4 / self.scale
            rgb, mask = cv2.GaussianBlur(rgb, (0, 0), sigma), cv2.GaussianBlur(mask, (0, 0), sigma)
        mask = cv2.GaussianBlur(mask, (0, 0), _SOFTNESS_PX)
        cut_out = cv2.warpAffine(rgb, affine, box.size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(mask, affine, box.size_wh, flags=cv2.INTER_LINEAR)[..., None]
        alpha = np.clip(2 * alpha - 0.6, 0, 1)  # what mixes with its old surroundings stays behind
        behind = picture[box.slices]
        mixed = alpha * np.minimum(cut_out * np.array(self.gains, np.float32), 255) + (1 - alpha) * behind
        picture[box.slices] = mixed.astype(np.uint8)
        labels[box.slices][alpha[..., 0] > 0.5] = self.object_id


@dataclass(frozen=True, eq=False)
class Composition:
    """Things before a clip."""

    scenery: Shot
    """All frames of a clip; `object_id` is not looked at."""
    things: Sequence[Thing]
    """From back to front."""
    length: int
    own: Mapping[int, int] = field(default_factory=dict)
    """What objects of the scenery are called in the truth."""
    first: int = 0
    """Which time of the scenery comes at time 0."""

    def at(self, time: int) -> tuple[Frame, LabelMap]:
        """The frame (H, W, 3) uint8 RGB, and its truth (H, W) uint8."""
        source = self.scenery.at(self.first + time)
        picture = source.rgb.copy()
        labels = np.zeros_like(source.labels)
        for theirs, ours in self.own.items():
            labels[source.labels == theirs] = ours
        for thing in self.things:
            thing.draw(picture, labels, time)
        return picture, labels

    @property
    def object_ids(self) -> tuple[int, ...]:
        """All objects that the truth has."""
        return tuple(sorted({*self.own.values(), *(thing.object_id for thing in self.things)} - {0}))

    def seen_at(self, times: Sequence[int]) -> NDArray[np.intp]:
        """Pixels that are to be seen of every object: (times, objects)."""
        ids = list(self.object_ids)
        counts = [np.bincount(self.at(time)[1].ravel(), minlength=256)[ids] for time in times]
        return np.array(counts).reshape(len(times), len(ids))

    def areas(self) -> NDArray[np.intp]:
        """The same on every frame: (length, objects)."""
        return self.seen_at(range(self.length))
