"""The guard of refinement: a refined mask that moves too far from its input, or a part of it, is not believed."""

from dataclasses import dataclass

import cv2
import numpy as np

from stages.core.boxes import Box
from stages.core.errors import InputError
from stages.core.overlap import iou
from stages.core.types import Probability

_LEAST_SUPPORT = 0.02
_REACH, _LEAST_REACH_PX = 0.1, 4.0
"""How far a boundary may move without support, in sides of a square as large as the mask, and at least."""
_FOREIGN_SHARE = 0.25


@dataclass(frozen=True)
class Decision:
    """Whether a refined mask replaces its input."""

    accepted: bool
    reason: str
    """Why it was rejected, with the figures; "" if it was accepted."""


def guard(
    before: Probability, after: Probability, minimum_iou: float, area_ratio_range: tuple[float, float]
) -> Decision:
    """Compare a refined mask with its input, both binarised at one half.

    Args:
        before: (H, W) float32 in [0, 1], the input.
        after: (H, W) float32 in [0, 1], the refined mask.
        minimum_iou: the least overlap (intersection over union) that is still believed.
        area_ratio_range: lowest and highest believed area of `after` relative to `before`.

    Returns:
        The decision; an empty input accepts nothing but an empty mask.

    Raises:
        InputError: the shapes differ.
    """
    if before.shape != after.shape:
        raise InputError(
            f"A refined mask of shape {after.shape} came back for an input of shape {before.shape}: expected the same "
            "height and width. The refiner must return its result at the size of the frame."
        )
    old, new = before > 0.5, after > 0.5
    old_px, new_px = np.count_nonzero(old), np.count_nonzero(new)
    if old_px == 0:
        return Decision(new_px == 0, "" if new_px == 0 else f"{new_px} px appeared in an empty mask")
    area_ratio = new_px / old_px
    lowest, highest = area_ratio_range
    if not lowest <= area_ratio <= highest:
        return Decision(False, f"area x {area_ratio:.2f}, allowed {lowest:.2f} to {highest:.2f}")
    if (overlap := float(iou(old, new))) < minimum_iou:
        return Decision(False, f"IoU {overlap:.2f} below {minimum_iou:.2f}")
    return Decision(True, "")


def without_foreign_parts(before: Probability, after: Probability) -> Probability:
    """A refined mask less what was added that its input knows nothing of, like the stone that an arm leans on.

    A refiner moves boundaries and completes what is nearly there. A part that it adds is foreign if more than a quarter
    of it is so far from the input as no boundary moves, and has no probability there.

    Args:
        before: (H, W) float32 in [0, 1], the input, soft.
        after: (H, W) float32 in [0, 1], the refined mask.

    Returns:
        (H, W) float32 in [0, 1]: `before` in each foreign part, `after` everywhere else.
    """
    old = before > 0.5
    added = (after > 0.5) & ~old
    strange = added & (before < _LEAST_SUPPORT)
    if not strange.any():
        return after
    seen = Box.around(old | added).slices  # an object is small in a large frame
    old, added, strange = old[seen], added[seen], strange[seen]
    away_px = cv2.distanceTransform((~old).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    strange &= away_px > max(_LEAST_REACH_PX, _REACH * np.sqrt(np.count_nonzero(old)))
    count, parts = cv2.connectedComponents(added.view(np.uint8), connectivity=4)
    strange_px, added_px = (np.bincount(parts[where], minlength=count) for where in (strange, added))
    foreign = np.flatnonzero(strange_px > _FOREIGN_SHARE * added_px)
    if not len(foreign):
        return after
    kept = after.copy()
    kept[seen] = np.where(np.isin(parts, foreign), before[seen], after[seen])
    return kept
