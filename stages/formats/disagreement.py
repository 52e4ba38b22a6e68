"""The file `tracks/<stretch>/disagreement.h5`: where the forward and the backward mask of an object differ.

A file of its own, since masks do not depend on it: what is made of tracks stays valid whether it is there or not. It is
not of stretches with one direction, of engines that do not tell, and of tracks of former versions.

`frames` (frames,) are those on which it is known, ascending, `object_ids` (objects,) those of the stretch. An object's
pixels on a frame lie in `box_xyxy` (frames, objects, 4; right and bottom exclusive). `bits` holds these boxes, row by
row, 8 pixels a byte, each packed by zlib, one behind the other; `offset` (frames * objects + 1,) is where each begins.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Final

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from stages.formats.hdf5 import read_hdf5, read_object_ids, read_size, write_hdf5
from stages.formats.results import DISAGREEMENT
from stages.formats.schema import check_schema

SCHEMA: Final = 1
_LEVEL: Final = 1
"""Of zlib: higher ones save little, and take long."""


class DisagreementWriter:
    """Takes the frames of a stretch, in order; memory holds them packed."""

    def __init__(self, folder: Path, object_ids: Sequence[int]) -> None:
        self._path, self._object_ids = folder / DISAGREEMENT, object_ids
        self._size_wh = (0, 0)
        self._frames: list[int] = []
        self._boxes: list[tuple[int, int, int, int]] = []
        self._packed: list[bytes] = []

    def append(self, index: int, differing: NDArray[np.bool_]) -> None:
        """Add a frame: (objects, H, W)."""
        self._size_wh = differing.shape[:0:-1]
        self._frames.append(index)
        for layer in differing:
            left, top, width, height = cv2.boundingRect(layer.view(np.uint8))
            self._boxes.append((left, top, left + width, top + height))
            crop = layer[top : top + height, left : left + width]
            self._packed.append(zlib.compress(np.packbits(crop).tobytes(), _LEVEL) if width else b"")

    def close(self) -> None:
        """Write the file, if anything is known and there is an object."""
        if not self._boxes:
            return
        with write_hdf5(self._path) as file:
            file.attrs["schema"] = SCHEMA
            file.attrs["size_wh"] = self._size_wh
            file.create_dataset("frames", data=np.array(self._frames, np.int32))
            file.create_dataset("object_ids", data=np.array(self._object_ids, np.int32))
            boxes = np.array(self._boxes, np.int32).reshape(len(self._frames), -1, 4)
            file.create_dataset("box_xyxy", data=boxes)
            file.create_dataset("offset", data=np.cumsum([0, *map(len, self._packed)]), dtype=np.int64)
            file.create_dataset("bits", data=np.frombuffer(b"".join(self._packed), np.uint8))


def read_disagreement(folder: Path, frames: Iterable[int]) -> Iterator[NDArray[np.bool_] | None]:
    """Where the directions of each object disagree, frame by frame.

    Args:
        folder: of the tracks.
        frames: the frames that are asked for.

    Yields:
        (objects, H, W) bool, in the order of the tracks' ids; None where nothing is known.

    Raises:
        StageError: the file is damaged, or a newer version of LIS has written it.
    """
    path = folder / DISAGREEMENT
    if not path.exists():
        yield from repeat(None, sum(1 for _ in frames))
        return
    with read_hdf5(path) as file:
        check_schema(path, int(file.attrs.get("schema", 0)), SCHEMA)
        count, size_wh = len(read_object_ids(file)), read_size(file)
        places = {int(index): place for place, index in enumerate(file["frames"])}
        for index in frames:
            place = places.get(index)
            yield None if place is None else _read_frame(file, place, count, size_wh)


def _read_frame(file: h5py.File, place: int, count: int, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    width, height = size_wh
    differing = np.zeros((count, height, width), np.bool_)
    offsets = file["offset"][place * count : (place + 1) * count + 1]
    packed = file["bits"][int(offsets[0]) : int(offsets[-1])].tobytes()
    for number, layer in enumerate(differing):
        left, top, right, bottom = (int(value) for value in file["box_xyxy"][place, number])
        if not (0 <= left <= right <= width and 0 <= top <= bottom <= height):
            raise ValueError(f"a box {left, top, right, bottom} in a picture of {width}x{height}")
        start, stop = (int(value - offsets[0]) for value in offsets[number : number + 2])
        pixels = (bottom - top) * (right - left)
        if pixels:
            bits = np.unpackbits(_unpacked(packed[start:stop], -(-pixels // 8)), count=pixels)
            layer[top:bottom, left:right] = bits.reshape(bottom - top, right - left)
    return differing


def _unpacked(packed: bytes, length: int) -> NDArray[np.uint8]:
    """What zlib packed, if it is as long as it should be."""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(packed, length + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(found) != length:
        raise ValueError(f"{len(found)} bytes for a box of {length}")
    return np.frombuffer(found, np.uint8)
