"""Masks that come back from CVAT: `annotations.xml` of "CVAT for images 1.1", or the zip with it.

Read are `<mask>` and `<polygon>`; what they are of says the attribute `object_id`, where 0 says nothing. Those that
reach over the picture's edge are cut by it; nothing of them moves.
"""

import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.exchange.encodings.outlines import filled
from stages.exchange.incoming.folders import documents_in
from stages.exchange.incoming.foreign import MOST_BYTES, object_of, placed, ring_of, too_large, whole
from stages.exchange.incoming.protocol import Picture, Shape
from stages.exchange.writers.cvat import OBJECT_ID
from stages.formats.files import stat_of_file
from stages.formats.pictures import MOST_PIXELS

ANNOTATIONS: Final = "annotations.xml"
_SHAPES: Final = ("mask", "polygon")
_NO_SHAPES: Final = ("tag", "attribute")
"""What else stands in an image and takes no pixel."""
_CHUNK: Final = 1 << 20
_DEEPEST: Final = 32
_LONGEST_TEXT: Final = 1 << 16
"""Of an attribute's value, in characters."""


@dataclass
class _Drawn:
    """A shape as the file has it."""

    kind: str
    said: dict[str, str]
    where: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Patch:
    """A mask within its box: run lengths, row by row, zeros first, that have the right sum."""

    runs: NDArray[np.int64]
    left: int
    top: int
    width: int
    height: int


class CvatReader:
    """See the module."""

    name = "cvat"
    source = f"{ANNOTATIONS} of 'CVAT for images 1.1', the zip with it, or a folder with it"

    def recognises(self, source: Path) -> bool:
        """An XML file of annotations, or what holds one of that name."""
        with suppress(Exception):
            if source.is_dir():
                return bool(documents_in(source, ANNOTATIONS))
            if zipfile.is_zipfile(source):
                with zipfile.ZipFile(source) as archive:
                    return bool(_entries(archive))
            with source.open("rb") as file:
                head = file.read(4096)
            return b"<annotations" in head and not head.startswith(b"PK")  # an archive that was cut off
        return False

    def pictures(self, source: Path) -> Iterator[Picture]:
        """The images of the file, or of all files in the zip, in their order."""
        if source.is_dir():
            for path in documents_in(source, ANNOTATIONS) or [source / ANNOTATIONS]:
                yield from self.pictures(path)
            return
        with _bad_archive_is_told(source):
            stat_of_file(source)
            if not zipfile.is_zipfile(source):
                with source.open("rb") as file:
                    yield from _Document(source.name).pictures(file)
                return
            with zipfile.ZipFile(source) as archive:
                entries = _entries(archive)
                if not entries:
                    raise InputError(
                        f"{source}: found no {ANNOTATIONS} in it, expected an export 'CVAT for images 1.1'; "
                        "export it in this format"
                    )
                for entry in entries:
                    with archive.open(entry) as file:
                        yield from _Document(f"{source.name}, {entry.filename}").pictures(file)


READER: Final = CvatReader()


