"""Which object hides another: the one that lies where that would be, between where it was and where it comes out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stages.core.boxes import Box
from stages.core.states import Gone, Source
from stages.core.types import SegmentFrame
from stages.engines.propagators.match.patch import Patch


class Whereabouts:
    """Where every object is seen at which time."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._boxes: defaultdict[int, dict[int, Box]] = defaultdict(dict)

    def note(self, index: int, masks: Sequence[Patch]) -> None:
        """Take the masks of a frame."""
        for number, mask in enumerate(masks):
            if not (box := mask.mask_box).is_empty:
                self._boxes[number][index] = box

    def with_covers(self, result: SegmentFrame) -> SegmentFrame:
        """The result, with who is where an absent object would be that is seen both before and after."""
        gone = (self._covered(each, number, result) for number, each in enumerate(result.gone))
        return replace(result, gone=tuple(gone))

    def _covered(self, gone: Gone | None, number: int, result: SegmentFrame) -> Gone | None:
        if gone is None or gone.source != Source.ABSENT or (box := self._between(number, result.index)) is None:
            return gone
        others = [np.count_nonzero(mask[box.slices] > 0.5) for mask in result.probability]
        front = int(np.argmax(others))
        across, down = box.size_wh
        return gone._replace(covered_by=front) if others[front] > across * down / 2 else gone

    def _between(self, number: int, index: int) -> Box | None:
        """The box between that seen last and that seen next; None if there are not both."""
        boxes = self._boxes[number]
        before = max((time for time in boxes if time < index), default=None)
        after = min((time for time in boxes if time > index), default=None)
        if before is None or after is None:
            return None
        share = (index - before) / (after - before)
        sides = zip(boxes[before], boxes[after], strict=True)
        return Box(*(round((1 - share) * one + share * other) for one, other in sides))
