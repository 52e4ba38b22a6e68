"""The part of the frames that a stretch's networks look at, and at which size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from stages.core.boxes import Box
from stages.core.optical_flow import Field, Gray, to_gray
from stages.core.soft import HALF, to_uint8
from stages.core.types import Frame, Probability
from stages.engines.propagators.match.patch import Patch

WIDENINGS = (1.0, 1.6, 2.5, 4.0)
"""Of the first view."""
_GROWTH = 1.2
_LONG_SIDE_PX = 352
_LARGEST_SCALE = 3.0
_EVERYWHERE_LONG_SIDE_PX = 576
"""Where objects may be anywhere, in the whole picture, they are smaller than the view."""
_MULTIPLE_PX = 16


@dataclass(frozen=True)
class View:
    """A box on all frames of a stretch, looked at with a long side of at most 352 pixels, sides multiples of 16.

    Of the whole picture the long side has up to 576.
    """

    box: Box
    frame_hw: Sequence[int]
    size_wh: tuple[int, int]

    @classmethod
    def around(cls, box: Box, widening: float, frame_hw: Sequence[int]) -> "View":
        """Look at the surroundings of a box; a small one is magnified at most three times."""
        shape = tuple(frame_hw)
        crop = box.grown(_GROWTH, shape).grown(widening, shape)
        is_everywhere = box.size_wh == shape[::-1]
        long_side = _EVERYWHERE_LONG_SIDE_PX if is_everywhere else _LONG_SIDE_PX
        scale = min(_LARGEST_SCALE, long_side / max(crop.size_wh))
        width, height = (max(1, round(side * scale / _MULTIPLE_PX)) * _MULTIPLE_PX for side in crop.size_wh)
        return cls(crop, frame_hw, (width, height))

    @property
    def scale(self) -> float:
        """Pixels of the view in a pixel of the frame."""
        return self.size_wh[0] / self.box.size_wh[0]

    @property
    def halved(self) -> "View":
        """The same box at half the size."""
        width, height = self.size_wh
        return replace(self, size_wh=(width // 2, height // 2))

    def picture(self, frame: Frame) -> Frame:
        """The part of a frame (H, W, 3) uint8: (h, w, 3) uint8."""
        return np.asarray(self._resized(frame[self.box.slices]), np.uint8)

    def gray(self, frame: Frame) -> Gray:
        """The same without colour: (h, w) uint8."""
        return to_gray(self.picture(frame))

    def masks(self, masks: Probability) -> Probability:
        """The part of soft masks (objects, H, W): (objects, h, w)."""
        return self.patches([Patch(self.box, mask[self.box.slices]) for mask in masks])

    def patches(self, masks: Sequence[Patch]) -> Probability:
        """The part of soft masks on the frame: (objects, h, w)."""
        return np.stack([self._resized(mask.on(self.box)) for mask in masks])

    def on_frame(self, mask: Field) -> Patch:
        """A mask (h, w) as it lies on the frame."""
        return Patch(self.box, cv2.resize(mask, self.box.size_wh, interpolation=cv2.INTER_LINEAR))

    def differing(self, one: Probability, other: Probability) -> Patch:
        """Where on the frame two masks (h, w) disagree, bool. Enlarged as 8 bits, which is quicker."""
        layers = (cv2.resize(to_uint8(each), self.box.size_wh, interpolation=cv2.INTER_LINEAR) for each in (one, other))
        first, second = (layer > HALF for layer in layers)
        return Patch(self.box, first != second)

    def box_on_frame(self, box: Box) -> tuple[float, float, float, float]:
        """A box of the view's pixels in those of the frame."""
        x, y = (theirs / ours for theirs, ours in zip(self.box.size_wh, self.size_wh, strict=True))
        left, top, *_ = self.box
        return left + x * box.left, top + y * box.top, left + x * box.right, top + y * box.bottom

    def cuts_off(self, mask: Field) -> bool:
        """Whether a mask (h, w) runs on beyond the view, but inside the frame."""
        return self.box.cuts_off(mask > 0.5, tuple(self.frame_hw))

    def _resized(self, layer: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What fills the box, at the view's size."""
        shrinks = self.size_wh[0] < self.box.size_wh[0]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(np.ascontiguousarray(layer), self.size_wh, interpolation=how)
