"""Sharper boundaries by a guided filter in a band around the mask's boundary: no weights, no training."""

import cv2
import numpy as np

from stages.core.guided_filter import GuidedFilter, band_around
from stages.core.types import Frame, Probability

_RADIUS_PX = 4
_BAND_PX = 6


class Guided:
    """The `Refiner` of that name."""

    def refine(self, frame: Frame, probability: Probability) -> Probability:
        """See `stages.engines.protocols.Refiner`."""
        solid = probability > 0.5
        left, top, width, height = cv2.boundingRect(solid.astype(np.uint8))
        refined: Probability = probability.copy()
        if not width:
            return refined
        margin = 3 * _RADIUS_PX + _BAND_PX
        box = (slice(max(0, top - margin), top + height + margin), slice(max(0, left - margin), left + width + margin))
        filtered = GuidedFilter(frame[box], _RADIUS_PX).filtered(probability[box])
        band = band_around(solid[box], _BAND_PX)
        refined[box][band] = filtered[band]
        return refined
