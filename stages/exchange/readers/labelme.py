"""Masks that come back from LabelMe: the JSON files of a folder, or one of them.

Read are shapes of the types mask, polygon and rectangle; `group_id` is the object's number, 0 or none says nothing.
LabelMe itself writes patches of 0 and 1; corners may be fractions, and in any order.
"""

import base64
import io
import posixpath
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, Field

from stages.core.errors import InputError
from stages.core.types import LabelMap
from stages.exchange.encodings.outlines import filled
from stages.exchange.incoming.foreign import object_of, parsed, placed, read_bounded, ring_of, whole
from stages.exchange.incoming.protocol import Picture, Shape
from stages.formats.pictures import MOST_PIXELS

_ONE_CHANNEL: Final = ("1", "L", "P", "I", "I;16")


class _Shape(BaseModel):
    label: str
    points: list[tuple[float, float]] = Field(min_length=1)
    shape_type: str = "polygon"
    group_id: int | None = None
    mask: str | None = None


class _File(BaseModel):
    shapes: list[_Shape]
    image_path: str = Field(alias="imagePath", default="")
    height: int = Field(alias="imageHeight", gt=0)
    width: int = Field(alias="imageWidth", gt=0)


class LabelMeReader:
    """See the module."""

    name = "labelme"
    source = "a folder with LabelMe's JSON files, or one of them"

    def recognises(self, source: Path) -> bool:
        """Whether the first JSON file is LabelMe's."""
        with suppress(Exception):
            return any(_is_labelme(path) for path in _json_files(source)[:3])
        return False

    def pictures(self, source: Path) -> Iterator[Picture]:
        """One picture a file; other files beside them are passed over if they are none of LabelMe's."""
        of_labelme = [path for path in _json_files(source) if source.is_file() or _is_labelme(path)]
        if not of_labelme:
            raise InputError(f"{source}: found no JSON file of LabelMe's, expected {self.source}; correct --source")
        for path in of_labelme:
            yield _picture(path, "" if source.is_file() else path.parent.relative_to(source).as_posix())


READER: Final = LabelMeReader()


def _json_files(source: Path) -> list[Path]:
    """Those of a folder and of folders in it, without hidden ones."""
    if not source.is_dir():
        return [source]
    found = (path for path in source.rglob("*.json") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(source).parts))


def _is_labelme(path: Path) -> bool:
    """Whether a file names the keys that all its files have; one that is cut off is told when it is read."""
    content = read_bounded(path)
    return b'"shapes"' in content and b'"imagePath"' in content


def _picture(path: Path, folder: str) -> Picture:
    where = str(path)
    document = parsed(_File, read_bounded(path), where)
    size_wh = document.width, document.height
    name = (document.image_path or f"{path.stem}.png").replace("\\", "/")
    name = posixpath.normpath(posixpath.join(folder, name))
    said = [(f"shape {number}", each) for number, each in enumerate(document.shapes, 1)]
    ids = [object_of(each.group_id, f"{where}, {place}") for place, each in said]
    return Picture(name, where, partial(_content, said, ids, size_wh, where), size_wh, path.name)


def _content(
    said: list[tuple[str, _Shape]], ids: list[int | None], size_wh: tuple[int, int], where: str
) -> LabelMap | Iterator[Shape]:
    """Its shapes; a file without any was saved by somebody who saw nothing."""
    if not said:
        return np.zeros(size_wh[::-1], np.uint8)
    return (
        _drawn(shape, object_id, size_wh, where, place) for (place, shape), object_id in zip(said, ids, strict=True)
    )


def _drawn(shape: _Shape, object_id: int | None, size_wh: tuple[int, int], where: str, place: str) -> Shape:
    at, cut_px = f"{where}, {place}", 0
    if shape.shape_type == "mask":
        mask, cut_px = _mask(shape, size_wh, at)
    elif shape.shape_type == "polygon":
        mask = filled(ring_of(shape.points, at), size_wh, at)
    elif shape.shape_type == "rectangle" and len(shape.points) == 2:
        (x0, y0), (x1, y1) = shape.points
        mask = filled(ring_of([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], at), size_wh, at)
    else:
        raise InputError(
            f"{at}: found the type {shape.shape_type[:40]!r} with {len(shape.points)} points, expected mask, polygon, "
            "or a rectangle of two; draw it again, or delete it"
        )
    return Shape(mask, object_id, shape.label, place, cut_px)


def _mask(shape: _Shape, size_wh: tuple[int, int], where: str) -> tuple[NDArray[np.bool_], int]:
    if len(shape.points) != 2:
        raise InputError(f"{where}: found {len(shape.points)} points, expected two corners; export it again")
    corners = [[whole(value, "the corner", where) for value in point] for point in shape.points]
    (left, top), (right, bottom) = np.min(corners, axis=0).tolist(), np.max(corners, axis=0).tolist()
    expected = (right - left + 1, bottom - top + 1)
    return placed(_patch(shape.mask or "", expected, where), (left, top), size_wh)


def _patch(content: str, size_wh: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """What is above 0 in a PNG of that size."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are refused here
            picture = Image.open(io.BytesIO(base64.b64decode(content, validate=True)), formats=["PNG"])
        fits = picture.size == size_wh and picture.mode in _ONE_CHANNEL and size_wh[0] * size_wh[1] <= MOST_PIXELS
        if fits:
            return np.asarray(picture) > 0
    except Exception as error:
        reason = "unreadable" if isinstance(error, UnidentifiedImageError) else error or type(error).__name__
        raise InputError(f"{where}: found no PNG as its mask ({reason}); save it again") from None
    raise InputError(
        f"{where}: found a patch of {picture.width} x {picture.height} pixels, mode {picture.mode}, expected "
        f"{size_wh[0]} x {size_wh[1]} as its corners say, with one channel; save it again"
    )
