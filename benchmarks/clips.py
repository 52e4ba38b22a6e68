"""Videos with ground truth: the sequences of a DAVIS root, and two of them side by side.

ROOT/JPEGImages/480p/<name>/*.jpg, ROOT/Annotations/480p/<name>/*.png, ROOT/Scribbles/<name>/001.json
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.strokes import centre_lines
from stages.core.errors import InputError
from stages.core.palette import IGNORE
from stages.core.types import LabelMap
from stages.formats.frames import list_frames, read_frame
from stages.formats.masks import read_mask, write_mask
from stages.formats.scribbles import ScribbleSet, merge, write_scribbles

_FRAMES = Path("JPEGImages", "480p")
_TRUTHS = Path("Annotations", "480p")
_GREY = 128


@dataclass(frozen=True)
class Clip:
    """A sequence whose every frame has a ground truth mask."""

    name: str
    frames: tuple[Path, ...]
    truths: tuple[Path, ...]
    scribbles: Path
    """The scribble set 001."""

    def read_truths(self) -> Iterator[LabelMap]:
        """The ground truth, frame by frame: (H, W) uint8 object ids."""
        return map(read_mask, self.truths)

    def object_ids(self) -> tuple[int, ...]:
        """The objects that are there on some frame, ascending."""
        seen = {object_id for truth in self.read_truths() for object_id in np.unique(truth).tolist()}
        return tuple(sorted(seen - {0, IGNORE}))


def clip_names(root: Path) -> list[str]:
    """The sequences of a DAVIS root that have a folder of ground truth, sorted.

    Raises:
        InputError: there are none.
    """
    names = sorted(path.name for path in (root / _TRUTHS).glob("*") if path.is_dir())
    if not names:
        raise InputError(f"{root / _TRUTHS}: found no sequence with ground truth, expected a root of the DAVIS layout")
    return names


def open_clip(root: Path, name: str) -> Clip:
    """Find a sequence's files.

    Raises:
        InputError: frames, the scribble set 001, or the ground truth of a frame is missing.
    """
    frames = list_frames(root / _FRAMES / name)
    truths = [root / _TRUTHS / name / f"{frame.stem}.png" for frame in frames]
    scribbles = root / "Scribbles" / name / "001.json"
    for path in (*truths, scribbles):
        if not path.is_file():
            raise InputError(
                f"{path}: found no such file, expected a ground truth mask for each of the {len(frames)} frames of "
                f"{name!r}, and a scribble set; complete the DAVIS root, or leave this sequence out"
            )
    return Clip(name, tuple(frames), tuple(truths), scribbles)


def mosaic(left: Clip, right: Clip, root: Path) -> Clip:
    """Write two clips side by side, as a sequence of a DAVIS root.

    It is as long as the shorter clip. The ids of the right clip's objects follow those of the left. During the middle
    third the right half is plain grey, so that its objects are truly absent there. The set 001 holds centre-line
    strokes on the last frame of the first quarter.

    Args:
        left: the left half.
        right: the right half, of the same height.
        root: the DAVIS root to write into.

    Returns:
        The new clip, named after both.

    Raises:
        InputError: the heights differ.
    """
    name = f"{left.name}_{right.name}"
    frames, truths, scribbles = root / _FRAMES / name, root / _TRUTHS / name, root / "Scribbles" / name
    for folder in (frames, truths, scribbles):
        folder.mkdir(parents=True)
    count = min(len(left.frames), len(right.frames))
    first_right_id = max(left.object_ids(), default=0) + 1
    for index in range(count):
        pictures = [read_frame(clip.frames[index]) for clip in (left, right)]
        masks = [read_mask(clip.truths[index]) for clip in (left, right)]
        if len({array.shape[0] for array in (*pictures, *masks)}) > 1:
            raise InputError(
                f"{right.name}: found frames {pictures[1].shape[0]} pixels high, expected {pictures[0].shape[0]} as in "
                f"{left.name}; clips side by side must have one height"
            )
        masks[1] = np.where(np.isin(masks[1], (0, IGNORE)), masks[1], masks[1] + np.uint8(first_right_id - 1))
        if count <= 3 * index < 2 * count:
            pictures[1] = np.full_like(pictures[1], _GREY)
            masks[1] = np.zeros_like(masks[1])
        Image.fromarray(np.hstack(pictures)).save(frames / f"{index:05d}.jpg", quality=95, subsampling=0)
        write_mask(truths / f"{index:05d}.png", np.hstack(masks))
    given = max(count // 4 - 1, 0)
    strokes = merge(ScribbleSet(name, count), given, centre_lines(read_mask(truths / f"{given:05d}.png")))
    write_scribbles(scribbles / "001.json", strokes)
    return open_clip(root, name)
