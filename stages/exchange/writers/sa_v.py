"""SA-V, which SAM 2 is trained from: a JSON a sequence, with a list over all frames of its video.

In it null means that nobody annotated the object there, and its loader leaves such frames out: so frames that are
dropped are rows of nulls. An object that is absent has an empty mask.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from stages.exchange.encodings.documents import listed, opened
from stages.exchange.encodings.run_lengths import compress, run_lengths
from stages.exchange.outgoing.format import WHOLE_FRAME, ExportedFrame, ExportedSequence, Format, Loss, SharedFiles
from stages.exchange.outgoing.part import SPLIT, PartReader, PartWriter, as_json
from stages.exchange.outgoing.terms import Terms

_ROWS: Final = "rows"


class SaV(Format):
    """`<split>/gt/<seq>_manual.json` and `<split>/img/<seq>/00000.jpg`, numbered as in the video."""

    name = "sa-v"
    summary = "SA-V, one JSON a sequence: for training SAM 2"
    loss = Loss(exact="yes", objects_apart="yes", identity="yes", holes="yes", unknown=WHOLE_FRAME, scores="no")
    unknown = WHOLE_FRAME
    wants_jpg = True

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """By its place in the video, which is its place in the list: dropped frames have no picture."""
        return f"{SPLIT}/img/{sequence.name}/{frame.index:05d}.jpg"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """A row a frame of the video: null, or the masks of all objects."""
        width, height = sequence.size_wh
        size = [height, width]
        nothing = {"size": size, "counts": compress((height, width), np.array([height * width]))}
        for frame in frames:
            if frame.labels is None:
                part.record(_ROWS, [None] * len(sequence.objects))
                continue
            seen = run_lengths(frame.labels)
            part.record(_ROWS, [seen[each.id].compressed if each.id in seen else nothing for each in sequence.objects])
        part.head(
            {
                "video_id": sequence.name,
                "video_frame_count": sequence.frame_count,
                "video_height": height,
                "video_width": width,
                "masklet_id": list(range(len(sequence.objects))),
                "masklet_num": len(sequence.objects),
            }
        )

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """A file a sequence."""
        for split, those in parts.items():
            for part in those:
                head = part.head
                shared.write(f"{split}/gt/{head['video_id']}_manual.json", _video(head, part.records(_ROWS)))


def _video(head: Mapping[str, Any], rows: Iterator[Any]) -> Iterator[str]:
    """Without `fps`, by which the loader would take only some of the frames for annotated."""
    yield opened(head) + ',"masklet":'
    yield from listed([as_json(row)] for row in rows)
    yield "}\n"
