"""Ground truth, examined in full before anything is computed: nothing is guessed, nothing is downloaded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.core.errors import InputError
from stages.core.palette import IGNORE
from stages.core.types import LabelMap
from stages.formats.masks import read_mask


@dataclass(frozen=True)
class Masks:
    """One indexed mask for each frame: (H, W) uint8 object ids, read when asked for."""

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> LabelMap:
        return read_mask(self.files[index])

    def __iter__(self) -> Iterator[LabelMap]:
        return map(read_mask, self.files)


@dataclass(frozen=True)
class Truth(Masks):
    """The ground truth of a sequence."""

    object_ids: tuple[int, ...]
    """1..N: every object that is there on some frame."""


def truth_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """The masks that belong to frames, in their order.

    Args:
        folder: Annotations/480p/<sequence>.
        names: file names of the frames; a mask has the stem of its frame.

    Raises:
        InputError: there is no ground truth, masks are missing, or there are more masks than frames.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: found no such folder, expected the ground truth, one indexed PNG for each of {len(names)} "
            "frames. Put it there, or leave this sequence out; a sequence without ground truth cannot be evaluated."
        )
    files = [folder / f"{Path(name).stem}.png" for name in names]
    if missing := [path.name for path in files if not path.is_file()]:
        raise InputError(
            f"{folder}: found no mask {missing[0]} ({len(missing)} of {len(names)} are missing), expected one for each "
            "frame. Complete the ground truth, or import only the frames that have one."
        )
    if strangers := sorted({path.name for path in folder.glob("*.png")} - {path.name for path in files}):
        raise InputError(
            f"{folder}: found {strangers[0]} ({len(strangers)} masks without a frame), expected {len(names)} masks for "
            f"{len(names)} frames. Take the frames and masks of one version of the video."
        )
    return files


def inspect_truth(files: Sequence[Path], size_wh: tuple[int, int]) -> Truth:
    """Read every mask once and count the objects.

    Args:
        files: what `truth_files` found.
        size_wh: width and height of the frames in pixels.

    Raises:
        InputError: a mask is unreadable, of another size than the frames, or marks pixels to ignore; no object is on
            any of them, or their ids leave one out.
    """
    seen: set[int] = set()
    for path in files:
        mask = read_mask(path)
        if mask.shape[::-1] != tuple(size_wh):
            found = "x".join(str(side) for side in mask.shape[::-1])
            raise InputError(
                f"{path}: found {found} pixels, expected {size_wh[0]}x{size_wh[1]} as in the frames. "
                "Evaluate at the resolution of the ground truth."
            )
        seen.update(np.unique(mask).tolist())
        if IGNORE in seen:
            raise InputError(
                f"{path}: found the value {IGNORE} in an indexed mask, expected object ids from 1 on, and 0 for "
                "background: no pixel is left out of the measures. Write a binary mask as 0 and 1."
            )
    ids = sorted(seen - {0})
    if ids != list(range(1, len(ids) + 1)) or not ids:
        raise InputError(
            f"{files[0].parent}: found the object ids {ids}, expected 1, 2, ... without a gap: an id that is nowhere "
            "would count as an object that is right on every frame. Number the objects anew."
        )
    return Truth(tuple(files), tuple(ids))
