"""Many sequences out: their parts become an export, as a stream, so that memory does not grow with them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from stages.core.errors import InputError, StageError
from stages.core.progress import Progress, silent
from stages.core.words import and_so_on
from stages.exchange.encodings.documents import csv_line
from stages.exchange.outgoing.at_source import source_frames
from stages.exchange.outgoing.export import SEQUENCE, Counts, entries_of
from stages.exchange.outgoing.format import Format, SharedFiles
from stages.exchange.outgoing.handed_out import HANDED_OUT
from stages.exchange.outgoing.material import Material, Source
from stages.exchange.outgoing.own_files import EXPORT_JSON, SHEET
from stages.exchange.outgoing.part import SPLIT, Measured, PartReader
from stages.exchange.outgoing.pictures import Placing, way_of
from stages.exchange.outgoing.splits import SPLITS
from stages.exchange.outgoing.terms import OF_EVERY_FORMAT, Pictures, Terms
from stages.formats import files
from stages.formats.json_files import read_json
from stages.formats.manifest import LIST, MANIFEST
from stages.formats.review_json import Approvals

SCHEMA: Final = 1
FRAMES_CSV: Final = "frames.csv"
README: Final = "README.txt"
_OWN_FILES: Final = frozenset(
    name.casefold()
    for name in (EXPORT_JSON, FRAMES_CSV, README, MANIFEST, LIST, HANDED_OUT, SHEET, "labels.txt", "cutouts.csv")
)
_COLUMNS: Final = ("sequence", "frame", "name", "exported_as", "split", "width", "height", "doubt", "kept", "why")
_IF_REVIEWED: Final = ("approved_by", "approved_at")
_LISTED: Final = 10
_PIXELS_OF_480P: Final = 854 * 480
_PIECE: Final = 1 << 20
"""Characters that are written at once."""


def check_called(name: str) -> None:
    """See that a sequence can be called so in an export: in some formats it is a folder beside the export's own files.

    Raises:
        InputError: one of these has the name.
    """
    if name.casefold() in _OWN_FILES:
        raise InputError(
            f"found a sequence called {name!r}, expected no name of a file that exports have; rename the sequence"
        )


def splits_of_export(folder: Path, spec: str) -> dict[tuple[str, str], str]:
    """Data set and sequence -> split in an export that lies there, if it was asked for in the same words; else none.

    Also of sequences that have been in it, and were left out since: what was trained on must not come back for tests.
    """
    try:
        said = read_json(folder / EXPORT_JSON)
        had = [*said["sequences"], *said.get("absent", [])]
        there = {(each["dataset"], each["sequence"]): each["split"] for each in had}
        return there if said["split"] == spec else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def format_of_export(folder: Path) -> str:
    """The format of an export that lies there; "" if none does."""
    try:
        return str(read_json(folder / EXPORT_JSON)["format"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@dataclass(frozen=True)
class Share:
    """A sequence's part, and what joining it needs."""

    part: Path
    split: str
    pictures: Path
    """The folder of the sequence's pictures."""
    said: Mapping[str, Any]
    """What export.json says of the sequence beyond what its part does."""
    source: Source | None = None
    """What its pictures are taken from instead, if the export has the source's size."""
    approved: Approvals = field(default_factory=dict)
    """Of its frames; known if no others are exported."""


@dataclass(frozen=True)
class Asked:
    """What an export is to say of itself."""

    terms: Terms
    said: Mapping[str, Any]
    """What export.json says beyond the rest: classes, what was asked for, what was left out."""
    notes: Sequence[str] = ()
    """What people should know of it, a line each."""


class Joined(NamedTuple):
    """What came of joining."""

    counts: Counts
    """Of all frames."""
    notes: Sequence[str]
    """What people should know besides what `Asked` knew, a line each."""


class _Part(NamedTuple):
    share: Share
    name: str
    size_wh: tuple[int, int]
    objects: Sequence[int]
    counts: Counts
    reader: PartReader


def check_room(
    target: Path, materials: Iterable[Material], to_encode: Iterable[Material], form: Format, terms: Terms
) -> None:
    """Refuse an export that the disk has no room for, before any of it is made.

    Args:
        target: the export's folder.
        materials: the sequences.
        to_encode: those of them whose parts are to be made, too.
        form: the format.
        terms: of the export.

    Raises:
        StageError: it has not.
    """
    copies = way_of(form, terms) in ("copy", "convert")
    needed = sum(_masks_mib(each, form, terms) for each in to_encode)
    for each in materials:
        needed += _masks_mib(each, form, terms)
        if copies and each.names:
            needed += (each.pictures / each.names[0]).stat().st_size * len(each.names) / 2**20
    if needed > (free := files.free_mib(target)):
        raise StageError(
            f"{target}: found room for {free:,.1f} MiB, expected about {needed:,.1f} MiB for this export; make room, "
            "or give another --outputs-root"
        )


def _masks_mib(material: Material, form: Format, terms: Terms) -> float:
    width, height = material.size_wh
    masks = len(material.names) * max(1, len(material.objects))
    return masks * form.mask_bytes(terms) * width * height / _PIXELS_OF_480P / 2**20


