"""Soft masks in HDF5: uint8 probabilities, cropped to what they hold.

Files are put together in memory and then written at once: a disk that fills up raises an ordinary OSError, where the
HDF5 library would leave a damaged file open (and may crash on the next one).
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from stages.core.soft import from_uint8, to_uint8
from stages.core.types import Probability
from stages.formats import files


@contextmanager
def write_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file to fill; it is written when the block ends well."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        yield file
    files.write(path, buffer.getbuffer())


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
        self._boxes: list[tuple[int, int, int, int]] = []

    def append(self, probability: Probability) -> None:
        """Add the next frame's mask: (H, W) float32 in [0, 1]."""
        values = to_uint8(probability)
        rows, columns = np.flatnonzero(values.any(axis=1)), np.flatnonzero(values.any(axis=0))
        if rows.size:
            left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        else:
            left = top = right = bottom = 0
        crop = values[top:bottom, left:right].ravel()
        start = self._offsets[-1]
        self._values.resize((start + crop.size,))
        self._values[start:] = crop
        self._offsets.append(start + crop.size)
        self._boxes.append((int(left), int(top), int(right), int(bottom)))

    def close(self) -> None:
        """Write the index."""
        self._group.create_dataset("offset", data=np.array(self._offsets, dtype=np.int64))
        self._group.create_dataset("box_xyxy", data=np.array(self._boxes, dtype=np.int32).reshape(-1, 4))


def read_soft_mask(group: h5py.Group, position: int, height: int, width: int) -> Probability:
    """The mask at a position of the list, (height, width) float32 in [0, 1]."""
    left, top, right, bottom = (int(value) for value in group["box_xyxy"][position])
    start, stop = (int(value) for value in group["offset"][position : position + 2])
    probability = np.zeros((height, width), dtype=np.float32)
    crop = group["values"][start:stop].reshape(bottom - top, right - left)
    probability[top:bottom, left:right] = from_uint8(crop)
    return probability
