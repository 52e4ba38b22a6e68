"""What a person would draw, made from ground truth: centre-line strokes.

They follow the description of the DAVIS robot's first round (empty prediction): open the mask, take its medial axis,
cut its cycles, and draw the longest path of every part. They are cleaner than a person's.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import medial_axis

from stages.core.centre_lines import longest_paths
from stages.core.strokes import Line
from stages.core.types import LabelMap

_OPENING = 0.2 / 2  # radius of the opening, in square roots of the object's area
_LARGEST_OPENING_PX = 16.0
_SHRINK = 0.9
_FEWEST_NODES = 4


def centre_lines(truth: LabelMap, seed: int = 0) -> tuple[Line, ...]:
    """The strokes of an annotator who knows the truth.

    Args:
        truth: (H, W) uint8 object ids.
        seed: the medial axis breaks ties at random.

    Returns:
        Lines by object id, the longest of an object first; at least one for every object, all points inside its mask.
    """
    height, width = truth.shape
    lines = []
    for object_id in np.unique(truth[truth > 0]).tolist():
        random = np.random.default_rng(seed)
        axis = medial_axis(_opened(truth == object_id), rng=random)  # type: ignore[no-untyped-call]
        paths = sorted(longest_paths(np.argwhere(axis)), key=len, reverse=True)
        # Specks that the opening left draw no line of their own, unless there is nothing else.
        for path in [path for path in paths if len(path) >= _FEWEST_NODES] or paths[:1]:
            lines.append(Line(object_id, tuple((column / width, row / height) for row, column in path.tolist())))
    return tuple(lines)


def _opened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask (H, W) without its thin parts, so that the medial axis has few branches; never empty."""
    radius_px = min(_LARGEST_OPENING_PX, _OPENING * np.sqrt(np.count_nonzero(mask)))
    while radius_px >= 1:
        size = 2 * int(radius_px) + 1
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        # Beyond the border nothing is known: an object that leaves the picture is not eaten from there.
        opened = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, disk)
        if opened.any():
            return opened > 0
        radius_px *= _SHRINK
    return mask
