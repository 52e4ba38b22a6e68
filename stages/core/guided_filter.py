"""The guided filter: a mask made to end where the picture has an edge.

K. He, J. Sun, X. Tang, "Guided Image Filtering", ECCV 2010: in every window the mask is linear in the picture,

    q = a I + b,    a = cov(I, p) / (var(I) + eps),    b = mean(p) - a mean(I)

here with a grey picture as guide, by box filters.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.types import Frame, Probability

_EPS = 1e-3


class GuidedFilter:
    """A picture that guides any number of masks."""

    def __init__(self, frame: Frame, radius_px: int) -> None:
        """Look at a picture (H, W, 3) uint8 RGB, in windows of 2 `radius_px` + 1 pixels."""
        self._side = 2 * radius_px + 1
        self._guide = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        self._mean_guide = self._mean(self._guide)
        self._variance = self._mean(self._guide * self._guide) - self._mean_guide**2

    def filtered(self, mask: Probability) -> Probability:
        """A soft mask (H, W) float32 in [0, 1], filtered, in [0, 1] again."""
        mean_mask = self._mean(mask)
        slope = (self._mean(self._guide * mask) - self._mean_guide * mean_mask) / (self._variance + _EPS)
        offset = mean_mask - slope * self._mean_guide
        return np.clip(self._mean(slope) * self._guide + self._mean(offset), 0, 1).astype(np.float32)

    def _mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        size = (self._side, self._side)
        return np.asarray(cv2.blur(values, size, borderType=cv2.BORDER_REFLECT), np.float32)


def band_around(solid: NDArray[np.bool_], band_px: int) -> NDArray[np.bool_]:
    """The pixels of a mask (H, W) bool within a disc's reach of its boundary, on both sides."""
    side = 2 * band_px + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    found: NDArray[np.bool_] = cv2.morphologyEx(solid.astype(np.uint8), cv2.MORPH_GRADIENT, disc) > 0
    return found
