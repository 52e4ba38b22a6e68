"""A frame as a browser shows it."""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

from stages.core.errors import InputError
from stages.formats.digests import Stamp
from stages.formats.pictures import as_browsers_take_it, as_rgb, encoded, load_picture

NARROWEST_PX: Final = 16
_QUALITY: Final = 90


class Picture(NamedTuple):
    """A picture file's content."""

    content: bytes | memoryview
    media_type: str


def picture_of(path: Path, width: int | None = None) -> Picture:
    """A frame, upright: the file itself if a browser reads it as it is, else a JPEG.

    Args:
        path: the frame.
        width: the most columns that are wanted; None: all there are. Nothing is enlarged.

    Raises:
        InputError: it cannot be read, or is wanted narrower than `NARROWEST_PX`.
    """
    from PIL.Image import Resampling  # noqa: PLC0415 - looking at the inbox must not need it

    if width is not None and width < NARROWEST_PX:
        raise InputError(f"found a picture of {width} columns asked for, expected {NARROWEST_PX} at least")
    media_type, (full, _) = as_browsers_take_it(path)
    if media_type and (width is None or full <= width):
        return Picture(path.read_bytes(), media_type)
    picture = as_rgb(path, load_picture(path, width))
    if width is not None and full > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Resampling.BILINEAR, reducing_gap=2.0)
    return Picture(encoded(picture, "JPEG", quality=_QUALITY), "image/jpeg")


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a frame as people see it, without decoding it.

    Raises:
        InputError: it cannot be read.
    """
    return as_browsers_take_it(path)[1]


def version_of(*paths: Path) -> str:
    """A digest that changes with the files, told by their stamps: nothing is read.

    Raises:
        InputError: one is not there.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            stamp = Stamp.of(path.stat())
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}), expected a frame; put it back") from None
        digest.update(f"{path.name}/{[*stamp]}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]
