"""What a format of exports must do, and what it is given.

An export is made in two steps. For each sequence the format *encodes* its kept frames into a part: files, and records
of files that all sequences share. Then it *joins* the parts: numbers records, and writes the shared files. Parts are
kept, so that an export that was killed, or of which one sequence has changed, encodes only what it must. The pictures
are placed by `stages.exchange.outgoing.pictures`, where the format says.

Bytes repeat: whatever is written depends on the masks, the names and the terms alone (no dates, hosts, paths).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final, Protocol

from stages.core.types import Frame, LabelMap
from stages.exchange.outgoing.part import PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from stages.formats.frames_csv import FrameQuality

UNKNOWN: Final = 255
"""In an exported label map: nobody knows what is there. Only formats that can say so meet it, see `Format.unknown`."""
WHOLE_FRAME: Final = "the whole frame"
"""What `Format.unknown` is of formats that can only leave a frame out: the exporter drops frames with unknown pixels,
and hands them on as it does others that it drops. It does so for every format if the terms say `unknown` "none"."""


@dataclass(frozen=True)
class ExportedClass:
    """A class of an export's list."""

    id: int
    """From 1; `classes.json` may leave gaps, see `ExportedSequence.class_index`."""
    name: str
    supercategory: str = ""


@dataclass(frozen=True)
class ExportedObject:
    """An object of a sequence, as its `objects.json` has it, or by default."""

    id: int
    """1..254, the value in label maps."""
    name: str
    category: ExportedClass
    colour: str
    """`#rrggbb`, for pages and tools; never in masks."""
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportedFrame:
    """A frame of a sequence."""

    index: int
    """In the video, from 0."""
    number: int
    """Among the frames that are kept, from 0; of a dropped one that of the next kept one."""
    name: str
    """The file name of the source's picture."""
    is_kept: bool
    """Dropped frames are passed, too, without labels: some formats count frames by their place in the video."""
    labels: LabelMap | None
    """(H, W) uint8 ids, `UNKNOWN` where nobody knows; None of a dropped frame."""
    doubt: float
    """Of its most doubtful object, in [0, 1]."""
    qualities: Mapping[int, FrameQuality] = field(default_factory=dict)
    """What is known of each object on it."""
    picture: Callable[[], Frame] | None = None
    """Decodes the source's picture, at the masks' size, for formats whose files hold its colours; None of a dropped
    frame."""


@dataclass(frozen=True)
class ExportedSequence:
    """A sequence, without its masks."""

    name: str
    """Unique in the export."""
    size_wh: tuple[int, int]
    """Of masks and pictures, in pixels."""
    objects: tuple[ExportedObject, ...]
    """By id; also those without a pixel on any kept frame."""
    frame_count: int
    """Of the video."""
    kept_count: int
    """Of the frames that are exported."""
    classes: tuple[ExportedClass, ...]
    """The whole export's list, by id: what class a record names does not depend on the other sequences' parts."""
    frame_rate: float | None = None
    """Of the video's frames a second, if it is known."""

    def object(self, object_id: int) -> ExportedObject:
        """By its id."""
        return next(each for each in self.objects if each.id == object_id)

    def class_index(self, category: ExportedClass) -> int:
        """Its place in the list, from 0: without gaps."""
        return self.classes.index(category)


def picture_name(frame: ExportedFrame, terms: Terms) -> str:
    """The name of a frame's picture in formats that keep the source's: with another ending if it is written anew."""
    return f"{PurePosixPath(frame.name).stem}.jpg" if terms.pictures == "convert" else frame.name


class SharedFiles(Protocol):
    """Where a format writes what all sequences share."""

    def write(self, path: str, chunks: Iterable[str]) -> None:
        """Write a file, UTF-8, chunk by chunk.

        Args:
            path: below the export's folder, with `/`.
            chunks: its text; line feeds as they are.
        """
        ...


@dataclass(frozen=True)
class Loss:
    """What a format loses: the row of the table in docs/export.md."""

    exact: str
    objects_apart: str
    identity: str
    holes: str
    unknown: str
    scores: str


class Format(Protocol):
    """One module of `stages.exchange` a format; `stages.exchange.outgoing.formats` lists them. Formats derive from it.

    Attributes:
        name: what `--format` calls it.
        summary: one line: what it is, and who reads it.
        loss: what is lost.
        unknown: how it says that nobody knows a pixel ("255", "class 10", `WHOLE_FRAME`); "" if it cannot: then such
            switches are refused.
        options: the fields of `Terms` that it heeds, beyond those that the exporter itself does; others are refused.
        wants_jpg: whether its readers take `.jpg` only.
        copies_pictures: whether pictures are copied unless asked otherwise, since its readers write into them.
        has_pictures: whether pictures belong to it at all.
        version: of its code; raised when it writes something else than before.
    """

    name: str
    summary: str
    loss: Loss
    unknown: str
    options: frozenset[str] = frozenset()
    wants_jpg: bool = False
    copies_pictures: bool = False
    has_pictures: bool = True
    version: int = 1

    def check(self, terms: Terms) -> None:
        """Refuse terms that do not go together in this format, beyond what its attributes say.

        Raises:
            InputError: they do not.
        """
        return

    def check_classes(self, classes: Sequence[ExportedClass], terms: Terms) -> None:
        """Refuse an export's list of classes that this format cannot have under these terms.

        Raises:
            InputError: it cannot.
        """
        return

    def notes(self, splits: Sequence[str]) -> Sequence[str]:
        """What people should know of an export that has these splits, a line each."""
        return ()

    def mask_bytes(self, terms: Terms) -> int:
        """About what an object's mask of 854x480 pixels takes on the disk."""
        return 8_000

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """Where a kept frame's picture lies in the export: relative, with `/`; `SPLIT` stands for the split.

        Formats without pictures leave it as it is.
        """
        return ""

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """Write a sequence's share. Frames come once, in order, and are read as they are asked for: keep none.

        Files are added to the part under their paths in the export, where `SPLIT` stands for the split; they are
        there before `join`. Records go to streams of the format's own names.
        """
        ...

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """Write what sequences share, as streams: memory does not grow with frames.

        Args:
            parts: split -> its parts, by the sequences' names.
            shared: takes the files.
            terms: of the export.
        """
        ...
