"""Rectangles of pixels: the one kind that everything but the original networks' own geometry uses."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALLEST_CROP_PX = 96


class Box(NamedTuple):
    """Pixels, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, inside: NDArray[np.bool_]) -> "Box":
        """The smallest box that holds a mask (H, W) bool; an empty one for an empty mask."""
        left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
        return cls(left, top, left + width, top + height)

    @classmethod
    def hull(cls, boxes: Iterable["Box"]) -> "Box":
        """The smallest box that holds all of them."""
        left, top, right, bottom = zip(*boxes, strict=True)
        return cls(min(left), min(top), max(right), max(bottom))

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.right <= self.left or self.bottom <= self.top

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def moved(self, right_px: int, down_px: int) -> "Box":
        """The same elsewhere."""
        left, top, right, bottom = self
        return Box(left + right_px, top + down_px, right + right_px, bottom + down_px)

    def common(self, other: "Box") -> "Box":
        """What lies in both; an empty box if they do not meet."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(left, top, max(left, min(self.right, other.right)), max(top, min(self.bottom, other.bottom)))

    def within(self, outer: "Box") -> tuple[slice, slice]:
        """Rows and columns, counted from the corner of a box that holds it."""
        left, top, *_ = outer
        return slice(self.top - top, self.bottom - top), slice(self.left - left, self.right - left)

    def grown(self, factor: float, shape: tuple[int, ...]) -> "Box":
        """Grown about its centre, to at least 96 pixels a side, then clipped to the frame of shape (H, W)."""
        width, height = (max(_SMALLEST_CROP_PX, factor * side) for side in self.size_wh)
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return Box(
            max(0, int(x - width / 2)),
            max(0, int(y - height / 2)),
            min(shape[1], int(x + width / 2)),
            min(shape[0], int(y + height / 2)),
        )

    def cuts_off(self, inside: NDArray[np.bool_], shape: tuple[int, ...]) -> bool:
        """Whether a mask that fills the box (h, w) runs into a side that is not the frame's, of shape (H, W)."""
        sides = (
            self.left > 0 and inside[:, 0].any(),
            self.top > 0 and inside[0].any(),
            self.right < shape[1] and inside[:, -1].any(),
            self.bottom < shape[0] and inside[-1].any(),
        )
        return any(sides)
