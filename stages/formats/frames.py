"""The frames of a sequence: a folder of pictures, read one by one.

Knowing the frames (`list_frames`) needs no picture library; decoding imports Pillow when the first frame is read.
"""

import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.core.progress import Progress, silent
from stages.formats.frame_names import Order, in_order
from stages.formats.links import broken_link
from stages.formats.manifest import read_manifest
from stages.formats.pictures import as_rgb, load_picture

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
SMALLEST_SIDE_PX: Final = 12
_NOT_READ: Final = frozenset(
    {".arw", ".avif", ".cr2", ".cr3", ".dng", ".exr", ".gif", ".heic", ".heif", ".j2k", ".jp2", ".jxl", ".nef"}
    | {".pbm", ".pgm", ".ppm", ".raw", ".tga"}
)
"""Formats that frames come in, too."""


def list_frames(folder: Path) -> list[Path]:
    """The pictures of a folder that are a video, as `pictures_in` gives them.

    Raises:
        InputError: see `pictures_in`; or there is a gap in their numbers, unless an import has put them there so.
    """
    paths, gap = pictures_in(folder)
    if gap and not _were_imported(folder, paths):
        raise InputError(
            f"{folder}: {gap}, expected consecutive frames; put them back, number the frames anew, or bring the folder "
            "in as it is with `lis import`"
        )
    return paths


def pictures_in(folder: Path) -> Order:
    """The pictures of a folder in the order of their names (see `in_order`); hidden and other files are passed over.

    Raises:
        InputError: there is no such folder, no picture in it, two pictures of one stem (masks are named by stems), an
            order that is not certain, or a frame among them in a format that is not read.
    """
    if not folder.is_dir():
        found = broken_link(folder) or "no such folder"
        raise InputError(f"{folder}: found {found}, expected one that holds the frames; check the path")
    files, links = [], []
    with os.scandir(folder) as listing:  # it knows what is a file, without another question to the disk for each
        for entry in listing:
            if not entry.name.startswith("."):
                path = folder / entry.name
                if path.is_file() if entry.is_symlink() else entry.is_file():
                    files.append(path)
                elif entry.is_symlink():
                    links.append(path)
    _check_links(links)
    files.sort()
    paths = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise InputError(f"{folder}: found no picture, expected frames ({_suffixes()}); check the path")
    _check_left_out(folder, paths, [path for path in files if path.suffix.lower() in _NOT_READ])
    return in_order(folder, paths)


def has_pictures(folder: Path) -> bool:
    """Whether this is a folder with a picture in it, whatever else it holds."""
    return folder.is_dir() and any(
        path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        for path in folder.iterdir()
    )


def read_frame(path: Path) -> NDArray[np.uint8]:
    """Decode a picture as people see it (an EXIF orientation is followed): (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is missing, damaged, cut short, absurdly large, deeper than 8 bits a channel, or shows
            several pictures.
    """
    return np.array(as_rgb(path, load_picture(path)))


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


def pixel_digest(frame: NDArray[np.uint8]) -> str:
    """Hex SHA-256 of a decoded frame (H, W, 3) uint8 RGB: of `<height>x<width>x3` and a line break, then its bytes."""
    height, width, channels = frame.shape
    head = f"{height}x{width}x{channels}\n".encode()
    return hashlib.sha256(head + np.ascontiguousarray(frame).tobytes()).hexdigest()


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


def _were_imported(folder: Path, paths: Sequence[Path]) -> bool:
    """Whether these are the frames that an import has put there, all of them."""
    manifest = read_manifest(folder)
    return manifest is not None and manifest.digests.keys() == {path.name for path in paths}


def _check_links(paths: Iterable[Path]) -> None:
    """Refuse a frame that is a broken link: without it the video would be another one."""
    for path in sorted(paths):
        if path.suffix.lower() in SUFFIXES and (broken := broken_link(path)):
            raise InputError(f"{path}: found {broken}, expected a frame; mend or remove the link")


def _check_left_out(folder: Path, frames: Sequence[Path], others: Sequence[Path]) -> None:
    """Refuse frames in formats that are not read, which are named like the rest; a `preview.gif` is none."""
    stems = {path.stem for path in frames}
    series = {_series(path) for path in frames}
    for path in others:
        if path.stem not in stems and _series(path) in series:
            raise InputError(
                f"{folder}: found {path.name} among the frames, which cannot be read, expected {_suffixes()}; convert "
                "it, or remove it"
            )


def _series(path: Path) -> str:
    """The name without its numbers."""
    return re.sub(r"\d+", "#", path.stem)


def _suffixes() -> str:
    return ", ".join(sorted(SUFFIXES))
