"""Soft masks in HDF5: uint8 probabilities, cropped to what they hold."""

import h5py
import numpy as np

from stages.core.boxes import Box
from stages.core.soft import from_uint8, to_uint8
from stages.core.types import Probability


class SoftMaskWriter:
    """One object's soft masks, frame after frame, each cropped to its box; memory holds them compressed only.

    Datasets: `values` (all crops, row by row, one behind the other), `offset` (frames + 1), `box_xyxy` (frames, 4;
    right and bottom exclusive).
    """

    def __init__(self, group: h5py.Group):
        self._values = group.create_dataset(
            "values",
            shape=(0,),
            maxshape=(None,),
            dtype=np.uint8,
            chunks=(1 << 16,),
            compression="gzip",
            compression_opts=1,
        )
        self._group = group
        self._offsets = [0]
        self._boxes: list[Box] = []

    def append(self, probability: Probability) -> None:
        """Add the next frame's mask: (H, W) float32 in [0, 1]."""
        around = Box.around(probability > 0)
        values = to_uint8(probability[around.slices])
        inside = Box.around(values > 0)
        crop = values[inside.slices].ravel()
        start = self._offsets[-1]
        self._values.resize((start + crop.size,))
        self._values[start:] = crop
        self._offsets.append(start + crop.size)
        self._boxes.append(inside.moved(around.left, around.top) if crop.size else Box(0, 0, 0, 0))

    def close(self) -> None:
        """Write the index."""
        self._group.create_dataset("offset", data=np.array(self._offsets, dtype=np.int64))
        self._group.create_dataset("box_xyxy", data=np.array(self._boxes, dtype=np.int32).reshape(-1, 4))


def read_soft_mask(group: h5py.Group, position: int, height: int, width: int) -> Probability:
    """The mask at a position of the list, (height, width) float32 in [0, 1].

    Raises:
        ValueError: its box reaches beyond the picture, or is not what its values fill.
    """
    left, top, right, bottom = (int(value) for value in group["box_xyxy"][position])
    start, stop = (int(value) for value in group["offset"][position : position + 2])
    if not (0 <= left <= right <= width and 0 <= top <= bottom <= height):
        raise ValueError(f"a box {left, top, right, bottom} in a picture of {width}x{height}")
    if stop - start != (bottom - top) * (right - left):
        raise ValueError(f"{stop - start} values for a box of {right - left}x{bottom - top}")
    probability = np.zeros((height, width), dtype=np.float32)
    crop = group["values"][start:stop].reshape(bottom - top, right - left)
    probability[top:bottom, left:right] = from_uint8(crop)
    return probability
