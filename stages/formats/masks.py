"""Label maps on disk: indexed PNG with the DAVIS palette.

The number of a pixel is the object's id, 0 is background; the palette only makes it visible. Colours carry ids in one
case only: editors and optimisers write our palette shorter and in another order, and then the numbers mean nothing.
"""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from stages.core.errors import InputError, StageError
from stages.core.palette import IGNORE, davis_palette
from stages.core.types import LabelMap
from stages.formats import files
from stages.formats.pictures import encoded, load_picture

_OFF: Final = 3
"""How far colour management moves a colour, in each channel; two of ours are 32 apart."""


def write_mask(path: Path, label_map: LabelMap) -> None:
    """Write a label map as an indexed PNG with the DAVIS palette.

    Args:
        path: the file; its name may end in anything, a temporary suffix for instance.
        label_map: (H, W) uint8, ids in 0..254.

    Raises:
        StageError: the array is no label map, or the file cannot be written in full.
    """
    content = encoded_mask(path, label_map)
    try:
        files.write(path, content)
    except OSError as error:
        reason = error.strerror or error
        raise StageError(f"{path}: the mask cannot be written: {reason}; make room or allow it") from error


def encoded_mask(path: Path, label_map: LabelMap) -> memoryview:
    """The bytes of the file that `write_mask` writes.

    Raises:
        StageError: the array is no label map.
    """
    if label_map.dtype != np.uint8 or label_map.ndim != 2 or label_map.size == 0:
        found = f"{label_map.dtype} of shape {label_map.shape}"
        raise StageError(f"{path}: found an array of {found}, expected a label map (H, W) uint8")
    if label_map.max() == IGNORE:
        raise StageError(f"{path}: found the id {IGNORE} in a label map, expected object ids in 0..{IGNORE - 1}")
    return indexed_png(label_map)


def indexed_png(label_map: LabelMap) -> memoryview:
    """A label map (H, W) uint8 as the bytes of an indexed PNG with the DAVIS palette; 255 stays what it is."""
    from PIL import Image  # noqa: PLC0415 - naming given masks must not need it

    height, width = label_map.shape
    picture = Image.frombytes("P", (width, height), label_map.tobytes())
    picture.putpalette(davis_palette().tobytes())
    return encoded(picture, "PNG", compress_level=1)


def read_mask(path: Path) -> LabelMap:
    """Read a label map from an indexed PNG, whatever its palette: by its numbers.

    If every colour in it is one of ours, each once, and some have another number, the palette was put in another order:
    then it is read by its colours, which colour management may have moved a little. A palette of all greys in their
    order shows the numbers themselves. Grey pictures are read too: with values 0 and 255 only they are masks of a
    single object (DAVIS-2016), 255 becomes 1; other grey values below 255 are ids as they stand.

    Returns:
        (H, W) uint8 object ids; 255 in an indexed PNG stays what it is (`IGNORE`).

    Raises:
        InputError: the file is missing, damaged, or holds colours instead of ids; or its palette has some of our
            colours in another order, and others, or one of them twice.
    """
    picture = load_picture(path)
    if picture.format in ("JPEG", "MPO"):
        raise InputError(f"{path}: found a JPEG, whose compression invents ids; save as PNG")
    if picture.mode not in ("P", "L", "1"):
        raise InputError(
            f"{path}: found a picture of mode {picture.mode}, whose colours would have to be guessed, expected "
            "an indexed PNG (mode P) that holds object ids; save the label map itself, with Pillow's mode P"
        )
    values = np.array(picture, np.uint8)
    if picture.mode == "P":
        return _by_our_palette(path, values, picture.getpalette("RGB") or [])
    if values.max(initial=0) < IGNORE:
        return values
    if np.isin(values, (0, IGNORE)).all():
        return np.where(values == IGNORE, np.uint8(1), np.uint8(0))
    raise InputError(
        f"{path}: found a grey picture with {len(np.unique(values))} values up to 255, expected object ids, or 0 and "
        "255 for a single object; save the label map as an indexed PNG (mode P)"
    )


def _by_our_palette(path: Path, values: LabelMap, palette: list[int]) -> LabelMap:
    """The ids that numbers stand for: the numbers themselves, unless the palette is ours in another order."""
    colours = [tuple(palette[start : start + 3]) for start in range(0, len(palette), 3)]
    greys = [(value, value, value) for value in range(256)]
    if colours in (_our_colours()[: len(colours)], greys[: len(colours)]):
        return values
    numbers = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    used = [colours[number] if number < len(colours) else None for number in numbers.tolist()]
    ids, nearly = ([_id_of(colour, off) for colour in used] for off in (0, _OFF))
    if None not in nearly and len({*nearly}) == len(nearly):
        ids = nearly
    moved = [(number, each) for number, each in zip(numbers.tolist(), ids, strict=True) if each not in (None, number)]
    if not moved:
        return values
    if None in ids or len({*ids}) < len(ids):
        beside = "beside colours that are no object's" if None in ids else "and two numbers have one colour"
        order = ", ".join(f"{number} has the colour of {each}" for number, each in moved[:5])
        raise InputError(
            f"{path}: found a palette in which number {order}, {beside}, expected the "
            "palette of the mask as it was, in its order; save it with that palette, or with numbers as grey values"
        )
    table = np.zeros(256, np.uint8)
    table[numbers] = np.array(ids, np.uint8)
    return table[values]


def _id_of(colour: tuple[int, ...] | None, off: int) -> int | None:
    """The id whose colour it is, up to so much in each channel; None if it is none of ours."""
    if colour is None:
        return None
    differences = np.abs(davis_palette().astype(int) - colour).max(axis=1)
    return int(differences.argmin()) if differences.min() <= off else None


@cache
def _our_colours() -> list[tuple[int, ...]]:
    return [tuple(colour) for colour in davis_palette().tolist()]