def _entries(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files of annotations; names may have back-slashes; a Mac's hidden copies are called otherwise."""
    named = [(PurePosixPath(entry.filename.replace("\\", "/")), entry) for entry in archive.infolist()]
    return [entry for path, entry in named if path.name.lower() == ANNOTATIONS]


@contextmanager
def _bad_archive_is_told(source: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{source}: found no such file, expected {READER.source}; correct --source") from None
    except (OSError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as e:
        raise InputError(f"{source}: it cannot be read ({e or type(e).__name__}); export it again") from None


class _Document:
    """Reads a file piece by piece, and gives each picture when its end has been read."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._done: list[Picture] = []
        self._open: list[str] = []
        self._image: dict[str, str] = {}
        self._image_where = ""
        self._shapes: list[_Drawn] = []
        self._counts: dict[str, int] = {}
        self._text: list[str] | None = None
        self._attribute = ""
        self._images = 0

    def pictures(self, file: IO[bytes]) -> Iterator[Picture]:
        """Its images, in order."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        parser.buffer_text = True
        size = 0
        while True:
            chunk = file.read(_CHUNK)
            size += len(chunk)
            if size > MOST_BYTES:
                raise too_large(self._where, size)
            try:
                parser.Parse(chunk, not chunk)
            except (expat.ExpatError, LookupError, UnicodeError) as error:
                raise InputError(f"{self._where}: found no XML ({error}); export it again") from None
            yield from self._done
            self._done.clear()
            if not chunk:
                return

    def _doctype(self, *_: object) -> None:
        raise InputError(
            f"{self._where}: found a document type, which may define entities, expected the plain XML of CVAT; "
            "export it again"
        )

    def _start(self, tag: str, said: dict[str, str]) -> None:
        self._open.append(tag)
        if len(self._open) > _DEEPEST:
            raise InputError(f"{self._where}: found {_DEEPEST} elements inside one another, expected a few")
        if len(self._open) == 1 and tag != "annotations":
            raise InputError(f"{self._where}: found <{tag[:40]}>, expected <annotations> of CVAT; give that file")
        if len(self._open) == 2 and tag == "track":
            raise InputError(
                f"{self._where}: found a <track>, whose frames have numbers in place of names, expected images; export "
                "the task as 'CVAT for images 1.1'"
            )
        if len(self._open) == 2 and tag == "image":
            self._image, self._shapes, self._counts = said, [], {}
            self._image_where = f"{self._where}, image {said.get('id', self._images)}"
            self._images += 1
        elif self._open[1:2] == ["image"] and len(self._open) == 3:
            self._counts[tag] = self._counts.get(tag, 0) + 1
            where = f"{self._image_where}, {tag} {self._counts[tag]}"
            if tag not in _SHAPES and tag not in _NO_SHAPES:
                raise InputError(f"{where}: expected masks and polygons; delete it, and export again")
            self._shapes.append(_Drawn(tag, said, where))
        elif self._open[1:2] == ["image"] and tag == "attribute" and len(self._open) == 4:
            self._text, self._attribute = [], said.get("name", "")

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
            if sum(map(len, self._text)) > _LONGEST_TEXT:
                raise InputError(f"{self._shapes[-1].where}: found an attribute of more than {_LONGEST_TEXT:,} letters")

    def _end(self, tag: str) -> None:
        self._open.pop()
        if self._text is not None:
            self._shapes[-1].attributes[self._attribute] = "".join(self._text).strip()
            self._text = None
        if tag == "image" and len(self._open) == 1:
            self._done.append(_picture(self._image, self._image_where, self._shapes))


def _picture(said: dict[str, str], where: str, drawn: Sequence[_Drawn]) -> Picture:
    if not said.get("name"):
        raise InputError(f"{where}: found no name, expected that of a picture; export it again")
    size_wh = whole(said.get("width"), "the width", where), whole(said.get("height"), "the height", where)
    shapes = [each for each in drawn if each.kind in _SHAPES]
    in_order = sorted(shapes, key=lambda each: whole(each.said.get("z_order", 0), "z_order", each.where))
    read = [(each, _object(each), _patch(each) if each.kind == "mask" else _ring(each)) for each in in_order]
    return Picture(said["name"], where, partial(_content, read, size_wh), size_wh)


def _content(
    read: Sequence[tuple[_Drawn, int | None, _Patch | NDArray[np.float64]]], size_wh: tuple[int, int]
) -> Iterator[Shape]:
    for drawn, object_id, geometry in read:
        if isinstance(geometry, _Patch):
            inside = np.repeat(np.arange(geometry.runs.size) % 2 == 1, geometry.runs)
            patch = inside.reshape(geometry.height, geometry.width)
            mask, cut_px = placed(patch, (geometry.left, geometry.top), size_wh)
        else:
            mask, cut_px = filled(geometry, size_wh, drawn.where), 0
        yield Shape(mask, object_id, drawn.said.get("label", ""), drawn.where.rpartition(", ")[2], cut_px)


def _object(drawn: _Drawn) -> int | None:
    said = drawn.attributes.get(OBJECT_ID, "")
    return object_of(whole(said, OBJECT_ID, drawn.where) if said else None, drawn.where)


def _patch(drawn: _Drawn) -> _Patch:
    box = {name: whole(drawn.said.get(name), name, drawn.where) for name in ("left", "top", "width", "height")}
    width, height = box["width"], box["height"]
    if width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise InputError(f"{drawn.where}: found a box of {width} x {height} pixels; export it again")
    try:
        numbers = np.array(drawn.said.get("rle", "").split(","), np.float64)
    except ValueError:
        raise InputError(f"{drawn.where}: found run lengths that are no numbers; export it again") from None
    if not np.isfinite(numbers).all() or (numbers < 0).any() or (numbers != np.floor(numbers)).any():
        raise InputError(f"{drawn.where}: found run lengths that are no whole numbers from 0; export it again")
    if numbers.sum() != width * height:
        raise InputError(
            f"{drawn.where}: found {numbers.sum():.0f} pixels, expected {width} x {height} = {width * height}; "
            "export it again"
        )
    return _Patch(numbers.astype(np.int64), **box)


def _ring(drawn: _Drawn) -> NDArray[np.float64]:
    return ring_of([point.split(",") for point in drawn.said.get("points", "").split(";")], drawn.where)
