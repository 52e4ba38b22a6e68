"""Masks that come back from Label Studio: its JSON export. Only brushes are read; annotations go before predictions.

A label such as "dog #1" names the object. The server puts eight hexadecimal digits and a hyphen before the names of
pictures that were uploaded by hand (`stages.exchange.incoming.matching` knows); those from storages keep their names.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, Field, RootModel

from stages.core.errors import InputError
from stages.exchange.encodings import brush
from stages.exchange.incoming.folders import documents_in
from stages.exchange.incoming.foreign import object_of, parsed, read_bounded, split_label
from stages.exchange.incoming.protocol import Picture, Shape
from stages.formats.names import shown

_TASKS: Final = "label_studio.json"
_PICTURE: Final = re.compile(r".+\.(jpe?g|png|bmp|tiff?|webp|gif|avif)\b.*", re.IGNORECASE | re.DOTALL)
_BRUSHES: Final = ("brushlabels", "brush")
_OTHER_SHAPES: Final = re.compile(r"(rectangle|ellipse|polygon|keypoint|vector|bitmask)(labels)?")


class _Result(BaseModel):
    type: str = ""
    value: dict[str, Any] = {}
    original_width: int = Field(gt=0, default=1)
    original_height: int = Field(gt=0, default=1)
    image_rotation: float = 0


class _Answer(BaseModel):
    result: list[_Result] = []
    was_cancelled: bool | None = False


class _Task(BaseModel):
    data: dict[str, Any]
    annotations: list[_Answer] = []
    predictions: list[_Answer | int] = []
    """Numbers where the export has none of what they mean."""


class _Tasks(RootModel[list[_Task]]):
    """A project's export."""


class _Brushed(NamedTuple):
    """A mask as the file has it."""

    runs: bytes
    label: str
    object_id: int | None
    place: str


class LabelStudioReader:
    """See the module."""

    name = "labelstudio"
    source = "Label Studio's export in the format JSON, or a folder with it"

    def recognises(self, source: Path) -> bool:
        """Whether a JSON file names the keys of tasks, or one does that lies in the folder."""
        with suppress(Exception):
            return any(map(_has_tasks, documents_in(source, "*.json", _has_tasks)))
        return False

    def pictures(self, source: Path) -> Iterator[Picture]:
        """The tasks that have an answer, in their order."""
        for path in _files(source):
            for number, task in enumerate(parsed(_Tasks, read_bounded(path), str(path)).root, 1):
                where = f"{path.name}, task {number}"
                answer = _answer(task, where)
                if answer is not None:
                    yield _picture(_name(task.data, where), answer.result, where)


READER: Final = LabelStudioReader()


def _files(source: Path) -> list[Path]:
    """What Label Studio has exported; where nothing of that lies beside them, the tasks that it was given."""
    if not source.is_dir():
        return [source]
    found = documents_in(source, "*.json", _has_tasks)
    exported = [path for path in found if path.name != _TASKS]
    if len(exported) > 1:
        names = ", ".join(shown(path.name) for path in exported[:3])
        raise InputError(f"{source}: found several exports ({names}), expected one; give --source the file that counts")
    if not found:
        raise InputError(f"{source}: found no JSON file of tasks, expected {READER.source}; correct --source")
    return exported or found


def _has_tasks(path: Path) -> bool:
    content = read_bounded(path)
    return content.lstrip()[:1] == b"[" and b'"data"' in content and b'"result"' in content


def _answer(task: _Task, where: str) -> _Answer | None:
    """What somebody said of the task, or else was guessed last."""
    said = [each for each in task.annotations if not each.was_cancelled]
    if len(said) > 1:
        raise InputError(
            f"{where}: found {len(said)} annotations of one picture, expected one; delete the others, and export again"
        )
    guessed = [each for each in task.predictions if isinstance(each, _Answer)]
    return said[0] if said else guessed[-1] if guessed else None


def _name(data: dict[str, Any], where: str) -> str:
    """The name of the picture that a task is about."""
    urls = (
        [data["image"]]
        if "image" in data
        else [each for each in data.values() if isinstance(each, str) and _PICTURE.fullmatch(each)]
    )
    if len(urls) != 1 or not isinstance(urls[0], str) or urls[0].startswith("data:"):
        raise InputError(
            f"{where}: found {len(urls)} URLs of pictures in its data, expected one under the key 'image'; "
            "export a project of single pictures"
        )
    return _path(urls[0])


def _path(url: str) -> str:
    """Of a picture, as the storage has it: uploads are in folders of the server, which say nothing."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if "d" in query:
        return query["d"][0]
    if "fileuri" in query:
        with suppress(binascii.Error, UnicodeDecodeError, ValueError):
            return _path(base64.urlsafe_b64decode(query["fileuri"][0]).decode())
    path = unquote(parts.path)
    return path.rpartition("/")[2] if path.startswith(("/data/upload/", "data/upload/", "upload/")) else path


def _picture(name: str, results: Sequence[_Result], where: str) -> Picture:
    brushed = []
    sizes = set()
    for number, result in enumerate(results, 1):
        place = f"result {number}"
        at = f"{where}, {place}"
        if _OTHER_SHAPES.fullmatch(result.type):
            raise InputError(f"{at}: found the type {result.type!r}, expected brushes; draw it with the brush")
        if result.type not in _BRUSHES:
            continue
        if result.image_rotation:
            raise InputError(
                f"{at}: found a picture rotated by {result.image_rotation:g} degrees, expected none; turn it back"
            )
        sizes.add((result.original_width, result.original_height))
        brushed.append(_brushed(result.value, at, place))
    if len(sizes) > 1:
        raise InputError(f"{where}: found sizes {sorted(sizes)}, expected one; export it again")
    size_wh = sizes.pop() if sizes else None
    return Picture(name, where, partial(_content, brushed, size_wh, where), size_wh)


def _brushed(value: dict[str, Any], at: str, place: str) -> _Brushed:
    labels = value.get("brushlabels", [])
    try:
        runs = value.get("rle")
        if (
            value.get("format") != "rle"
            or not isinstance(runs, list)
            or not isinstance(labels, list)
            or len(labels) > 1
        ):
            raise ValueError
        runs = bytes(runs)
    except (TypeError, ValueError):
        raise InputError(
            f"{at}: found no run lengths with one label, expected a value of the format rle; export it again"
        ) from None
    label, object_id = split_label(str(labels[0]) if labels else "")
    return _Brushed(runs, label, object_of(object_id, at), place)


def _content(brushed: Sequence[_Brushed], size_wh: tuple[int, int] | None, where: str) -> Iterator[Shape]:
    for each in brushed:
        if size_wh is not None:
            try:
                mask = brush.decode(each.runs, size_wh)
            except ValueError as error:
                raise InputError(f"{where}, {each.place}: {error}; export it again") from None
            yield Shape(mask, each.object_id, each.label, each.place)
