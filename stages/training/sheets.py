"""Pictures of examples, to be looked at."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]


def contour(picture: Rgb, mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> Rgb:
    """A copy of a picture (H, W, 3) with a mask's outline."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture.copy(), outlines, -1, colour, 1)


def tiles(pictures: Sequence[Rgb], columns: int) -> Rgb:
    """Put pictures of one size side by side, `columns` in a row; (H, W, 3)."""
    blank = np.zeros_like(pictures[0])
    padded = [*pictures, *[blank] * (-len(pictures) % columns)]
    rows = [np.hstack(padded[start : start + columns]) for start in range(0, len(padded), columns)]
    return np.vstack(rows)
