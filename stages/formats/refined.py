"""The folders `refined/<stretch>/` and `refined/<frame>/`: `masks/<frame>.png` and `frames.csv`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from stages.core.types import LabelMap
from stages.formats import files
from stages.formats.frames_csv import FrameQuality, write_frames_csv
from stages.formats.masks import write_mask

MASKS: Final = "masks"


class RefinedWriter:
    """Takes the refined frames of a stretch or of an anchor, in order."""

    def __init__(self, folder: Path) -> None:
        """Begin in a folder that exists."""
        self._folder = folder
        self._rows: list[FrameQuality] = []
        files.make_folder(folder / MASKS)

    def append(self, index: int, labels: LabelMap, rows: list[FrameQuality]) -> None:
        """Write a frame's label map (H, W) uint8, and take what is known of its objects."""
        write_mask(self._folder / MASKS / f"{index:05d}.png", labels)
        self._rows += rows

    def close(self) -> None:
        """Write `frames.csv`."""
        write_frames_csv(self._folder, self._rows)


def refined_masks(folder: Path) -> Iterator[tuple[int, Path]]:
    """The frame index and the file of every label map, in order."""
    for path in sorted((folder / MASKS).iterdir()):
        yield int(path.stem), path


def area_px(labels: LabelMap, object_id: int) -> int:
    """Pixels that carry an id."""
    return int(np.count_nonzero(labels == object_id))
