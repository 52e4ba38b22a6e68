"""COCO's run lengths of the masks of a label map.

A mask is read column by column over the whole picture; the first run counts zeros, and is 0 if the first pixel is set;
a last run of zeros is written only where there is one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from stages.core.types import LabelMap


@dataclass(frozen=True)
class RunLengths:
    """A mask that is not empty, with what formats say of it."""

    size_hw: tuple[int, int]
    """Of the picture."""
    counts: NDArray[np.int64]
    """Zeros, ones, zeros ..."""
    box: tuple[int, int, int, int]
    """x, y, width, height in whole pixels: from its least column and row to its greatest, both within."""

    @property
    def area(self) -> int:
        """In pixels."""
        return int(self.counts[1::2].sum())

    @property
    def listed(self) -> dict[str, Any]:
        """As COCO's JSON has it, uncompressed."""
        return {"size": list(self.size_hw), "counts": self.counts.tolist()}

    @property
    def compressed(self) -> dict[str, Any]:
        """As COCO's JSON has it, compressed."""
        return {"size": list(self.size_hw), "counts": compress(self.size_hw, self.counts)}


def compress(size_hw: tuple[int, int], counts: NDArray[np.int64]) -> str:
    """Run lengths as COCO's text; of an empty mask they are all its pixels, in one run."""
    packed = coco.frPyObjects({"size": list(size_hw), "counts": counts.tolist()}, *size_hw)
    return packed["counts"].decode("ascii")


def run_lengths(labels: LabelMap) -> dict[int, RunLengths]:
    """The run lengths of every id that has a pixel, by id, without 0; in one pass, however many they are.

    Args:
        labels: (H, W) uint8.
    """
    height, size = labels.shape[0], labels.size
    values = labels.ravel(order="F")
    begins = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    ends = np.append(begins[1:], size)
    ids = values[begins]
    by_id = np.argsort(ids, kind="stable")
    found = {}
    for runs in np.split(by_id, np.flatnonzero(np.diff(ids[by_id])) + 1):
        if object_id := int(ids[runs[0]]):
            edges = np.append(np.stack([begins[runs], ends[runs]], axis=1), size)
            counts = np.diff(edges, prepend=0)
            box = _box(begins[runs], ends[runs] - 1, height)
            found[object_id] = RunLengths(labels.shape, counts if counts[-1] else counts[:-1], box)
    return found


def _box(firsts: NDArray[np.int64], lasts: NDArray[np.int64], height: int) -> tuple[int, int, int, int]:
    """Of runs, by their first and last pixels; a run that goes on in the next column reaches both borders."""
    left, right = int(firsts[0] // height), int(lasts[-1] // height)
    if (firsts // height != lasts // height).any():
        top, bottom = 0, height - 1
    else:
        top, bottom = int((firsts % height).min()), int((lasts % height).max())
    return left, top, right - left + 1, bottom - top + 1
