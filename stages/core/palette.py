"""Object ids, and the colours that make them visible."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

IGNORE: Final = 255
"""Marks pixels that nobody judges, in DAVIS annotations; no object has this id."""
MAX_OBJECT_ID: Final = IGNORE - 1
"""The highest object id: masks are 8 bits wide."""


def davis_palette() -> NDArray[np.uint8]:
    """The colour of every id, as PASCAL VOC defines it: (256, 3) uint8 RGB.

    The id's bits are dealt out to red, green and blue in turn, lowest first, each filling its channel from the top bit.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        palette[:, bit % 3] |= (((ids >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return palette


def colour_of(object_id: int) -> str:
    """The colour of an id in the palette, as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*davis_palette()[object_id].tolist())
