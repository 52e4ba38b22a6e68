"""COCO instances that come in: run lengths, compressed or listed, and polygons.

`instance_id` or `track_id` says which object an annotation is; without them its place among the annotations of its
picture does, if only one picture is annotated. Run lengths are summed here before anything is decoded: the reference
reader fills what is missing with whatever was in memory.
"""

import reprlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.core.palette import MAX_OBJECT_ID
from stages.core.words import and_more, and_so_on
from stages.exchange.encodings.outlines import filled
from stages.exchange.incoming.protocol import UNKNOWN, Picture, Reader, Shape
from stages.formats.json_files import read_json
from stages.formats.names import shown

_MOST_BYTES: Final = 256 << 20
_LARGEST_SIDE: Final = 1 << 20
_FAR: Final = 1e7
"""No corner lies farther away, in pixels."""
_MOST_FAULTS: Final = 5
_HEAD_BYTES: Final = 1 << 16
_MOST_GROUPS: Final = 7
"""Of a number in compressed run lengths: 35 bits."""
_MOST_PIXELS: Final = 1 << 35
_MOST_RUNS: Final = 1 << 23


class _Image(NamedTuple):
    id: int
    file_name: str
    width: int
    height: int


class _Annotation(NamedTuple):
    called: str
    """Its id, for messages."""
    image_id: int
    object_id: int | None
    label: str
    is_crowd: bool
    segmentation: Any


class CocoReader:
    """See `stages.exchange.incoming.protocol`."""

    name = "coco"
    source = "a JSON file of COCO instances, or the folder of an export with one"

    def recognises(self, source: Path) -> bool:
        """A JSON object that has COCO's words in its first or last bytes, or a folder with one such file."""
        return any(_looks_like_coco(path) for path in _candidates(source))

    def pictures(self, source: Path) -> Iterator[Picture]:
        """One for each of `images`; everything is checked before the first."""
        path = _file_of(source)
        try:
            content = read_json(path, _MOST_BYTES)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise InputError(
                f"{path}: found no readable JSON ({_line(reason)}), expected COCO instances; export it again"
            ) from None
        yield from _pictures(path, content)


def _pictures(path: Path, content: Any) -> Iterator[Picture]:
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: found {_kind(content)}, expected an object with 'images' and 'annotations' (COCO instances; a "
            "file of results has no pictures' names); export the annotations"
        )
    images = _images(path, _list(path, content, "images"))
    annotations = _annotations(path, content, images)
    of_image: dict[int, list[_Annotation]] = {}
    for each in annotations:
        of_image.setdefault(each.image_id, []).append(each)
    for image in images.values():
        where = f"{path}, image {image.id} ({shown(image.file_name)[:80]})"
        shapes = partial(_shapes, of_image.get(image.id, []), (image.width, image.height))
        yield Picture(image.file_name, where, shapes, (image.width, image.height))


def _images(path: Path, rows: Sequence[Any]) -> dict[int, _Image]:
    found: dict[int, _Image] = {}
    for number, row in enumerate(rows):
        try:
            image = _Image(*(row[key] for key in _Image._fields))
        except (KeyError, TypeError, IndexError):
            image = _Image(-1, "", 0, 0)
        right = _whole(image.id) and isinstance(image.file_name, str) and image.file_name
        if not right or not all(_whole(side) and 0 < side <= _LARGEST_SIDE for side in image[2:]):
            raise InputError(
                f"{path}, image number {number} (from 0): found {_short(row)}, expected {{'id': 1, 'file_name': "
                "'00000.jpg', 'width': 854, 'height': 480}; export it again"
            )
        if image.id in found:
            raise InputError(
                f"{path}: found the image id {image.id} twice, for {found[image.id].file_name!r} and "
                f"{image.file_name!r}, expected it once; export it again"
            )
        found[image.id] = image
    if not found:
        raise InputError(f"{path}: found no image, expected some; export it again")
    return found


def _annotations(path: Path, content: dict[str, Any], images: dict[int, _Image]) -> list[_Annotation]:
    """The annotations, all of which can be decoded; what is wrong with several is told at once."""
    names = {
        row["id"]: str(row["name"])
        for row in _list(path, {"categories": [], **content}, "categories")
        if isinstance(row, dict) and _whole(row.get("id")) and "name" in row
    }
    found = [_annotation(path, number, row, names) for number, row in enumerate(_list(path, content, "annotations"))]
    _check_images(path, found, images)
    found = _with_ids(path, found)
    faults = []
    for each in found:
        image = images[each.image_id]
        if fault := _fault(each.segmentation, (image.height, image.width)):
            faults.append(f"annotation {each.called} ({shown(image.file_name)[:80]}): {fault}")
    if faults:
        raise InputError(f"{path}, {and_more(faults, _MOST_FAULTS, '; ')}; export it again")
    return found


