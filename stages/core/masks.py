"""Label maps and masks of single objects: one from the other."""

from collections.abc import Sequence

import numpy as np

from stages.core.types import LabelMap, Probability


def ids_in(labels: LabelMap) -> tuple[int, ...]:
    """The objects that have a pixel in a label map (H, W), ascending; 0 is background."""
    return tuple(int(object_id) for object_id in np.flatnonzero(np.bincount(labels.ravel(), minlength=1)) if object_id)


def masks_of(labels: LabelMap, object_ids: Sequence[int]) -> Probability:
    """Masks of 1 and 0: (objects, H, W) float32, in the order of the ids; all zero for one that has no pixel."""
    masks: Probability = (labels == np.array(object_ids, np.uint8).reshape(-1, 1, 1)).astype(np.float32)
    return masks
