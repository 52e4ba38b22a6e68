"""The frames of a sequence: a folder of pictures, read one by one.

Knowing the frames (`list_frames`) needs no picture library; decoding imports Pillow when the first frame is read.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, overload

import numpy as np
from natsort import natsorted
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.core.progress import Progress, silent

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
SMALLEST_SIDE_PX: Final = 12


def list_frames(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order (frame_2 before frame_10); hidden and other files are passed over.

    Raises:
        InputError: there is no such folder, no picture in it, two pictures of one stem (masks are named by stems), or
            a gap in their numbers.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: found no such folder, expected one that holds the frames; check the path")
    paths = natsorted(
        (path for path in sorted(folder.iterdir()) if _is_picture(path)),
        key=lambda path: path.stem,
    )
    if not paths:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise InputError(f"{folder}: found no picture, expected frames ({suffixes}); check the path")
    for one, other in pairwise(sorted(paths, key=lambda path: path.stem)):
        if one.stem == other.stem:
            raise InputError(
                f"{folder}: found {one.name} and {other.name}, expected one picture a frame; remove one of the two"
            )
    _check_numbers(paths)
    return paths


def read_frame(path: Path) -> NDArray[np.uint8]:
    """Decode a picture as people see it (an EXIF orientation is followed): (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is missing, damaged, cut short, or deeper than 8 bits a channel.
    """
    picture = load_picture(path)
    if picture.mode.startswith(("I", "F")):
        raise InputError(
            f"{path}: found a picture of mode {picture.mode}, expected 8 bits a channel; convert the frames"
        )
    return np.array(picture.convert("RGB"))


def load_picture(path: Path) -> "Image.Image":
    """Decode a picture in full, in its own mode, turned as its EXIF orientation says.

    Raises:
        InputError: the file is missing, damaged or cut short.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 - listing frames must not need it

    try:
        with Image.open(path) as picture:
            ImageOps.exif_transpose(picture, in_place=True)
            picture.load()
            return picture
    except FileNotFoundError:
        raise InputError(f"{path}: found no such file, expected a picture; put it back") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: found no readable picture ({error}), expected a complete one; copy or export it again"
        ) from None


def inspect_frames(paths: Sequence[Path], progress: Progress = silent) -> tuple[int, int]:
    """Decode every frame once, to know that all are whole and of one size.

    Args:
        paths: the frames.
        progress: is told of every frame.

    Returns:
        Their width and height in pixels.

    Raises:
        InputError: names the first frame that is unreadable, cut short, or of another size than the first.
    """
    frames = Frames(paths)
    if min(frames.size_wh) < SMALLEST_SIDE_PX:
        raise InputError(
            f"{paths[0]}: found {frames.size_wh[0]}x{frames.size_wh[1]} pixels, expected {SMALLEST_SIDE_PX} at least "
            "on each side; enlarge the frames"
        )
    for index in progress(range(len(frames)), len(frames)):
        frames[index]
    return frames.size_wh


class Frames(Sequence[NDArray[np.uint8]]):
    """The video by frame index, decoded when asked for: (H, W, 3) uint8 RGB, read-only.

    The frames read last are kept, 32 MiB of them (engines that go forward and backward ask for a frame twice); memory
    does not grow with the length of the video. A slice is again such a sequence.
    """

    def __init__(self, paths: Sequence[Path], kept_bytes: int = 32 << 20) -> None:
        self.paths = tuple(paths)
        self._kept_bytes = kept_bytes
        self._recent: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._size_wh: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the first frame in pixels; every other frame must have them too."""
        if self._size_wh is None:
            height, width = read_frame(self.paths[0]).shape[:2]
            self._size_wh = (width, height)
        return self._size_wh

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice) -> "Frames": ...
    def __getitem__(self, index: int | slice) -> "NDArray[np.uint8] | Frames":
        if isinstance(index, slice):
            return Frames(self.paths[index], self._kept_bytes)
        index = range(len(self.paths))[index]
        if index not in self._recent:
            frame = self._recent[index] = self._read(index)
            while len(self._recent) > 1 and len(self._recent) * frame.nbytes > self._kept_bytes:
                self._recent.popitem(last=False)
        self._recent.move_to_end(index)
        return self._recent[index]

    def _read(self, index: int) -> NDArray[np.uint8]:
        frame = read_frame(self.paths[index])
        height, width = frame.shape[:2]
        if (width, height) != self.size_wh:
            raise InputError(
                f"{self.paths[index]}: found {width}x{height} pixels, expected {self.size_wh[0]}x{self.size_wh[1]} as "
                f"in {self.paths[0].name}; all frames of a sequence must have one size"
            )
        frame.flags.writeable = False
        return frame


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _check_numbers(paths: Sequence[Path]) -> None:
    """Refuse gaps in numbered names. Videos sampled at every fifth frame, and names that are no counters, are fine."""
    matches = [re.fullmatch(r"(.*?)(\d+)", path.stem) for path in paths]
    if len(paths) < 2 or not all(matches) or len({match[1] for match in matches if match}) > 1:
        return
    numbers = [int(match[2]) for match in matches if match]
    gaps = [after - before for before, after in pairwise(numbers)]
    step = min(gaps)
    if step == 0:
        at = gaps.index(0)
        raise InputError(
            f"{paths[at].parent}: found {paths[at].name} and {paths[at + 1].name}, which have one number, expected one "
            "picture a frame; remove or rename one of the two"
        )
    if any(gap % step for gap in gaps):
        return
    for before, number, gap in zip(paths, numbers, gaps, strict=False):
        if gap > step:
            digits = len(before.stem) - len(before.stem.rstrip("0123456789"))
            missing = f"{before.stem[:-digits]}{number + step:0{digits}d}{before.suffix}"
            raise InputError(
                f"{before.parent}: {missing} is missing after {before.name} ({sum(gap // step - 1 for gap in gaps)} "
                "missing in all), expected consecutive frames; put them back, or number the frames anew"
            )