def _annotation(path: Path, number: int, row: Any, names: dict[int, str]) -> _Annotation:
    if not isinstance(row, dict) or not _whole(row.get("image_id")) or "segmentation" not in row:
        raise InputError(
            f"{path}, annotation number {number} (from 0): found {_short(row)}, expected {{'id': 1, 'image_id': 1, "
            "'segmentation': ..., 'instance_id': 1}}; export it again"
        )
    called = str(row["id"]) if _whole(row.get("id")) else f"number {number} (from 0)"
    object_id = None
    for key in ("instance_id", "track_id"):
        value = row.get(key)
        if value in (None, 0):
            continue
        if not _whole(value) or not 0 < value <= MAX_OBJECT_ID:
            raise InputError(
                f"{path}, annotation {called}: found {_short(value)} as {key!r}, expected an object's id from 1 to "
                f"{MAX_OBJECT_ID}; number the objects anew"
            )
        object_id = object_id or value
    category = row.get("category_id")
    label = names.get(category, "") if isinstance(category, int) else ""
    return _Annotation(called, row["image_id"], object_id, label, row.get("iscrowd") in (1, True), row["segmentation"])


def _check_images(path: Path, annotations: Sequence[_Annotation], images: dict[int, _Image]) -> None:
    lost = [each for each in annotations if each.image_id not in images]
    if lost:
        ids = list(dict.fromkeys(str(each.image_id) for each in lost))
        raise InputError(
            f"{path}: found the image ids {and_so_on(ids, _MOST_FAULTS)}, which the annotations "
            f"{and_so_on([each.called for each in lost], _MOST_FAULTS)} ask for and which are not among 'images' "
            f"({_short(min(images))} to {_short(max(images))}), expected an image for every annotation; all of them "
            "may be on wrong images: export it again"
        )


def _with_ids(path: Path, annotations: list[_Annotation]) -> list[_Annotation]:
    """Every annotation with its object: a crowd without one is what nobody knows."""
    named = [each.object_id is not None for each in annotations]
    if any(named):
        for each in annotations:
            if each.object_id is None and not each.is_crowd:
                raise InputError(
                    f"{path}, annotation {each.called}: found no 'instance_id', nor 'track_id', which others have, "
                    "expected it for every annotation; add it"
                )
        return [each._replace(object_id=UNKNOWN) if each.object_id is None else each for each in annotations]
    annotated = Counter(each.image_id for each in annotations)
    if len(annotated) > 1:
        raise InputError(
            f"{path}: found {len(annotations)} annotations on {len(annotated)} images, and neither 'instance_id' nor "
            "'track_id', expected one of them: which object an annotation is on which image, nobody has said; add "
            "'instance_id', from 1"
        )
    if len(annotations) > MAX_OBJECT_ID:
        raise InputError(f"{path}: found {len(annotations)} objects, expected {MAX_OBJECT_ID} at most; leave some out")
    return [each._replace(object_id=number) for number, each in enumerate(annotations, 1)]


def _fault(segmentation: Any, size_hw: tuple[int, int]) -> str:
    """Why a segmentation cannot be decoded; empty if it can."""
    height, width = size_hw
    if isinstance(segmentation, dict):
        size = segmentation.get("size")
        if size != [height, width]:
            return f"found the size {_short(size)}, expected {[height, width]} (height first)"
        counts = _counts(segmentation.get("counts"))
        if counts is None:
            return "found no run lengths, expected 'counts' as text or as whole numbers"
        if (total := int(counts.sum())) != height * width:
            return f"found {total} pixels, expected {height} x {width} = {height * width}"
        return ""
    if not isinstance(segmentation, list) or not segmentation:
        return f"found {_short(segmentation)} as 'segmentation', expected run lengths or polygons"
    return next((fault for ring in segmentation if (fault := _fault_of_ring(ring))), "")


