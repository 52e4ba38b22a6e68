"""Sequences out: each is encoded into a part, and parts are joined; see `stages.exchange.format`.

A part also holds what the exporter itself has to know of its sequence: `sequence.json`, and the stream `ledger`, one
record a frame of the video, whether it is kept or not.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from stages.core.errors import InputError
from stages.core.progress import Progress, silent
from stages.core.types import LabelMap
from stages.exchange import doubtful
from stages.exchange.documents import csv_line
from stages.exchange.doubtful import Verdict
from stages.exchange.format import WHOLE_FRAME, ExportedFrame, ExportedSequence, Format, SharedFiles
from stages.exchange.material import Material
from stages.exchange.part import Measured, PartReader, PartWriter, as_json
from stages.exchange.pictures import Placing, way_of
from stages.exchange.splits import SPLITS
from stages.exchange.terms import Terms
from stages.formats import files
from stages.formats.frames import read_frame
from stages.formats.frames_csv import read_frames_csv
from stages.formats.json_files import read_json
from stages.formats.masks import read_mask
from stages.formats.report_data import JudgedFrame
from stages.formats.results import result_file
from stages.steps.assess import judge

EXPORT_JSON: Final = "export.json"
SCHEMA: Final = 1
FRAMES_CSV: Final = "frames.csv"
README: Final = "README.txt"
SEQUENCE: Final = "sequence.json"
LEDGER: Final = "ledger"
SPLIT: Final = "{split}"
"""What stands for the split in the paths of a part."""
_COLUMNS: Final = ("sequence", "frame", "name", "exported_as", "split", "width", "height", "doubt", "kept", "why")
_UNKNOWN_PIXELS: Final = "unknown pixels"
_PIECE: Final = 1 << 20
"""Characters that are written at once."""


class Entry(NamedTuple):
    """What the ledger says of a frame."""

    frame: int
    name: str
    exported_as: str
    """Where its picture lies, or would lie; `{split}` stands for the split. Empty if the frame is dropped."""
    doubt: float
    kept: bool
    why: str


@dataclass
class Counts:
    """What became of frames and pixels."""

    frames: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason, in a word -> frames."""
    unknown_px: int = 0
    cut_px: int = 0
    """Of objects on frames on which they cannot be, by a person's word."""

    def drop(self, why: str, count: int = 1) -> None:
        """So many frames are dropped."""
        self.dropped[why] = self.dropped.get(why, 0) + count

    def add(self, other: "Counts") -> None:
        """Those of another sequence."""
        self.frames += other.frames
        self.kept += other.kept
        for why, count in other.dropped.items():
            self.drop(why, count)
        self.unknown_px += other.unknown_px
        self.cut_px += other.cut_px


def splits_of_export(folder: Path, spec: str) -> dict[str, str]:
    """Sequence -> split in an export that lies there, if its splits were asked for in the same words; else nothing."""
    try:
        said = read_json(folder / EXPORT_JSON)
        return {each["name"]: each["split"] for each in said["sequences"]} if said["split"] == spec else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


# --- one sequence ----------------------------------------------------------------------------------------------------


def judged_frames(material: Material) -> list[JudgedFrame]:
    """The doubt in every mask of a sequence."""
    return judge(read_frames_csv(material.masks), material.anchors, material.names)


def encode_sequence(
    folder: Path, material: Material, form: Format, terms: Terms, progress: Progress = silent
) -> Counts:
    """Write a sequence's part of an export.

    Args:
        folder: exists, and is empty.
        material: the sequence.
        form: the format.
        terms: of the export; limits of doubt are numbers.
        progress: is told of every frame.

    Returns:
        What became of its frames.

    Raises:
        StageError: the result cannot be read.
    """
    judged = judged_frames(material)
    maps = _Maps(material, terms, judged)
    limit = None if terms.max_doubt is None else float(terms.max_doubt)
    verdicts = doubtful.verdicts(judged, len(material.names), limit)
    if terms.makes_unknown and (terms.unknown == "none" or form.unknown == WHOLE_FRAME):
        verdicts = _without_unknown(verdicts, _Maps(material, terms, judged))
    counts = Counts(frames=len(verdicts))
    sequence = ExportedSequence(
        name=material.name,
        size_wh=material.size_wh,
        objects=material.exported_objects,
        frame_count=len(verdicts),
        kept_count=sum(each.is_kept for each in verdicts),
        classes=material.classes,
    )
    with PartWriter(folder) as part:
        frames = _Encoding(sequence, form, terms, part, counts).frames(material, maps, verdicts, progress)
        if sequence.kept_count:
            form.encode(sequence, frames, part, terms)
        for _ in frames:
            pass  # the ledger has all frames, however few a format asks for
    counts.cut_px = maps.cut_px
    said = {
        "name": sequence.name,
        "size_wh": sequence.size_wh,
        "objects": [each.id for each in sequence.objects],
        "counts": asdict(counts),
    }
    files.write(folder / SEQUENCE, as_json(said) + "\n")
    return counts


