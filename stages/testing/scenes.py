"""Small drawn videos: objects of their own colours move over a textured background, at any frame size."""

import operator
import weakref
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.core.strokes import FrameScribbles, Line, Point
from stages.core.types import Anchor, Frame, Probability

ODD_SIZES_HW = ((33, 57), (64, 64), (12, 12), (40, 200))
"""Height and width: odd, square, tiny, and wide."""


@dataclass(frozen=True)
class Scene:
    """Objects in a row along the longer side of the frame; they move along it, all alike."""

    height: int = 48
    width: int = 64
    objects: int = 1
    touch: bool = False
    """Objects are rectangles that share their sides, instead of discs apart from each other."""
    speed_px: float = 0.75
    """A frame."""

    def frame(self, index: int) -> Frame:
        """(H, W, 3) uint8 RGB, not writeable."""
        rng = np.random.default_rng(5)
        coarse = rng.integers(50, 120, (-(-self.height // 4), -(-self.width // 4), 3))
        picture = coarse.repeat(4, axis=0).repeat(4, axis=1)[: self.height, : self.width].astype(np.float32)
        for number, mask in enumerate(self.masks(index)):
            colour = np.array(
                [(number * step + offset) % 200 + 55 for step, offset in ((90, 140), (50, 20), (130, 70))]
            )
            picture += mask[..., None] * (colour - picture)
        grain = rng.integers(-10, 11, picture.shape)
        return frozen(np.clip(picture + np.roll(grain, index, axis=1), 0, 255).astype(np.uint8))

    def masks(self, index: int) -> Probability:
        """The truth: (objects, H, W) float32 in [0, 1], soft at the boundaries, not writeable."""
        rows, columns = np.mgrid[: self.height, : self.width].astype(np.float32)
        masks = []
        for number in range(self.objects):
            (x, y), (half_x, half_y) = self._centre_xy(number, index), self._half_sides()
            if self.touch:
                inside = np.minimum(half_x - abs(columns - x), half_y - abs(rows - y)) + 0.5
            else:
                inside = min(half_x, half_y) - np.hypot(columns - x, rows - y) + 0.5
            inside[round(y), round(x)] = 1  # however small it is
            masks.append(np.clip(inside, 0, 1).astype(np.float32))
        return frozen(np.array(masks, np.float32).reshape(-1, self.height, self.width))

    def anchor(self, index: int, masks: Probability | None = None) -> Anchor:
        """The frame with its true masks, or with others."""
        return Anchor(index, self.frame(index), self.masks(index) if masks is None else frozen(masks))

    def line(self, number: int, object_id: int) -> Line:
        """A stroke through an object on frame 0."""
        (x, y), (half_x, _) = self._centre_xy(number, 0), self._half_sides()
        return Line(object_id, tuple(self._fraction(x + share * half_x, y) for share in (-0.6, -0.2, 0.2, 0.6)))

    def dot(self, number: int, object_id: int) -> Line:
        """A stroke of a single point."""
        return Line(object_id, (self._fraction(*self._centre_xy(number, 0)),))

    def background(self) -> Line:
        """A stroke along the upper side of the frame, where no object is."""
        return Line(0, (self._fraction(0.1 * self.width, 0), self._fraction(0.9 * self.width, 0)))

    def scribbles(self, *object_ids: int) -> FrameScribbles:
        """A stroke on every object of frame 0, and one on the background; ids from 1, if none are given."""
        ids = object_ids or range(1, self.objects + 1)
        return FrameScribbles((*(self.line(number, each) for number, each in enumerate(ids)), self.background()))

    def _centre_xy(self, number: int, index: int) -> tuple[float, float]:
        along = (number + 0.5) / self.objects * max(self.width, self.height) + index * self.speed_px
        across = min(self.width, self.height) / 2
        x, y = (along, across) if self.width >= self.height else (across, along)
        return min(x, self.width - 1), min(y, self.height - 1)

    def _half_sides(self) -> tuple[float, float]:
        along, across = max(self.width, self.height) / self.objects / 2, min(self.width, self.height) / 3
        if not self.touch:
            along *= 0.7
        return (along, across) if self.width >= self.height else (across, along)

    def _fraction(self, x: float, y: float) -> Point:
        return min(max(x / self.width, 0), 1), min(max(y / self.height, 0), 1)


class Video(Sequence[Frame]):
    """The frames of a scene, drawn when they are read. It knows what was read, and how much of it is kept."""

    def __init__(self, scene: Scene, frame_count: int, allowed: Collection[int]) -> None:
        """Take a scene.

        Args:
            scene: the frames to draw.
            frame_count: how long the video is.
            allowed: the indices that may be read; any other is an AssertionError.
        """
        self._scene, self._frame_count, self._allowed = scene, frame_count, allowed
        self._kept: list[weakref.ref[Frame]] = []
        self.reads: list[int] = []
        self.most_kept = 0
        """How many frames were in memory at once, at most."""

    def __len__(self) -> int:
        return self._frame_count

    def __getitem__(self, index: Any) -> Any:
        assert not isinstance(index, slice), f"frames {index} were read at once; read them one by one"
        index = operator.index(index)
        assert index in self._allowed, f"frame {index} was read; allowed are those of the stretch and its anchors"
        self.reads.append(index)
        self._kept = [each for each in self._kept if each() is not None]
        frame = self._scene.frame(index)
        self._kept.append(weakref.ref(frame))
        self.most_kept = max(self.most_kept, len(self._kept))
        return frame


def frozen(array: NDArray[Any]) -> Any:
    """A copy, C-contiguous and not writeable."""
    copy = np.array(array, order="C")
    copy.setflags(write=False)
    return copy


def mirrored(array: NDArray[Any]) -> Any:
    """The same values, lying in memory the other way round: a view with negative strides."""
    every = (slice(None, None, -1),) * array.ndim
    return array[every].copy()[every]
