"""Objects cut out: a PNG with transparency an object and frame, as layers for drawing and composing.

Each is as large as the object's box: a whole frame of nothing around a small object serves nobody. `cutouts.csv` says
where its upper left corner lies, so that it can be put back. Colours outside the mask are black: nothing of the picture
stays in what is transparent.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from PIL import Image

from stages.exchange.encodings.documents import csv_line
from stages.exchange.encodings.run_lengths import run_lengths
from stages.exchange.outgoing.format import ExportedFrame, ExportedSequence, Format, Loss, SharedFiles
from stages.exchange.outgoing.part import PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from stages.formats.pictures import encoded

_PLACES: Final = "places"
_COLUMNS: Final = ("file", "sequence", "split", "frame", "object", "object_name", "class", "x", "y", "width", "height")


class Cutouts(Format):
    """`<seq>/<id>/<stem>.png`, RGBA, cropped to the object; and `cutouts.csv`, where each lies in its frame."""

    name = "cutouts"
    summary = "cut-outs: a PNG with transparency an object and frame, cropped to it"
    loss = Loss(exact="yes", objects_apart="yes", identity="yes", holes="yes", unknown="no", scores="no")
    unknown = ""
    has_pictures = False  # their colours are in the files

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """A PNG for each object that is seen on a kept frame."""
        for frame in frames:
            if frame.labels is None or frame.picture is None:
                continue
            picture = frame.picture()
            stem = PurePosixPath(frame.name).stem
            for object_id, runs in run_lengths(frame.labels).items():
                x, y, width, height = runs.box
                within = np.s_[y : y + height, x : x + width]
                mask = (frame.labels[within] == object_id)[..., None]
                rgba = np.concatenate([picture[within] * mask, np.where(mask, np.uint8(255), np.uint8(0))], axis=2)
                path = f"{sequence.name}/{object_id}/{stem}.png"
                part.add(path, encoded(Image.fromarray(rgba), "PNG"))
                named = sequence.object(object_id)
                what = (frame.index, object_id, named.name, named.category.name)
                part.record(_PLACES, [path, *what, *runs.box])
        part.head({"name": sequence.name})

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """The table of places."""
        shared.write("cutouts.csv", _table(parts))


def _table(parts: Mapping[str, Sequence[PartReader]]) -> Iterator[str]:
    yield csv_line(_COLUMNS)
    for split, those in parts.items():
        for part in those:
            name = part.head["name"]
            yield from (csv_line((path, name, split, *row)) for path, *row in part.records(_PLACES))