def join_parts(
    folder: Path, shares: Iterable[Share], form: Format, asked: Asked, progress: Progress = silent
) -> Joined:
    """Make an export of parts.

    Args:
        folder: exists, and is empty.
        shares: of the sequences, in any order.
        form: the format.
        asked: what was.
        progress: is told of every sequence.

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
    for part in progress(kept, len(kept)):
        split = part.share.split
        for path, content in part.reader.files():
            files.write(placing.make_room(path.replace(SPLIT, split)), content)
        _place_pictures(placing, part)
    by_split = {split: [part.reader for part in kept if part.share.split == split] for split in _splits(parts)}
    form.join(by_split, _Shared(placing), asked.terms)
    _write_text(folder / FRAMES_CSV, _table(parts, says_who=asked.terms.only_reviewed))
    measured = Measured()
    for part in parts:
        measured.join(part.reader.measured)
    joined = Joined(total, [*form.notes([*by_split]), *_cut(parts)])
    notes = [*asked.notes, *joined.notes]
    files.write_json(folder / EXPORT_JSON, {**_described(parts, form, asked, total, measured), "notes": notes})
    files.write(folder / README, _readme(form, total, measured, notes, has_links=_has_links(kept, placing.way)))
    return joined


def masks_of(shares: Iterable[Share]) -> Iterator[tuple[str, int, str]]:
    """Sequence, frame and digest of the masks that go out to be corrected."""
    for part in map(_read_part, shares):
        digests = ((each.frame, each.labels_sha256) for each in entries_of(part.reader))
        yield from ((part.name, frame, digest) for frame, digest in digests if digest)


def _place_pictures(placing: Placing, part: "_Part") -> None:
    kept = [entry for entry in entries_of(part.reader) if entry.exported_as]
    paths = [entry.exported_as.replace(SPLIT, part.share.split) for entry in kept]
    if (source := part.share.source) is not None and placing.way != "none":
        pictures = source_frames(source.path, [source.indices[entry.frame] for entry in kept])
        for picture, path in zip(pictures, paths, strict=True):
            placing.place_frame(picture, path)
        return
    for entry, path in zip(kept, paths, strict=True):
        placing.place(part.share.pictures / entry.name, path)


def _read_part(share: Share) -> _Part:
    said = read_json(share.part / SEQUENCE)
    width, height = said["size_wh"]
    return _Part(
        share, said["name"], (width, height), said["objects"], Counts(**said["counts"]), PartReader(share.part)
    )


def _splits(parts: Sequence[_Part]) -> list[str]:
    there = {part.share.split for part in parts}
    return [split for split in SPLITS if split in there]


def _table(parts: Sequence[_Part], *, says_who: bool) -> Iterator[str]:
    yield csv_line((*_COLUMNS, *_IF_REVIEWED) if says_who else _COLUMNS)
    for part in parts:
        split = part.share.split
        for entry in entries_of(part.reader):
            path = entry.exported_as.replace(SPLIT, split)
            row = (part.name, entry.frame, entry.name, path, split, *part.size_wh)
            _, *who = part.share.approved.get(entry.frame, ("", "", ""))
            yield csv_line((*row, entry.doubt, int(entry.kept), entry.why, *(who if says_who else ())))


def _described(
    parts: Sequence[_Part], form: Format, asked: Asked, total: Counts, measured: Measured
) -> Mapping[str, Any]:
    return {
        "schema": SCHEMA,
        "format": form.name,
        "format_version": form.version,
        "terms": _in_force(asked.terms, form),
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
        "counts": {**asdict(total), "objects": sum(len(part.objects) for part in parts)},
        "lost": asdict(form.loss),
        "measured": {"masks": measured.count, "mean_iou": _mean(measured), "worst_iou": round(measured.worst, 6)}
        if measured.count
        else "exact",
        **asked.said,
    }


def _in_force(terms: Terms, form: Format) -> Mapping[str, Any]:
    """The terms that the format heeds, also those that went without saying."""
    heeded = OF_EVERY_FORMAT | form.options
    said = {name: value for name, value in asdict(terms).items() if name in heeded}
    return {**said, "pictures": way_of(form, terms), "unknown": terms.unknown or form.unknown}


def _cut(parts: Sequence[_Part]) -> Sequence[str]:
    if not (cut := {part.name: part.counts.cut_px for part in parts if part.counts.cut_px}):
        return ()
    where = and_so_on([f"{name}: {count}" for name, count in cut.items()], _LISTED, "; ")
    px = sum(cut.values())
    return [f"cut: {px} pixel{'s' * (px != 1)} of objects on frames on which they cannot be, by objects.json ({where})"]


def _has_links(parts: Sequence[_Part], way: Pictures) -> bool:
    return way == "link" and any(part.share.source is None for part in parts)


def _readme(form: Format, total: Counts, measured: Measured, notes: Sequence[str], *, has_links: bool) -> str:
    lines = [f"Masks in the format {form.name}: {form.summary}.", ""]
    lines += [f"{total.kept} of {total.frames} frames; frames.csv lists every one, and why those left out are."]
    if measured.count:
        lines.append(f"Masks come back with a mean IoU of {_mean(measured):.4f}, at worst {measured.worst:.4f}.")
    else:
        lines.append("Masks come back exactly.")
    lines += ["", "What this format keeps:"]
    lines += [f"  {name.replace('_', ' ')}: {value}" for name, value in asdict(form.loss).items()]
    lines += ["", "What to know:", *(f"  {note}" for note in notes)] if notes else []
    if has_links:
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
