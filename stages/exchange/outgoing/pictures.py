"""The pictures of an export: linked, copied, left out, or written anew.

A picture whose EXIF orientation is another than 1 is always written anew, upright: masks are as people see the picture,
and readers differ in whether they turn it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from PIL import Image

from stages.core.errors import InputError
from stages.core.types import Frame
from stages.exchange.outgoing.format import Format
from stages.exchange.outgoing.terms import Pictures, Terms
from stages.formats import files
from stages.formats.pictures import as_rgb, load_picture, write_picture

_ORIENTATION: Final = 0x0112
_JPG: Final = (".jpg", ".jpeg")
_WRITTEN: Final[Mapping[str, str]] = {".png": "PNG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
"""Ending -> what Pillow calls the kind of a picture that is written anew; all others are JPEGs."""


def way_of(form: Format, terms: Terms) -> Pictures:
    """How an export's pictures get there."""
    if not form.has_pictures:
        return "none"
    return terms.pictures or ("copy" if form.copies_pictures else "link")


def check_endings(form: Format, way: Pictures, sequence: str, names: tuple[str, ...]) -> None:
    """Refuse pictures that the readers of a format do not find.

    Raises:
        InputError: it takes `.jpg` only, and gets something else.
    """
    if form.wants_jpg and way in ("link", "copy"):
        others = [name for name in names if not name.lower().endswith(_JPG)]
        if others:
            raise InputError(
                f"found {len(others)} pictures of {sequence!r} like {others[0]!r}, expected .jpg, which is all that "
                f"readers of {form.name} take; give --pictures convert (JPEG, quality 95), or --pictures none"
            )


class Placing:
    """Puts pictures into an export."""

    def __init__(self, folder: Path, way: Pictures) -> None:
        """Into a folder that is published in the place of a sibling: relative links hold there, too."""
        self._folder = folder.resolve()
        self.way: Final = way
        self._made: set[Path] = set()

    def place(self, source: Path, path: str) -> None:
        """Place a picture.

        Args:
            source: the sequence's.
            path: below the export's folder, with `/`.

        Raises:
            InputError: the picture cannot be read.
        """
        if self.way == "none":
            return
        target = self.make_room(path)
        if not _is_upright(source) or (self.way == "convert" and source.suffix.lower() not in _JPG):
            write_frame(target, as_rgb(source, load_picture(source)))
        elif self.way == "link":
            files.disk.symlink(target, os.path.relpath(source.absolute(), target.parent))
        else:
            files.copy(source, target)

    def place_frame(self, frame: Frame, path: str) -> None:
        """Place a picture that was decoded: (H, W, 3) uint8 RGB."""
        write_frame(self.make_room(path), Image.fromarray(frame))

    def make_room(self, path: str) -> Path:
        """The file of this path, in a folder that is there."""
        target = self._folder / path
        if target.parent not in self._made:
            files.make_folder(target.parent)
            self._made.add(target.parent)
        return target


def write_frame(target: Path, picture: Image.Image) -> None:
    """Write a picture anew, as its ending says; JPEG in a quality that loses little, without thinning its colours."""
    kind = _WRITTEN.get(target.suffix.lower(), "JPEG")
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    write_picture(target, picture, kind, **options)


def _is_upright(path: Path) -> bool:
    """Whether a picture has no EXIF orientation, or the usual one."""
    try:
        with Image.open(path) as picture:
            return picture.getexif().get(_ORIENTATION, 1) in (0, 1)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: found no readable picture ({error}), expected a frame; put it back") from None
