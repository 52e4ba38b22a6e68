"""A PNG an object and frame, black and white: what every program can read, and `lis import-masks --format binary`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from stages.exchange.outgoing.format import ExportedFrame, ExportedSequence, Format, Loss, SharedFiles
from stages.exchange.outgoing.part import PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from stages.formats.pictures import encoded


class Binary(Format):
    """`<seq>/<id>/<stem>.png`, 0 and 255; black where the object is absent: a missing file would say nothing."""

    name = "binary"
    summary = "a PNG an object and frame, 0 and 255"
    loss = Loss(exact="yes", objects_apart="yes", identity="yes", holes="yes", unknown="no", scores="no")
    unknown = ""
    has_pictures = False  # a folder of them among the objects' would be taken for one

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """A PNG for each object on each kept frame."""
        for frame in frames:
            if frame.labels is None:
                continue
            stem = PurePosixPath(frame.name).stem
            for each in sequence.objects:
                mask = np.where(frame.labels == each.id, np.uint8(255), np.uint8(0))
                part.add(
                    f"{sequence.name}/{each.id}/{stem}.png", encoded(Image.fromarray(mask), "PNG", compress_level=1)
                )

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """Nothing is shared."""
