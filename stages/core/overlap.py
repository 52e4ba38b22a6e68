"""How far masks overlap: the intersection over union, once for all arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_], of_nothing: float = 1.0) -> NDArray[np.float64]:
    """Intersection over union of masks, or of stacks of masks.

    Args:
        one: (..., H, W) bool.
        other: of the same shape.
        of_nothing: what two empty masks have.

    Returns:
        (...) float64 in [0, 1]; 0-d for a single pair.
    """
    common_px = np.count_nonzero(one & other, axis=(-2, -1))
    union_px: Any = np.count_nonzero(one | other, axis=(-2, -1))
    share = np.full(np.shape(union_px), of_nothing, np.float64)
    np.divide(common_px, union_px, out=share, where=np.asarray(union_px) > 0)
    return share
