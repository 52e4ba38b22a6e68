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
from stages.exchange.incoming.folders import has_pngs, pictures_in
from stages.exchange.incoming.protocol import Picture, Reader, Shape
from stages.formats.names import shown
from stages.formats.pictures import load_picture

_DEEP: Final = ("I;16", "I;16B", "I;16L", "I")
"""How Pillow calls grey of 16 bits."""


class BinaryReader:
    """See `stages.exchange.incoming.protocol`."""

    name = "binary"
    source = "a folder of <id>/<stem>.png, one object each, white on black"

    def recognises(self, source: Path) -> bool:
        """A folder in which folders lie that are called by numbers, and hold PNGs."""
        try:
            return (
                source.is_dir()
                and not has_pngs(source)
                and any(folder.name.isdigit() and has_pngs(folder) for folder in source.iterdir())
            )
        except OSError:
            return False

    def pictures(self, source: Path) -> Iterator[Picture]:
        """One a stem, whichever objects have it; numbers are ids, other names those of objects."""
        by_name: dict[str, list[Path]] = {}
        for path in pictures_in(source):
            if source in (path, path.parent):
                raise InputError(f"{source}: found {shown(path.name)} in no object's folder, expected {self.source}")
            above = path.relative_to(source).parent.parent  # of an export, the sequence's folder
            by_name.setdefault((above / path.name).as_posix(), []).append(path)
        for name, files in sorted(by_name.items()):
            where = str(files[0]) if len(files) == 1 else f"{source}: {shown(name)}"
            yield Picture(name, where, partial(_shapes, sorted(files, key=_object_first)))


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


def _shapes(files: list[Path]) -> Iterator[Shape]:
    for path in files:
        name = path.parent.name
        object_id = int(name[-9:]) if name.isascii() and name.isdigit() else None
        yield Shape(binary_mask(path), object_id, name if object_id is None else "", f"object {shown(name)}")


def _object_first(path: Path) -> tuple[int, str]:
    """Named objects, then ids in their order."""
    name = path.parent.name
    return len(name) if name.isdigit() else 0, name


READER: Final[Reader] = BinaryReader()
