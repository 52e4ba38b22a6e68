"""In which order the frames of a stretch are decided, and how they wait for their turn to be told."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from stages.core.soft import from_uint8, to_uint8
from stages.core.types import Probability, SegmentFrame

_NOTHING = np.zeros((0, 0, 0), np.float32)


def inwards(stretch: range, before: Sequence[float], after: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Every frame of a stretch once, with that neighbour of it which is decided before, or is an anchor.

    From both anchors inwards by turns, since what lies near an anchor is easiest. If only one of them has objects that
    the other lacks, from that one to the other: all the way those come, or go.

    Args:
        stretch: the frames.
        before: (objects,) their areas on the anchor before, 0 where they are absent; all 0 without an anchor.
        after: the same of the one after.
    """
    leave, enter = (
        any(here and not there for here, there in zip(*pair, strict=True))
        for pair in ((before, after), (after, before))
    )
    first, last = stretch.start, stretch.stop - 1
    for number in range(len(stretch)):
        from_before = leave if leave != enter else number % 2 == 0
        if from_before:
            yield first, first - 1
            first += 1
        else:
            yield last, last + 1
            last -= 1


class Waiting:
    """A result while it waits: its masks in 8 bits, compressed, its disagreement in one."""

    def __init__(self, result: SegmentFrame) -> None:
        self._shape = result.probability.shape
        rows = to_uint8(result.probability).reshape(-1, self._shape[-1])
        self._png = cv2.imencode(".png", rows, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1] if rows.size else None
        self._bits = None if result.disagreement is None else np.packbits(result.disagreement)
        self._rest = replace(result, probability=_NOTHING, disagreement=None)

    def told(self) -> SegmentFrame:
        """The result, its masks rounded to 1/255."""
        masks: Probability = np.zeros(self._shape, np.float32)
        if self._png is not None:
            masks = from_uint8(np.asarray(cv2.imdecode(self._png, cv2.IMREAD_UNCHANGED))).reshape(self._shape)
        bits = self._bits
        differing = None
        if bits is not None:
            differing = np.unpackbits(bits, count=int(np.prod(self._shape))).reshape(self._shape).astype(np.bool_)
        return replace(self._rest, probability=masks, disagreement=differing)
