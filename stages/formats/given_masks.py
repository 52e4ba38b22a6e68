"""`Scribbles/<seq>/<set>.masks/<frame>.png`: masks that people gave, each a frame's last word on all of its objects.

    001.json                      the scribble set; missing where only masks are given
    001.masks/00012.png           the mask of frame 12: an indexed PNG of the frames' size, 0 is background
    001.seen/00040-<digest>.png   what a person saw of frame 40 when correcting it with strokes: a copy of the result's
    removed/001.masks/...         what was given before

A given mask is in the result as it is: every pixel has the same id, and a file that LIS itself has written
(`write_given`, any import) is there byte for byte. A PNG that came by another way (another compression, another
palette, grey) stays as it was; in the result its ids stand in a PNG as LIS writes them. 255 says that nobody knows:
such pixels take the id of the nearest one that is known.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from stages.core.errors import InputError, StageError
from stages.core.palette import IGNORE
from stages.core.types import LabelMap
from stages.formats import files
from stages.formats.masks import encoded_mask, read_mask
from stages.formats.names import shown

MASKS: Final = ".masks"
SEEN: Final = ".seen"
REMOVED: Final = "removed"
_NAME: Final = re.compile(r"\d{5,}\.png")
_PICTURE: Final = re.compile(r".*\.(a?png|jpe?g|jfif|webp|bmp|tga|tiff?|gif|hei[cf]|avif|jxl|jp2)", re.IGNORECASE)
_DIGITS: Final = 12
"""Of a digest, in the name of a copy."""


def masks_folder(scribble_file: Path) -> Path:
    """Where the masks lie that were given with a scribble set: `<set>.masks`, beside its file."""
    return scribble_file.with_name(f"{scribble_file.stem}{MASKS}")


def given_frames(scribble_file: Path) -> Mapping[int, Path]:
    """The masks that were given with a scribble set: frame index -> file, ascending; none if there is no such folder.

    Raises:
        InputError: the folder cannot be read, or holds a picture whose name is no frame's.
    """
    folder = masks_folder(scribble_file)
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{folder}: the given masks cannot be read: {error.strerror}; put a folder there") from None
    for name in names:
        if _PICTURE.fullmatch(name) and not _is_frame(name):
            raise InputError(
                f"{folder}: found {shown(name)}, expected masks named by the number of their frame, counted from 0, "
                "such as 00012.png (PNG, five digits or more); rename it, or move it out of the folder"
            )
    return {int(name[:-4]): folder / name for name in sorted(filter(_is_frame, names), key=lambda name: int(name[:-4]))}


def read_given(
    path: Path,
    size_wh: tuple[int, int],
    tell: Callable[[str], object] = lambda _: None,
    *,
    frame: str = "the frames",
) -> LabelMap:
    """Read a given mask: an indexed PNG, or a grey one (see `read_mask`).

    Args:
        path: the file.
        size_wh: width and height of the frames in pixels.
        tell: is told how many pixels were unknown (255).
        frame: the name of its frame's picture, for messages.

    Returns:
        (H, W) uint8 object ids in 0..254: where the file says 255, that of the nearest other pixel.

    Raises:
        InputError: the file is missing or damaged, no PNG, holds colours instead of ids, has another size, or says
            nothing but 255.
    """
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: found another kind of file, expected an indexed PNG (mode P); save the mask as one")
    labels = read_mask(path)
    height, width = labels.shape
    if (width, height) != size_wh:
        raise InputError(
            f"{path}: found {width}x{height} pixels, expected {size_wh[0]}x{size_wh[1]} as in {frame}; export it "
            "without scaling"
        )
    unknown = labels == IGNORE
    count = int(np.count_nonzero(unknown))
    if count == labels.size:
        raise InputError(f"{path}: found {IGNORE} (unknown) everywhere, expected object ids; correct the mask")
    if count:
        tell(f"{path.name}: {count:,} pixels are unknown ({IGNORE}); they take the id of the nearest other pixel")
        labels = _filled(labels, unknown)
    return labels


def write_given(scribble_file: Path, index: int, labels: LabelMap) -> Path:
    """Give a mask with a scribble set, in the place of a former one, which is kept in `removed/`.

    Args:
        scribble_file: the set's; it need not exist.
        index: the frame's, from 0.
        labels: (H, W) uint8, ids in 0..254, of the frames' size.

    Returns:
        The file; it appears by one rename.

    Raises:
        StageError: the array is no label map, or the disk refuses.
    """
    path = masks_folder(scribble_file) / f"{index:05d}.png"
    content = encoded_mask(path, labels)
    try:
        files.make_folder(path.parent)
        if path.exists() and path.read_bytes() != content:
            keep_removed(path)
        files.replace(path, content)
    except OSError as error:
        raise StageError(f"{path}: the mask cannot be written: {error.strerror}; make room or allow it") from error
    return path


def keep_removed(path: Path) -> Path:
    """Keep a copy of a given mask that is about to go, in `removed/` beside the set.

    Raises:
        OSError: the disk refuses.
    """
    kept = path.parent.parent / REMOVED / path.parent.name / f"{path.stem}-{files.sha256(path)[:_DIGITS]}.png"
    files.make_folder(kept.parent)
    files.replace(kept, path.read_bytes())
    return kept


# --- what was seen when strokes corrected it -------------------------------------------------------------------------


def seen_copy(scribble_file: Path, index: int, digest: str) -> Path:
    """The copy of a frame's mask as it was when strokes corrected it; `digest` is the sha256 of its bytes."""
    return scribble_file.with_name(f"{scribble_file.stem}{SEEN}") / f"{index:05d}-{digest[:_DIGITS]}.png"


def keep_seen(scribble_file: Path, index: int, content: bytes, digest: str) -> None:
    """Keep what a person saw of a frame; copies of former corrections stay, and do no harm.

    Raises:
        StageError: the disk refuses.
    """
    path = seen_copy(scribble_file, index, digest)
    try:
        files.make_folder(path.parent)
        files.replace(path, content)
    except OSError as error:
        raise StageError(f"{path}: the copy cannot be written: {error.strerror}; make room or allow it") from error


def read_seen(scribble_file: Path, index: int, digest: str, size_wh: tuple[int, int]) -> LabelMap:
    """What a person saw of a frame: (H, W) uint8 ids.

    Raises:
        InputError: the copy is missing, or another one than the scribble set names.
    """
    path = seen_copy(scribble_file, index, digest)
    found = files.sha256(path) if path.is_file() else ""
    if found != digest:
        raise InputError(
            f"{path}: found {'another content' if found else 'no such file'}, expected the mask that the strokes on "
            f"frame {index} correct ({scribble_file.name}, key 'corrects'); bring it back, or remove the frame from "
            "'corrects': then objects without a stroke are absent there"
        )
    return read_given(path, size_wh)


def _is_frame(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name == f"{int(name[:-4]):05d}.png"


def _filled(labels: LabelMap, unknown: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> LabelMap:
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415 - naming masks must not need it

    nearest = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    filled: LabelMap = labels[tuple(nearest)]
    return filled
