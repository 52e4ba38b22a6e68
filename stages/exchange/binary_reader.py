"""Pictures of one object each that come in: `<id>/<stem>.png`, in which white is the object.

What white is, programs do not agree on: 255, 65535 or 65280 in 16 bits, 1 in one bit or in eight, the brighter colour
of a palette. What says nothing, or several things, is refused: an object must not vanish, nor fill a frame, by mistake.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.core.errors import InputError
from stages.exchange.folders import has_pngs, pictures_in
from stages.exchange.incoming import Picture, Reader, Shape
from stages.formats.names import shown
from stages.formats.pictures import load_picture

_DEEP: Final = ("I;16", "I;16B", "I;16L", "I")
"""How Pillow calls grey of 16 bits."""


class BinaryReader:
    """See `stages.exchange.incoming`."""

    name = "binary"
    source = "a folder of <id>/<stem>.png, one object each, white on black"

    def recognises(self, source: Path) -> bool:
        """A folder in which folders lie that are called by numbers, and hold PNGs."""
        return (
            bool(_folders(source))
            and not has_pngs(source)
            and all(folder.name.isdigit() for folder in _folders(source))
        )

    def pictures(self, source: Path) -> Iterator[Picture]:
        """One a stem, whichever objects have it; numbers are ids, other names those of objects."""
        folders = _folders(source)
        if not folders:
            raise InputError(f"{source}: found no folder with PNGs in it, expected {self.source}; check --format")
        by_stem: dict[str, list[tuple[Path, Path]]] = {}
        for folder in sorted(folders, key=lambda folder: (len(folder.name) * folder.name.isdigit(), folder.name)):
            for path in pictures_in(folder):
                by_stem.setdefault(path.name, []).append((folder, path))
        for name, files in sorted(by_stem.items()):
            where = f"{source}/*/{shown(name)}" if len(files) > 1 else str(files[0][1])
            yield Picture(name, where, partial(_shapes, files))


def binary_mask(path: Path) -> NDArray[np.bool_]:
    """Where a picture is white: (H, W) bool.

    Of two values, the brighter one; of more, those above half of what the picture can hold.

    Raises:
        InputError: it is damaged, has transparency or colours, or values of which none is white.
    """
    picture = load_picture(path)
    if picture.format in ("JPEG", "MPO"):
        raise InputError(f"{path}: found a JPEG, whose compression invents values; save as PNG")
    values, white = _grey(path, picture), 65535 if picture.mode in _DEEP else 255
    least, most = int(values.min()), int(values.max())
    if least != most and ((values == least) | (values == most)).all():
        return values == most
    mask = values > white // 2
    if most and not mask.any():
        several = "the value" if least == most else "values up to"
        raise InputError(
            f"{path}: found {several} {most} and none that is white, expected black and white (0 and {white}), the "
            "object in white; save it so, or, if the values are ids, use --format png"
        )
    return mask


def _grey(path: Path, picture: Image.Image) -> NDArray[Any]:
    """(H, W) grey values, as deep as the picture's."""
    if picture.mode in _DEEP:
        return np.asarray(picture)
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
        if alpha.min() < 255:
            raise InputError(
                f"{path}: found an alpha channel in which {np.count_nonzero(alpha < 255):,} pixels are transparent, "
                "expected black and white without transparency; save the mask itself, in black and white"
            )
    if picture.mode not in ("1", "L", "P", "LA", "La", "PA", "RGB", "RGBA", "RGBa"):
        raise InputError(f"{path}: found a picture of mode {picture.mode}, expected black and white; save it as grey")
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"))
    colours = np.asarray(picture.convert("RGBA").convert("RGB"))
    if np.ptp(colours, axis=2).any():
        found = np.unique(colours.reshape(-1, 3), axis=0)
        if len(found) > 2:
            raise InputError(
                f"{path}: found {len(found)} colours, expected black and white; save the mask in these, or, if its "
                "numbers are ids, use --format png"
            )
        if len(found) < 2 or not (found == 0).all(axis=1).any():
            raise InputError(
                f"{path}: found the colours {' and '.join(str(tuple(each)) for each in found.tolist())}, expected "
                "black and white; save the mask in these"
            )
        return np.where(colours.any(axis=2), np.uint8(255), np.uint8(0))
    return colours[..., 0]


def _shapes(files: list[tuple[Path, Path]]) -> Iterator[Shape]:
    for folder, path in files:
        where = f"object {shown(folder.name)}"
        if folder.name.isascii() and folder.name.isdigit():
            yield Shape(binary_mask(path), object_id=int(folder.name[-9:]), where=where)
        else:
            yield Shape(binary_mask(path), label=folder.name, where=where)


def _folders(source: Path) -> list[Path]:
    try:
        return [path for path in sorted(source.iterdir()) if not path.name.startswith(".") and has_pngs(path)]
    except OSError:
        return []


READER: Final[Reader] = BinaryReader()
