"""Indexed PNG, as the result itself: the value of a pixel is the object's id, 0 is background, 255 is unknown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from stages.exchange.outgoing.format import (
    ExportedFrame,
    ExportedSequence,
    Format,
    Loss,
    SharedFiles,
    picture_name,
)
from stages.exchange.outgoing.part import SPLIT, PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from stages.formats.masks import indexed_png


class Png(Format):
    """`masks/<seq>/<stem>.png` beside `images/<seq>/<name>`; with splits, each in a folder of its own."""

    name = "png"
    summary = "indexed PNG, one a frame: the ids as they are"
    loss = Loss(exact="yes", objects_apart="yes", identity="yes", holes="yes", unknown="255", scores="no")
    unknown = "255"
    options = frozenset({"unknown"})

    def mask_bytes(self, terms: Terms) -> int:
        """Small."""
        return 3_300

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """Under the source's name."""
        return f"{SPLIT}/images/{sequence.name}/{picture_name(frame, terms)}"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """One PNG a frame."""
        for frame in frames:
            if frame.labels is not None:
                stem = PurePosixPath(frame.name).stem
                part.add(f"{SPLIT}/masks/{sequence.name}/{stem}.png", indexed_png(frame.labels))

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """Nothing is shared."""
