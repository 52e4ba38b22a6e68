"""Where SiamMask looks: the crops it takes of a frame, and the anchors that tile a search crop.

Pure functions. Colours come out in the order in which they go in. Rounding is the original's wherever it moves a pixel.
"""

from typing import Final, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

TEMPLATE_SIDE_PX: Final = 127
SEARCH_SIDE_PX: Final = 255
STRIDE_PX: Final = 8
CELLS: Final = 25
"""Side of the score map: (255 - 127) / 8 + 1 + 8."""
FIRST_CELL: Final = 4
"""The cell whose patch begins where the search crop begins."""

_RATIOS: Final = (0.33, 0.5, 1, 2, 3)
_SCALE: Final = 8
CONTEXT: Final = 0.5
"""How much of the target's width + height is added around it."""

_Numbers = TypeVar("_Numbers", float, NDArray[np.floating])


class SearchArea(NamedTuple):
    """The square of a frame that becomes the search crop."""

    centre_xy: tuple[float, float]
    """Frame pixels."""
    side: int
    """Frame pixels."""
    unrounded_side: float
    """Frame pixels."""
    scale: float
    """Crop pixels per frame pixel (of the unrounded square)."""

    @property
    def box_xywh(self) -> tuple[float, float, float, float]:
        """The square by which masks are placed; up to a pixel off the one that `crop` cuts, as in the original."""
        x, y = self.centre_xy
        return x - self.side / 2, y - self.side / 2, self.side, self.side


# ------------------------------------------------------------------------------------------------------- crops


def context_side(width: _Numbers, height: _Numbers, context: float = CONTEXT) -> _Numbers:
    """Side of the square around a target of this size that becomes the template, before rounding."""
    added = context * (width + height)
    side: _Numbers = np.sqrt((width + added) * (height + added))
    return side


def search_area(centre_xy: tuple[float, float], size_wh: tuple[float, float]) -> SearchArea:
    """Where to look for a target that was last seen with this centre and size (frame pixels)."""
    side = float(context_side(*size_wh))
    scale = TEMPLATE_SIDE_PX / side
    side += 2 * ((SEARCH_SIDE_PX - TEMPLATE_SIDE_PX) / 2 / scale)
    return SearchArea(centre_xy, round(side), side, scale)


def mean_colour(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean of each channel of a frame (H, W, 3): (3,) in 0..255."""
    return np.asarray(frame.mean(axis=(0, 1)))


def corner(centre_xy: tuple[float, float], side: int) -> tuple[int, int]:
    """The first column, round(x - (side + 1) / 2), half to even, and the first row of the square that `crop` cuts."""
    left, top = (round(float(centre) - (side + 1) / 2) for centre in centre_xy)
    return left, top


def crop(
    frame: NDArray[np.uint8],
    centre_xy: tuple[float, float],
    side: int,
    fill: NDArray[np.float64],
    out_side: int,
) -> NDArray[np.uint8]:
    """Cut a square out of a frame and resize it.

    Args:
        frame: (H, W, 3) uint8.
        centre_xy: frame pixels, see `corner`.
        side: frame pixels, at least 1.
        fill: (3,) what lies outside of the frame: the mean colour of the track's first frame, fractions cut off.
        out_side: pixels.

    Returns:
        (out_side, out_side, 3) uint8, bilinear in OpenCV's fixed-point arithmetic, not smoothed before.
    """
    height, width = frame.shape[:2]
    left, top = corner(centre_xy, side)
    x0, x1 = (min(max(x, 0), width) for x in (left, left + side))
    y0, y1 = (min(max(y, 0), height) for y in (top, top + side))
    # Row by row: broadcasting a colour to an array writes three bytes at a time, which takes as long as the heads do.
    row = np.tile(fill.astype(np.uint8), side)
    patch = np.repeat(row[np.newaxis], side, axis=0).reshape(side, side, 3)
    patch[y0 - top : y1 - top, x0 - left : x1 - left] = frame[y0:y1, x0:x1]
    if side == out_side:
        return patch
    return np.asarray(cv2.resize(patch, (out_side, out_side), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


# ----------------------------------------------------------------------------------------------------- anchors


def anchor_shapes() -> NDArray[np.float32]:
    """The boxes that every cell starts from: (5, 4) left, top, right, bottom around 0, crop pixels."""
    shapes = []
    for ratio in _RATIOS:
        width = int(np.sqrt(STRIDE_PX**2 / ratio))
        height = int(width * ratio)  # of the width that has lost its fraction already
        shapes.append((width * _SCALE, height * _SCALE))
    half = np.array(shapes, dtype=np.float32) / 2
    return np.concatenate([-half, half], axis=1)


def anchors() -> NDArray[np.float32]:
    """All anchors of a search crop.

    Returns:
        (3125, 4) centre x, centre y, width, height; crop pixels, relative to the crop's centre. Row
        (anchor * 25 + y) * 25 + x belongs to cell (y, x).
    """
    shapes = anchor_shapes()
    offsets = (np.arange(CELLS, dtype=np.float32) - CELLS // 2) * STRIDE_PX
    table = np.empty((len(shapes), CELLS, CELLS, 4), dtype=np.float32)
    table[..., 0] = offsets
    table[..., 1] = offsets[:, np.newaxis]
    table[..., 2:] = (shapes[:, 2:] - shapes[:, :2])[:, np.newaxis, np.newaxis]
    return table.reshape(-1, 4)


def cosine_window() -> NDArray[np.float64]:
    """Prior for small displacements: (3125,) in [0, 1], 1 in the middle, 0 at the rim; rows as in `anchors`."""
    hann = np.hanning(CELLS)
    return np.tile(np.outer(hann, hann).ravel(), len(_RATIOS))