class _Maps:
    """The label maps of a sequence as they are exported."""

    def __init__(self, material: Material, terms: Terms, judged: Iterable[JudgedFrame]) -> None:
        self._material = material
        self._terms = terms
        self.cut_px = 0
        self.rows: Mapping[int, list[JudgedFrame]] = defaultdict(list)
        for row in judged:
            self.rows[row.frame].append(row)

    def read(self, index: int) -> LabelMap:
        """(H, W) uint8 of a frame, with `UNKNOWN` where nobody knows."""
        labels = read_mask(result_file(self._material.masks, self._material.names[index]))
        width, height = self._material.size_wh
        if labels.shape != (height, width):
            raise InputError(
                f"{result_file(self._material.masks, self._material.names[index])}: found {labels.shape[1]}x"
                f"{labels.shape[0]} pixels, expected {width}x{height} as the pictures have; refine the sequence again"
            )
        labels = self._without_absent(index, labels)
        if self._terms.makes_unknown:
            labels = doubtful.with_unknown(labels, self.rows[index], self._terms)
        return labels

    def _without_absent(self, index: int, labels: LabelMap) -> LabelMap:
        """Where an object cannot be, by a person's word, it is not."""
        absent = [each.id for each in self._material.objects if not each.may_be_on(index)]
        is_cut = np.isin(labels, absent)
        self.cut_px += int(np.count_nonzero(is_cut))
        return np.where(is_cut, np.uint8(0), labels) if absent else labels


@dataclass
class _Encoding:
    """What is written down of frames while a format asks for them."""

    sequence: ExportedSequence
    form: Format
    terms: Terms
    part: PartWriter
    counts: Counts

    def frames(
        self, material: Material, maps: _Maps, verdicts: Sequence[Verdict], progress: Progress
    ) -> Iterator[ExportedFrame]:
        for index in progress(range(len(verdicts)), len(verdicts)):
            verdict = verdicts[index]
            labels = maps.read(index) if verdict.is_kept else None
            allowed = {each.id for each in material.objects if each.may_be_on(index)}
            frame = ExportedFrame(
                index=index,
                number=self.counts.kept,
                name=material.names[index],
                is_kept=verdict.is_kept,
                labels=labels,
                doubt=verdict.doubt,
                qualities={row.object_id: row for row in maps.rows[index] if row.object_id in allowed},
                picture=partial(read_frame, material.pictures / material.names[index]) if verdict.is_kept else None,
            )
            exported_as = ""
            if labels is not None:
                self.counts.kept += 1
                self.counts.unknown_px += doubtful.count_unknown(labels)
                if self.form.has_pictures:
                    exported_as = self.form.picture_path(self.sequence, frame, self.terms)
            else:
                self.counts.drop(verdict.why if verdict.why == _UNKNOWN_PIXELS else "doubt")
            self.part.record(LEDGER, Entry(index, frame.name, exported_as, frame.doubt, frame.is_kept, verdict.why))
            yield frame


def _without_unknown(verdicts: Sequence[Verdict], maps: _Maps) -> list[Verdict]:
    """Frames with a pixel of which nobody knows what it shows are dropped, too."""
    return [
        Verdict(verdict.doubt, False, _UNKNOWN_PIXELS)
        if verdict.is_kept and doubtful.count_unknown(maps.read(index))
        else verdict
        for index, verdict in enumerate(verdicts)
    ]


# --- all of them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """A sequence's part, and what joining it needs."""

    part: Path
    split: str
    pictures: Path
    """The folder of the sequence's pictures."""
    digests: Mapping[str, str]
    """Name of a picture -> its sha256, as the results were made from it."""
    said: Mapping[str, Any]
    """What export.json says of the sequence beyond what its part does."""


@dataclass(frozen=True)
class Asked:
    """What an export is to say of itself."""

    terms: Terms
    said: Mapping[str, Any]
    """What export.json says beyond the rest: classes, what was asked for, what was left out."""


class _Part(NamedTuple):
    share: Share
    name: str
    size_wh: tuple[int, int]
    objects: Sequence[int]
    counts: Counts
    reader: PartReader


