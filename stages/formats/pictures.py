"""Picture files: decoded with care, since what they claim may be absurd; encoded in memory and written as bytes."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stages.core.errors import InputError
from stages.formats import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

MOST_PIXELS: Final = 178_956_970
"""Of a picture or a frame, such as 16,384 x 10,922: half a gibibyte of RGB, and Pillow's own limit."""
MOST_PAGES: Final = 100_000
"""Of a picture with several, such as an animation."""
_KINDS: Final = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP", "AVIF")
"""What Pillow may take a file for, as far as it was built with it. None of the others is a frame; some run programs."""
_NEW_SUBFILE_TYPE: Final = 254
_REDUCED_OR_MASK: Final = 0b101
"""Bits of TIFF's NewSubfileType: a smaller copy of another page, its transparency."""
_ORIENTATION: Final = 0x0112
"""EXIF's tag of how a picture is to be turned; from `_TURNED` on, width and height change places."""
_TURNED: Final = 5
_OF_BROWSERS: Final = ("RGB", "L", "P", "1")
"""Modes that browsers and `as_rgb` show alike; transparency, that is, is dropped here and not there."""
_MP_ENTRIES: Final = 0xB002
"""The list of pictures in an MPO file (CIPA DC-007)."""


def load_picture(path: Path, at_least_px: int | None = None) -> "Image.Image":
    """Decode a still picture, in its own mode, turned as its EXIF orientation says.

    Args:
        path: the file.
        at_least_px: so many pixels of each side are enough: where a format allows that, fewer are decoded; None: all.

    Raises:
        InputError: the file is missing, damaged, cut short, absurdly large, or shows several pictures.
    """
    from PIL import ImageOps  # noqa: PLC0415 - listing frames must not need it

    with _opened(path) as picture:
        if getattr(picture, "is_animated", False):
            pages = [picture.tell() for _ in islice(_pages(path, picture), 2)]
            if len(pages) > 1:
                raise InputError(
                    f"{path}: found several pages, or an animation, expected one picture a frame; save the pages as "
                    "files of their own, or import this file by itself"
                )
            picture.seek(pages[0])
        if at_least_px:
            picture.draft(None, (at_least_px, at_least_px))
        ImageOps.exif_transpose(picture, in_place=True)
        picture.load()
        return picture


def read_pages(path: Path) -> Iterator["Image.Image"]:
    """Every page of a picture file, or every frame of an animation, in order, in RGB, turned as EXIF says.

    What stands beside a page (a smaller copy, a mask, a gain map) is no page.

    Raises:
        InputError: the file is missing, absurdly large, deeper than 8 bits a channel, or damaged; the pages before the
            damage have been given then.
    """
    from PIL import ImageOps  # noqa: PLC0415 - listing frames must not need it

    with _opened(path) as picture:
        for _ in _pages(path, picture):
            yield as_rgb(path, ImageOps.exif_transpose(picture))


def as_rgb(path: Path, picture: "Image.Image") -> "Image.Image":
    """A picture's colours; transparency is dropped, and a palette's colours are looked up.

    Raises:
        InputError: it is grey and deeper than 8 bits: which of its values are black and white, nobody has said.
    """
    if picture.mode.startswith(("I", "F")):
        raise InputError(
            f"{path}: found a picture of mode {picture.mode}, expected 8 bits a channel; convert the frames"
        )
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by what is in it; one that is no video, that is.

    A stream of JPEGs (.mjpg, .mjpeg) begins as a picture does.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - listing frames must not need it

    if path.suffix.lower() in (".mjpg", ".mjpeg"):
        return False
    try:
        with _without_warnings(), Image.open(path, formats=_kinds()):
            return True
    except UnidentifiedImageError:
        return False
    except Exception:
        return True


def as_browsers_take_it(path: Path) -> tuple[str, tuple[int, int]]:
    """Look at a picture file without decoding it.

    Returns:
        What a browser takes the file for, `image/png` for instance, if it shows it as `load_picture` decodes it; else
        nothing. And its width and height, as people see it.

    Raises:
        InputError: see `load_picture`; damage inside is not seen.
    """
    with _opened(path) as picture:
        orientation = picture.getexif().get(_ORIENTATION, 1)
        size = picture.size if orientation < _TURNED else picture.size[::-1]
        is_plain = orientation == 1 and picture.mode in _OF_BROWSERS and not getattr(picture, "is_animated", False)
        kind = picture.format or ""
        return (f"image/{kind.lower()}" if is_plain and kind in ("JPEG", "PNG", "WEBP") else ""), size


