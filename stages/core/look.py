"""What can be seen of one mask on its frame that tells how good it is, without any ground truth."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.types import Look, Probability

_LEAST: Final = 4 / 255
"""Probabilities below it are rounding."""


def look_at(probability: Probability, mask: NDArray[np.bool_]) -> Look:
    """Look at one mask.

    Args:
        probability: (H, W) float32 in [0, 1], the soft mask that the mask was made from, before refinement.
        mask: (H, W) bool, what came of it.
    """
    left, top, width, height = cv2.boundingRect(((probability > _LEAST) | mask).view(np.uint8))
    if not mask.any():
        return Look()
    window = slice(top, top + height), slice(left, left + width)
    soft, inside = probability[window], mask[window]
    area_px = int(np.count_nonzero(inside))
    likely_px = float(soft[inside].sum())
    _, _, parts, _ = cv2.connectedComponentsWithStats(inside.view(np.uint8), connectivity=8)
    return Look(
        sureness=likely_px / (area_px + float(soft.sum()) - likely_px),
        largest=float(parts[1:, cv2.CC_STAT_AREA].max() / area_px),
    )
