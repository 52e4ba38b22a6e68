"""Which part of a frame is looked at for an object; and what a network without a local step sees of it.

It is made small first, then padded to one of few sizes: oneDNN compiles its code anew for each, and that takes as long
as refining a frame. Views of one size can go through the network together.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.types import Frame, Probability
from stages.engines.refiners.cascadepsp.network import MEAN_RGB, OUTPUT_STRIDE

SIZE_STEP: Final = 32
"""Sides are padded to multiples of this, in pixels."""
_LEAST_MARGIN_PX: Final = 32


class View(NamedTuple):
    """An object as the network sees it."""

    picture: Frame
    """(h, w, 3) uint8 RGB, padded at the right and the bottom by its mean colour."""
    mask: Probability
    """(h, w) float32 in [0, 1], padded by 0."""
    size_wh: tuple[int, int]
    """Without what is padded."""
    window: Box
    """Of the frame."""
    frame_hw: tuple[int, int]

    @classmethod
    def of(cls, frame: Frame, mask: Probability, window: Box, longest_side: int) -> "View":
        """Look at a window of a frame (H, W, 3) and of a mask (H, W), no side of which will be longer than that."""
        scale = min(1, longest_side / max(window.size_wh))
        width, height = (max(1, round(scale * side)) for side in window.size_wh)

        def seen(layer: Frame | Probability, fill: Sequence[float]) -> np.ndarray:
            cut = np.ascontiguousarray(layer[window.slices])
            small = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
            missing = -height % SIZE_STEP, -width % SIZE_STEP
            return cv2.copyMakeBorder(small, 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT, value=fill)

        mean_colour = [255 * mean for mean in MEAN_RGB]
        return cls(seen(frame, mean_colour), seen(mask, [0]), (width, height), window, mask.shape)

    def placed(self, refined: Probability) -> Probability:
        """What the network made of it (h, w) as a mask of the frame (H, W), zero outside of the window."""
        width, height = self.size_wh
        placed = np.zeros(self.frame_hw, np.float32)
        placed[self.window.slices] = cv2.resize(
            refined[:height, :width], self.window.size_wh, interpolation=cv2.INTER_LINEAR
        )
        return placed


def of_one_size(views: Sequence[View], most: int, fewer: bool = True) -> Iterator[list[int]]:
    """The numbers of views that go through a network together.

    Args:
        views: in any order.
        most: so many at once, at most.
        fewer: whether less than that go together, too; else each goes alone.
    """
    of_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, view in enumerate(views):
        of_size[view.mask.shape].append(number)
    for numbers in of_size.values():
        for first in range(0, len(numbers), most):
            together = numbers[first : first + most]
            if fewer or len(together) == most:
                yield together
            else:
                yield from ([number] for number in together)


def object_window(mask: NDArray[np.bool_], margin: float) -> Box:
    """The part of the picture that a refinement of the object needs to see.

    Args:
        mask: (H, W) bool, not empty.
        margin: added to each side of the object's box, as a share of the box's height and width; 32 pixels at least.

    Returns:
        The window, inside the picture; its sides are multiples of 8 where the picture has room for that, since the
        network would pad them.
    """
    left, right = _widened(np.any(mask, axis=0), margin)
    top, bottom = _widened(np.any(mask, axis=1), margin)
    return Box(left, top, right, bottom)


def _widened(occupied: NDArray[np.bool_], margin: float) -> tuple[int, int]:
    """First and last (exclusive) position of a window over one axis, where the object occupies some of it."""
    length = len(occupied)
    positions = np.flatnonzero(occupied)
    first, last = int(positions[0]), int(positions[-1]) + 1
    reach = max(round(margin * (last - first)), _LEAST_MARGIN_PX)
    first, last = max(first - reach, 0), min(last + reach, length)
    last = min(last + _missing(last - first), length)
    first = max(first - _missing(last - first), 0)
    return first, last


def _missing(length: int) -> int:
    """Pixels up to the next multiple of what the network takes."""
    return -length % OUTPUT_STRIDE
