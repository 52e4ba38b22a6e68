"""DAVIS: pictures, indexed PNG, and a list of sequences a split.

Its evaluation takes what nobody knows for background, and judges as many objects as the greatest id on the first frame
says; `objects.csv` tells which come later.
"""

from collections.abc import Iterator, Mapping, Sequence

from stages.exchange.outgoing.format import ExportedFrame, ExportedSequence, Format, Loss, SharedFiles
from stages.exchange.outgoing.indexed_frames import check_unknown, encode_indexed, stem_of, write_objects
from stages.exchange.outgoing.part import PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from stages.formats.names import check_name


class Davis(Format):
    """`JPEGImages/480p/<seq>/00000.jpg`, `Annotations/480p/<seq>/00000.png`, `ImageSets/2017/<split>.txt`."""

    name = "davis"
    summary = "DAVIS 2017: indexed PNG, lists of sequences; for evaluations and loaders of that set"
    loss = Loss(exact="yes", objects_apart="yes", identity="yes", holes="yes", unknown="255, with limits", scores="no")
    unknown = "255"
    options = frozenset({"renumber", "resolution_name", "unknown"})
    wants_jpg = True

    def check(self, terms: Terms) -> None:
        """Crowds are COCO's; the resolution's name is a folder's."""
        check_unknown(terms, self.name)
        check_name(terms.resolution_name, "resolution")

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """By its number among those that are kept: loaders pair pictures and masks by their places."""
        return f"JPEGImages/{terms.resolution_name}/{sequence.name}/{stem_of(frame.number)}.jpg"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """A PNG a frame."""
        encode_indexed(sequence, frames, part, terms, f"Annotations/{terms.resolution_name}/{sequence.name}")

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """Lists of sequences, and of objects."""
        for split, those in parts.items():
            shared.write(f"ImageSets/2017/{split}.txt", (f"{part.head['name']}\n" for part in those))
        write_objects(parts, shared)