def encoded(picture: "Image.Image", kind: str, **options: Any) -> memoryview:
    """A picture as the bytes of a file: `kind` is JPEG or PNG, the options are Pillow's."""
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getbuffer()


def write_picture(path: Path, picture: "Image.Image", kind: str, **options: Any) -> None:
    """Write a picture into a folder that is published later.

    Raises:
        OSError: the disk refuses.
    """
    files.write(path, encoded(picture, kind, **options))


def write_figure(path: Path, figure: "Figure", **options: Any) -> None:
    """Write what matplotlib drew as a PNG; the options are those of `savefig`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", **options)
    files.write(path, buffer.getbuffer())


@contextmanager
def _opened(path: Path) -> Iterator["Image.Image"]:
    """A picture whose size has been looked at; whatever goes wrong in the block is the file's fault."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - listing frames must not need it

    try:
        files.stat_of_file(path)
        with _without_warnings():
            opened = Image.open(path, formats=_kinds())
        with opened as picture:
            _check_size(path, picture)
            yield picture
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: found no such file, expected a picture; put it back") from None
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+ pixels", str(error))
        raise InputError(f"{path}: found a picture of {pixels[0] if pixels else 'absurd size'}, {_smaller()}") from None
    except MemoryError:
        raise InputError(f"{path}: found a picture that needs more memory than there is, {_smaller()}") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path}: found no readable picture (it is none of {', '.join(_kinds())}), expected a complete one; copy "
            "or export it again"
        ) from None
    except Exception as error:
        raise InputError(
            f"{path}: found no readable picture ({error or type(error).__name__}), expected a complete one; copy or "
            "export it again"
        ) from None


@cache
def _kinds() -> list[str]:
    from PIL import Image  # noqa: PLC0415 - listing frames must not need it

    for kind in _KINDS:
        with suppress(ImportError):
            import_module(f"PIL.{kind.title().replace('Webp', 'WebP')}ImagePlugin")  # not all others, which takes long
    return [kind for kind in _KINDS if kind in Image.OPEN]


def _check_size(path: Path, picture: "Image.Image") -> None:
    if picture.width * picture.height > MOST_PIXELS:
        raise InputError(f"{path}: found a picture of {picture.width}x{picture.height} pixels, {_smaller()}")


def _smaller() -> str:
    return f"expected {MOST_PIXELS:,} pixels at most; scale it down"


def _pages(path: Path, picture: "Image.Image") -> Iterator[None]:
    """Turn to one page after the other."""
    _check_page_count(path, picture)
    first_size = picture.size
    for number in count():
        try:
            with _without_warnings():
                picture.seek(number)
        except EOFError:
            _check_end(path, picture, number)
            return
        _check_size(path, picture)
        if not _is_companion(picture, number, first_size):
            yield


def _check_page_count(path: Path, picture: "Image.Image") -> None:
    """Refuse what would never end, before anything is decoded."""
    pages = 0
    with suppress(Exception):  # the file is damaged, and reading its pages comes to where it is
        pages = getattr(picture, "n_frames", 1)
    if pages > MOST_PAGES:
        raise InputError(f"{path}: found {pages:,} pages, expected {MOST_PAGES:,} at most; cut the file into parts")


def _check_end(path: Path, picture: "Image.Image", found: int) -> None:
    """Tell the end of an animation from the end of a file that was cut between two pages."""
    if picture.format == "GIF":
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            if not file.read().rstrip(b"\0").endswith(b";"):
                raise ValueError(f"it breaks off after {found} pages")
    elif found < (promised := getattr(picture, "n_frames", 1)):
        raise ValueError(f"it breaks off after {found} of {promised} pages")


def _is_companion(picture: "Image.Image", number: int, first_size: tuple[int, int]) -> bool:
    """Whether a page only serves another one: viewers do not show it."""
    if picture.format == "TIFF":
        return bool(int(getattr(picture, "tag_v2", {}).get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED_OR_MASK)
    if picture.format == "PNG":
        return number == 0 and bool(picture.info.get("default_image"))
    if picture.format == "MPO" and number > 0:
        kind = getattr(picture, "mpinfo", {})[_MP_ENTRIES][number]["Attribute"]["MPType"]
        if kind == "Undefined":  # a gain map or a preview of a telephone's, or a picture that did not say what it is
            return picture.size != first_size or b"hdrgm" in picture.info.get("xmp", b"")
        return "Thumbnail" in kind
    return False


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Pillow warns of pictures that are large but not absurd, and of metadata that it cannot read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
