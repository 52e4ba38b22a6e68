"""Two tables, for spreadsheets and scripts: a box an object and frame, and a line a track. No masks."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stages.exchange.encodings.documents import csv_line
from stages.exchange.encodings.run_lengths import RunLengths, run_lengths
from stages.exchange.outgoing.format import ExportedFrame, ExportedSequence, Format, Loss, SharedFiles
from stages.exchange.outgoing.part import PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from stages.formats.frames_csv import FrameQuality

_BOXES: Final = "boxes"
_BOX_COLUMNS: Final = (
    *("sequence", "split", "frame", "name", "object", "object_name", "class"),
    *("x", "y", "width", "height", "area", "score", "agreement", "source", "doubt_of_frame"),
)
_TRACK_COLUMNS: Final = (
    *("sequence", "split", "object", "object_name", "class"),
    *("frames", "first", "last", "stretches", "mean_area", "mean_score"),
)


@dataclass
class _Track:
    """What was seen of an object so far."""

    frames: int = 0
    first: int | None = None
    last: int | None = None
    stretches: int = 0
    """How often it came: frames that are dropped end none."""
    area: int = 0
    score: float = 0.0
    last_number: int = -2

    def see(self, frame: ExportedFrame, runs: RunLengths, quality: FrameQuality | None) -> None:
        """It is on a frame."""
        self.frames += 1
        self.first = frame.index if self.first is None else self.first
        self.last = frame.index
        self.stretches += frame.number != self.last_number + 1
        self.last_number = frame.number
        self.area += runs.area
        self.score += quality.score if quality else math.nan

    @property
    def cells(self) -> tuple[Any, ...]:
        """Of the table."""
        if not self.frames:
            return (0, None, None, 0, None, None)
        means = self.area / self.frames, _known(self.score / self.frames)
        return (self.frames, self.first, self.last, self.stretches, *means)


class CsvTables(Format):
    """`boxes.csv` and `tracks.csv`; frames are counted in the video, from 0."""

    name = "csv"
    summary = "CSV: a box an object and frame, and a line a track; no masks"
    loss = Loss(exact="boxes only", objects_apart="yes", identity="yes", holes="no", unknown="no", scores="yes")
    unknown = ""
    has_pictures = False

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """A record a box; tracks in the head."""
        tracks: defaultdict[int, _Track] = defaultdict(_Track)
        for frame in frames:
            if frame.labels is None:
                continue
            for object_id, runs in run_lengths(frame.labels).items():
                quality = frame.qualities.get(object_id)
                named = sequence.object(object_id)
                what = (frame.index, frame.name, object_id, named.name, named.category.name)
                part.record(_BOXES, [*what, *runs.box, runs.area, *_said(quality), frame.doubt])
                tracks[object_id].see(frame, runs, quality)
        rows = [(each.id, each.name, each.category.name, *tracks[each.id].cells) for each in sequence.objects]
        part.head({"name": sequence.name, "tracks": rows})

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """Both tables."""
        shared.write("boxes.csv", _table(_BOX_COLUMNS, parts, lambda part: part.records(_BOXES)))
        shared.write("tracks.csv", _table(_TRACK_COLUMNS, parts, lambda part: part.head["tracks"]))


def _said(quality: FrameQuality | None) -> tuple[Any, ...]:
    if quality is None:
        return (None, None, None)
    return (_known(quality.score), _known(quality.agreement), str(quality.source))


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def _table(columns: Sequence[str], parts: Mapping[str, Sequence[PartReader]], rows: Any) -> Iterator[str]:
    yield csv_line(columns)
    for split, those in parts.items():
        for part in those:
            name = part.head["name"]
            yield from (csv_line((name, split, *row)) for row in rows(part))
