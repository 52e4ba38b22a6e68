"""What DAVIS and YouTube-VOS have in common: indexed PNG whose names are numbers, and when each object is seen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from stages.core.errors import InputError
from stages.core.types import LabelMap
from stages.exchange.encodings.documents import csv_line
from stages.exchange.outgoing.format import UNKNOWN, ExportedFrame, ExportedSequence, SharedFiles
from stages.exchange.outgoing.part import PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from stages.formats.masks import indexed_png

OBJECTS_CSV: Final = "objects.csv"
_COLUMNS: Final = ("sequence", "split", "object", "exported_as", "name", "class", "first_frame")


def check_unknown(terms: Terms, name: str) -> None:
    """Refuse what is COCO's.

    Raises:
        InputError: crowds are asked for.
    """
    if terms.unknown == "crowd":
        raise InputError(
            f"found --unknown crowd with the format {name}, which has no crowds; leave it out for pixels of "
            f"{UNKNOWN}, or give --unknown none to leave out frames that have some"
        )


def stem_of(number: int) -> str:
    """A number from 0, since the loaders of such sets call `int`."""
    return f"{number:05d}"


def encode_indexed(
    sequence: ExportedSequence, frames: Iterable[ExportedFrame], part: PartWriter, terms: Terms, folder: str
) -> None:
    """Add a PNG for each kept frame, and write down of each object where it is seen.

    Args:
        sequence: it.
        frames: its frames.
        part: takes them.
        terms: `renumber` gives ids in order of first appearance.
        folder: of the PNG, in the export.
    """
    ids = _Ids(terms.renumber)
    for frame in frames:
        if frame.labels is not None:
            labels = ids.exported(frame.labels, frame.number)
            part.add(f"{folder}/{stem_of(frame.number)}.png", indexed_png(labels))
    part.head(
        {
            "name": sequence.name,
            "objects": [
                {
                    "id": each.id,
                    "exported_as": ids.of.get(each.id),
                    "name": each.name,
                    "class": each.category.name,
                    "runs": ids.runs.get(each.id, []),
                }
                for each in sequence.objects
            ],
        }
    )


def frames_of(runs: Sequence[Sequence[int]]) -> Iterator[str]:
    """The stems of the frames on which an object is seen, by the runs that its part has."""
    return (stem_of(number) for first, last in runs for number in range(first, last + 1))


def write_objects(parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles) -> None:
    """Write which object has which id, and on which of the exported frames it is seen first.

    Whoever counts objects on the first frame, as the DAVIS evaluation does, overlooks those that come later.
    """
    shared.write(OBJECTS_CSV, _object_lines(parts))


def _object_lines(parts: Mapping[str, Sequence[PartReader]]) -> Iterator[str]:
    yield csv_line(_COLUMNS)
    for split, those in parts.items():
        for head in (part.head for part in those):
            for each in head["objects"]:
                first = each["runs"][0][0] if each["runs"] else None
                yield csv_line(
                    (head["name"], split, each["id"], each["exported_as"], each["name"], each["class"], first)
                )


class _Ids:
    """The ids under which objects are exported, and the frames on which they are seen."""

    def __init__(self, renumber: bool) -> None:
        self._renumber = renumber
        self._table = np.arange(256, dtype=np.uint8)
        self.of: dict[int, int] = {}
        """Object -> its id in the export; those that were seen."""
        self.runs: dict[int, list[list[int]]] = {}
        """Object -> the first and the last number of each run of frames on which it is seen: few for many frames."""

    def exported(self, labels: LabelMap, number: int) -> LabelMap:
        """A frame's label map, with exported ids."""
        for object_id in np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[1:UNKNOWN]) + 1:
            self._see(int(object_id), number)
        return self._table[labels]

    def _see(self, object_id: int, number: int) -> None:
        if object_id not in self.of:
            self.of[object_id] = len(self.of) + 1 if self._renumber else object_id
            self._table[object_id] = self.of[object_id]
        runs = self.runs.setdefault(object_id, [])
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
