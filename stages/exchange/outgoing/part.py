"""A sequence's share of an export: a folder of a few files, whatever the number of frames.

    part.json           what the format needs to know of the sequence when parts are joined
    measured.json       how well masks come back, where the format is not exact
    files.zip           the files it adds to the export, under their paths there
    <stream>.jsonl      records of files that all sequences share, one JSON value a line

An export of 100,000 frames would otherwise be twice 100,000 files. Members have no dates, so that bytes repeat.
"""

import json
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from stages.core.errors import InputError
from stages.formats import files
from stages.formats.files import GrowingFile

SPLIT: Final = "//split//"
"""What stands for the split in the paths of a part: nothing that sequences or pictures can be called."""
_HEAD: Final = "part.json"
_FILES: Final = "files.zip"
_MEASURED: Final = "measured.json"
_NO_DATE: Final = (1980, 1, 1, 0, 0, 0)
_PACKED: Final = (".png", ".jpg")
"""What is compressed already."""
_LONGEST_BYTES: Final = 255
"""Of a file's name, on all disks."""


def as_json(value: Any) -> str:
    """A value as exports write JSON: keys in the given order, no blanks, UTF-8 unescaped, six decimals at most."""
    return json.dumps(_rounded(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value


@dataclass
class Measured:
    """How well masks come back: IoU of some of them with what was written, as a reader of the format has it."""

    count: int = 0
    total: float = 0.0
    worst: float = 1.0

    def add(self, iou: float) -> None:
        """Another mask's."""
        self.join(Measured(1, iou, iou))

    def join(self, other: "Measured") -> None:
        """Those of others."""
        self.count += other.count
        self.total += other.total
        self.worst = min(self.worst, other.worst)


def check_path(path: str) -> None:
    """See that a path of an export can be one.

    Args:
        path: below the export's folder, with `/`; `SPLIT` stands for the split.

    Raises:
        InputError: a name in it is too long.
    """
    for name in path.replace(SPLIT, "train").split("/"):
        if (size := len(name.encode(errors="surrogateescape"))) > _LONGEST_BYTES:
            raise InputError(
                f"found the name '{name[:40]}...' of {size} bytes for a file of the export, expected {_LONGEST_BYTES} "
                "at most, which is what disks take; shorten the names of the sequence or of its pictures, or export in "
                "another format"
            )


class PartWriter:
    """Takes what a format writes of one sequence; a context, closed at the end."""

    def __init__(self, folder: Path) -> None:
        """Begin in a folder that exists."""
        self._folder = folder
        self._stack = ExitStack()
        self._records: dict[str, GrowingFile] = {}
        self._zip: zipfile.ZipFile | None = None
        self._measured = Measured()

    def add(self, path: str, content: bytes | memoryview | str) -> None:
        """Add a file of the export.

        Args:
            path: below the export's folder, with `/`; `SPLIT` stands for the split.
            content: bytes, or text that is written as UTF-8.

        Raises:
            InputError: see `check_path`.
        """
        check_path(path)
        if self._zip is None:
            file: Any = self._stack.enter_context(files.growing(self._folder / _FILES))
            self._zip = self._stack.enter_context(zipfile.ZipFile(_WithoutFlush(file), "w", allowZip64=True))
        member = zipfile.ZipInfo(path, _NO_DATE)
        member.compress_type = zipfile.ZIP_STORED if path.endswith(_PACKED) else zipfile.ZIP_DEFLATED
        self._zip.writestr(member, content if isinstance(content, str) else bytes(content), compresslevel=1)

    def record(self, stream: str, value: Any) -> None:
        """Append a JSON value to one of the format's streams."""
        if stream not in self._records:
            self._records[stream] = self._stack.enter_context(files.growing(self._folder / f"{stream}.jsonl"))
        self._records[stream].write(f"{as_json(value)}\n".encode())

    def measured(self, iou: float) -> None:
        """Note how well a mask comes back; formats that are not exact do so for every hundredth."""
        self._measured.add(iou)

    def head(self, value: Any) -> None:
        """Write what `PartReader.head` gives back."""
        files.write(self._folder / _HEAD, as_json(value) + "\n")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its files."""
        if self._measured.count:
            files.write(self._folder / _MEASURED, as_json(vars(self._measured)) + "\n")
        self._stack.__exit__(kind, error, trace)


class PartReader:
    """Gives back what a format wrote of one sequence."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def head(self) -> Any:
        """What `PartWriter.head` was given; None if nothing."""
        path = self._folder / _HEAD
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    @property
    def measured(self) -> Measured:
        """How well masks come back; no mask was measured of an exact format."""
        path = self._folder / _MEASURED
        return Measured(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Measured()

    def records(self, stream: str) -> Iterator[Any]:
        """The values of a stream, one after the other; none if the part has no such stream."""
        path = self._folder / f"{stream}.jsonl"
        if path.exists():
            with path.open(encoding="utf-8", newline="\n") as lines:
                yield from (json.loads(line) for line in lines)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The files it adds to the export, with their paths there (`SPLIT` as it is), in order."""
        path = self._folder / _FILES
        if path.exists():
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    yield member.filename, archive.read(member)


class _WithoutFlush:
    """A growing file for `zipfile`, which asks to flush what nobody buffers."""

    def __init__(self, file: GrowingFile) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def flush(self) -> None:
        """Nothing is buffered."""
