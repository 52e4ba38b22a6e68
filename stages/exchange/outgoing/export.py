"""A sequence out: its frames, as a format wants them, become a part of an export; see `outgoing/format.py`.

A part also holds what the exporter itself has to know of its sequence: `sequence.json`, and the stream `ledger`, one
record a frame of the video, whether it is kept or not. `stages.exchange.outgoing.joining` makes an export of parts.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from stages.core.progress import Progress, silent
from stages.core.types import Frame
from stages.exchange.outgoing import doubtful
from stages.exchange.outgoing.doubtful import Verdict
from stages.exchange.outgoing.format import WHOLE_FRAME, ExportedFrame, ExportedSequence, Format
from stages.exchange.outgoing.handed_out import digest_of
from stages.exchange.outgoing.label_maps import Labelled, LabelMaps, judged_frames
from stages.exchange.outgoing.material import Material
from stages.exchange.outgoing.part import PartReader, PartWriter, as_json, check_path
from stages.exchange.outgoing.terms import Terms
from stages.formats import files
from stages.formats.frames import read_frame
from stages.steps.suggest import suggest

SEQUENCE: Final = "sequence.json"
LEDGER: Final = "ledger"
_UNKNOWN_PIXELS: Final = "unknown pixels"
_NOT_APPROVED: Final = "not approved"


class Entry(NamedTuple):
    """What the ledger says of a frame."""

    frame: int
    name: str
    exported_as: str
    """Where its picture lies, or would lie; `SPLIT` stands for the split. Empty if the frame is dropped."""
    doubt: float
    kept: bool
    why: str
    labels_sha256: str = ""
    """Of its label map, where it goes out to be corrected; see `stages.exchange.outgoing.handed_out`."""


def entries_of(part: PartReader) -> Iterator[Entry]:
    """What the ledger of a sequence's part says, frame by frame."""
    return (Entry(*record) for record in part.records(LEDGER))


def verdicts_of(part: Path) -> list[Verdict]:
    """What became of each frame of a sequence, as its part has it."""
    return [Verdict(each.doubt, each.kept, each.why) for each in entries_of(PartReader(part))]


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


def encode_sequence(
    folder: Path,
    material: Material,
    form: Format,
    terms: Terms,
    progress: Progress = silent,
    worst: int = 0,
) -> Counts:
    """Write a sequence's part of an export.

    Args:
        folder: exists, and is empty.
        material: the sequence.
        form: the format.
        terms: of the export; limits of doubt are numbers.
        progress: is told of every frame.
        worst: how many frames to export, those whose correction helps most; 0 for all.

    Returns:
        What became of its frames.

    Raises:
        LisError: the result, or what it was made from, cannot be read.
    """
    judged = judged_frames(material)
    maps = LabelMaps(material, terms, judged)
    limit = None if terms.max_doubt is None else float(terms.max_doubt)
    verdicts = doubtful.verdicts(judged, len(material.names), limit)
    if terms.only_reviewed:
        verdicts = _only(verdicts, material.approved, _NOT_APPROVED)
    if worst:
        suggested = suggest(judged, material.anchors, len(verdicts), worst, material.declined)
        helping = {each.frame for each in suggested}
        verdicts = _only(verdicts, helping, f"not among the {worst} frames whose correction helps most")
    if terms.makes_unknown and (terms.unknown == "none" or form.unknown == WHOLE_FRAME):
        kept = [index for index, each in enumerate(verdicts) if each.is_kept]
        known = {i for i, each in zip(kept, maps.of(kept), strict=True) if not doubtful.count_unknown(each.labels)}
        verdicts = _only(verdicts, known, _UNKNOWN_PIXELS)
    sequence = ExportedSequence(
        name=material.name,
        size_wh=material.size_wh,
        objects=material.exported_objects,
        frame_count=len(verdicts),
        kept_count=sum(each.is_kept for each in verdicts),
        classes=material.classes,
        frame_rate=material.frame_rate,
    )
    with PartWriter(folder) as part:
        encoding = _Encoding(sequence, form, terms, part, is_for_correction=worst > 0)
        frames = encoding.frames(material, maps, verdicts, progress)
        if sequence.kept_count:
            form.encode(sequence, frames, part, terms)
        for _ in frames:
            pass  # the ledger has all frames, however few a format asks for
    said = {
        "name": sequence.name,
        "size_wh": sequence.size_wh,
        "objects": [each.id for each in sequence.objects],
        "counts": asdict(encoding.counts),
    }
    files.write(folder / SEQUENCE, as_json(said) + "\n")
    return encoding.counts


@dataclass
class _Encoding:
    """What is written down of frames while a format asks for them."""

    sequence: ExportedSequence
    form: Format
    terms: Terms
    part: PartWriter
    is_for_correction: bool
    counts: Counts = field(default_factory=Counts)

    def frames(
        self, material: Material, maps: LabelMaps, verdicts: Sequence[Verdict], progress: Progress
    ) -> Iterator[ExportedFrame]:
        labelled = maps.of([index for index, each in enumerate(verdicts) if each.is_kept])
        for index in progress(range(len(verdicts)), len(verdicts)):
            verdict = verdicts[index]
            found = next(labelled) if verdict.is_kept else None
            allowed = {each.id for each in material.objects if each.may_be_on(index)}
            frame = ExportedFrame(
                index=index,
                number=self.counts.kept,
                name=material.names[index],
                is_kept=verdict.is_kept,
                labels=found.labels if found else None,
                doubt=verdict.doubt,
                qualities={row.object_id: row for row in maps.rows[index] if row.object_id in allowed},
                picture=partial(_picture, material.pictures / material.names[index], found.picture) if found else None,
            )
            self._note(frame, verdict.why, found)
            yield frame

    def _note(self, frame: ExportedFrame, why: str, found: Labelled | None) -> None:
        self.counts.frames += 1
        exported_as = labels_sha256 = ""
        if found is not None:
            if self.is_for_correction:
                labels_sha256 = digest_of(found.labels)
            self.counts.kept += 1
            self.counts.unknown_px += doubtful.count_unknown(found.labels)
            self.counts.cut_px += found.cut_px
            if self.form.has_pictures:
                exported_as = self.form.picture_path(self.sequence, frame, self.terms)
                check_path(exported_as)
        else:
            self.counts.drop("doubt" if why.startswith("object ") else why)
        entry = Entry(frame.index, frame.name, exported_as, frame.doubt, frame.is_kept, why, labels_sha256)
        self.part.record(LEDGER, entry)


def _picture(path: Path, decoded: Frame | None) -> Frame:
    return read_frame(path) if decoded is None else decoded


def _only(verdicts: Sequence[Verdict], wanted: Collection[int], why: str) -> list[Verdict]:
    """Of the frames that are kept, only those."""
    return [
        each if not each.is_kept or index in wanted else Verdict(each.doubt, False, why)
        for index, each in enumerate(verdicts)
    ]