def join_parts(
    folder: Path, shares: Iterable[Share], form: Format, asked: Asked, progress: Progress = silent
) -> tuple[Counts, dict[str, str]]:
    """Make an export of parts.

    Args:
        folder: exists, and is empty.
        shares: of the sequences, in any order.
        form: the format.
        asked: what was.
        progress: is told of every sequence.

    Returns:
        What became of all frames; and the sha256 of files that are known without reading them, by their paths.

    Raises:
        InputError: no frame is kept.
    """
    parts = sorted(map(_read_part, shares), key=lambda part: part.name)
    total = Counts()
    for part in parts:
        total.add(part.counts)
    if not total.kept:
        raise InputError(
            f"found no frame to keep among {total.frames} of {len(parts)} sequences ({_in_words(total.dropped)}), "
            "expected one at least; raise --max-doubt, or make less unknown"
        )
    kept = [part for part in parts if part.counts.kept]
    placing = Placing(folder, way_of(form, asked.terms))
    known: dict[str, str] = {}
    for part in progress(kept, len(kept)):
        split = part.share.split
        for path, content in part.reader.files():
            files.write(placing.make_room(path.replace(SPLIT, split)), content)
        for entry in _entries(part):
            path = entry.exported_as.replace(SPLIT, split)
            if path and placing.place(part.share.pictures / entry.name, path):
                known[path] = part.share.digests[entry.name]
    by_split = {split: [part.reader for part in kept if part.share.split == split] for split in _splits(parts)}
    form.join(by_split, _Shared(placing), asked.terms)
    _write_text(folder / FRAMES_CSV, _table(parts))
    measured = Measured()
    for part in parts:
        measured.join(part.reader.measured)
    files.write_json(folder / EXPORT_JSON, _described(parts, form, asked, total, measured))
    files.write(folder / README, _readme(form, asked, total, measured))
    return total, known


def _read_part(share: Share) -> _Part:
    said = read_json(share.part / SEQUENCE)
    width, height = said["size_wh"]
    return _Part(
        share, said["name"], (width, height), said["objects"], Counts(**said["counts"]), PartReader(share.part)
    )


def _entries(part: _Part) -> Iterator[Entry]:
    return (Entry(*record) for record in part.reader.records(LEDGER))


def _splits(parts: Sequence[_Part]) -> list[str]:
    there = {part.share.split for part in parts}
    return [split for split in SPLITS if split in there]


def _table(parts: Sequence[_Part]) -> Iterator[str]:
    yield csv_line(_COLUMNS)
    for part in parts:
        split = part.share.split
        for entry in _entries(part):
            path = entry.exported_as.replace(SPLIT, split)
            row = (part.name, entry.frame, entry.name, path, split, *part.size_wh)
            yield csv_line((*row, entry.doubt, int(entry.kept), entry.why))


def _described(
    parts: Sequence[_Part], form: Format, asked: Asked, total: Counts, measured: Measured
) -> Mapping[str, Any]:
    return {
        "schema": SCHEMA,
        "format": form.name,
        "format_version": form.version,
        "terms": asked.terms.given(),
        "splits": {split: [p.name for p in parts if p.share.split == split] for split in _splits(parts)},
        "sequences": [
            {
                "name": part.name,
                "split": part.share.split,
                "size_wh": list(part.size_wh),
                "objects": list(part.objects),
                "counts": asdict(part.counts),
                **part.share.said,
            }
            for part in parts
        ],
        "counts": asdict(total),
        "lost": asdict(form.loss),
        "measured": {"masks": measured.count, "mean_iou": _mean(measured), "worst_iou": round(measured.worst, 6)}
        if measured.count
        else "exact",
        **asked.said,
    }


def _readme(form: Format, asked: Asked, total: Counts, measured: Measured) -> str:
    lines = [f"Masks in the format {form.name}: {form.summary}.", ""]
    lines += [f"{total.kept} of {total.frames} frames; frames.csv lists every one, and why those left out are."]
    if measured.count:
        lines.append(f"Masks come back with a mean IoU of {_mean(measured):.4f}, at worst {measured.worst:.4f}.")
    else:
        lines.append("Masks come back exactly.")
    lines += [f"What becomes of {name.replace('_', ' ')}: {value}" for name, value in asdict(form.loss).items()]
    if way_of(form, asked.terms) == "link":
        lines += ["", "The pictures are links that lead out of this folder: it must not be moved or packed alone."]
        lines += ["Export again with --pictures copy for one that can."]
    return "\n".join([*lines, ""])


def _mean(measured: Measured) -> float:
    return round(measured.total / measured.count, 6)


def _in_words(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} for {why}" for why, count in sorted(dropped.items())) or "they are empty"


class _Shared(SharedFiles):
    def __init__(self, placing: Placing) -> None:
        self._placing = placing

    def write(self, path: str, chunks: Iterable[str]) -> None:
        _write_text(self._placing.make_room(path), chunks)


def _write_text(path: Path, chunks: Iterable[str]) -> None:
    """Write a text piece by piece, however long it is."""
    with files.growing(path) as file:
        piece: list[str] = []
        length = 0
        for chunk in chunks:
            piece.append(chunk)
            length += len(chunk)
            if length >= _PIECE:
                file.write("".join(piece).encode())
                piece, length = [], 0
        file.write("".join(piece).encode())