def _fault_of_ring(ring: Any) -> str:
    if not isinstance(ring, list) or not all(_number(value) for value in ring):
        return f"found {_short(ring)} as a polygon, expected a list of numbers [x0, y0, x1, y1, ...]"
    if len(ring) % 2:
        return f"found a polygon of {len(ring)} numbers, expected an even number (x and y of each point)"
    if len(ring) < 6:
        points = len(ring) // 2
        return f"found a polygon of {points} point{'s' * (points != 1)}, expected 3 at least"
    if max(map(abs, ring)) > _FAR:
        return f"found a point at {_short(max(ring, key=abs))}, expected pixels of the picture"
    return ""


def _counts(counts: Any) -> NDArray[np.int64] | None:
    """Run lengths as numbers, see `decompress`; None if they are none."""
    if isinstance(counts, str):
        return decompress(counts)
    if not isinstance(counts, list) or len(counts) >= _MOST_RUNS:
        return None
    if not all(_whole(each) and 0 <= each < _MOST_PIXELS for each in counts):
        return None
    return np.array(counts, np.int64)


def decompress(text: str) -> NDArray[np.int64] | None:
    """COCO's text as run lengths; None if it is none. They are not negative, and their sum is exact.

    Groups of five bits from the lowest on, of which bit 32 says that more follow; from the fourth number on, the one
    two places before is to be added.
    """
    if not text.isascii():
        return None
    groups = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(groups & 32 == 0)
    if not 0 < len(ends) < _MOST_RUNS or groups.min() < 0 or groups.max() > 63 or ends[-1] != len(groups) - 1:
        return None
    begins = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - begins + 1
    if lengths.max() > _MOST_GROUPS:
        return None
    places = np.arange(len(groups)) - np.repeat(begins, lengths)
    counts = np.add.reduceat((groups & 31) << (5 * places), begins)
    counts -= (groups[ends] & 16 != 0) * (np.int64(1) << (5 * lengths))
    for first in (1, 2):
        counts[first::2] = np.cumsum(counts[first::2])
    return counts if counts.min() >= 0 and counts.max() < _MOST_PIXELS else None


def _shapes(annotations: Sequence[_Annotation], size_wh: tuple[int, int]) -> Iterator[Shape]:
    for each in annotations:
        mask = _decoded(each.segmentation, size_wh)
        yield Shape(mask, each.object_id, each.label, f"annotation {each.called}")


def _decoded(segmentation: Any, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    width, height = size_wh
    if isinstance(segmentation, dict):
        counts = _counts(segmentation["counts"])
        assert counts is not None, "it was looked at before"
        ones = np.arange(len(counts)) % 2 == 1
        return np.repeat(ones, counts).reshape(width, height).T
    mask = np.zeros((height, width), np.bool_)
    for ring in segmentation:
        mask |= filled(np.array(ring, np.float64).reshape(-1, 2), size_wh)
    return mask


# --- which file ------------------------------------------------------------------------------------------------------


def _file_of(source: Path) -> Path:
    if not source.is_dir():
        return source
    found = [path for path in _candidates(source) if _looks_like_coco(path)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:_MOST_FAULTS]) or "none"
        raise InputError(f"{source}: found {len(found)} files of COCO instances ({names}), expected one; give the file")
    return found[0]


def _candidates(source: Path) -> list[Path]:
    try:
        if source.is_dir():
            inside = [*source.glob("*.json"), *source.glob("annotations/*.json")]
            return [path for path in sorted(inside) if not path.name.startswith(".") and path.is_file()]
        return [source] if source.is_file() and source.suffix.lower() == ".json" else []
    except OSError:
        return []


def _looks_like_coco(path: Path) -> bool:
    """By its words: keys may stand in any order, and lists between them."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            file.seek(max(0, path.stat().st_size - _HEAD_BYTES))
            text = head + file.read()
    except OSError:
        return False
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" and b'"images"' in text and b'"file_name"' in text


# --- small things ----------------------------------------------------------------------------------------------------


def _list(path: Path, content: dict[str, Any], key: str) -> list[Any]:
    found = content.get(key)
    if not isinstance(found, list):
        raise InputError(f"{path}: found {_kind(found)} as {key!r}, expected a list (COCO instances); export it again")
    return found


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", type(None): "nothing"}.get(type(value), f"{_short(value)}")


def _short(value: object) -> str:
    return shown(reprlib.repr(value))


def _line(text: str) -> str:
    return shown(text)[:200]


READER: Final[Reader] = CocoReader()
