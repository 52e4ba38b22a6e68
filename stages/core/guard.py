"""The guard of refinement: a refined mask that moves too far from its input is not believed."""

from dataclasses import dataclass

import numpy as np

from stages.core.errors import InputError
from stages.core.overlap import iou
from stages.core.types import Probability


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
