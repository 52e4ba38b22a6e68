"""Sharper boundaries by a guided filter: no weights, no training.

K. He, J. Sun, X. Tang, "Guided Image Filtering", ECCV 2010: in every window the mask is linear in the picture,

    q = a I + b,    a = cov(I, p) / (var(I) + eps),    b = mean(p) - a mean(I)

here with the grey picture as guide, by box filters, and only in a band around the mask's boundary.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.types import Frame, Probability

_RADIUS_PX = 4
_EPS = 1e-3
_BAND_PX = 6


class Guided:
    """The `Refiner` of that name."""

    def refine(self, frame: Frame, probability: Probability) -> Probability:
        """See `stages.engines.protocols.Refiner`."""
        solid = (probability > 0.5).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(solid)
        refined: Probability = probability.copy()
        if not width:
            return refined
        margin = 3 * _RADIUS_PX + _BAND_PX
        box = (slice(max(0, top - margin), top + height + margin), slice(max(0, left - margin), left + width + margin))
        guide = cv2.cvtColor(np.ascontiguousarray(frame[box]), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        filtered = np.clip(_guided_filter(guide, probability[box]), 0, 1)
        band = cv2.morphologyEx(solid[box], cv2.MORPH_GRADIENT, _disc(_BAND_PX)) > 0
        refined[box][band] = filtered[band]
        return refined


def _guided_filter(guide: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Guide and mask (H, W) float32 in [0, 1] -> (H, W) float32, a little outside [0, 1] at times."""
    mean_guide, mean_mask = _mean(guide), _mean(mask)
    slope = (_mean(guide * mask) - mean_guide * mean_mask) / (_mean(guide * guide) - mean_guide**2 + _EPS)
    offset = mean_mask - slope * mean_guide
    return np.asarray(_mean(slope) * guide + _mean(offset), np.float32)


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * _RADIUS_PX + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _disc(radius_px: int) -> NDArray[np.uint8]:
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
