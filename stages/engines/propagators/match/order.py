"""In which order the frames of a stretch are decided."""

from collections.abc import Iterator, Sequence


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
