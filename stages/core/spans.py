"""Frames as spans: runs of neighbours, first and last, both included."""

from collections.abc import Iterable, Iterator

Span = tuple[int, int]


def spans_of(frames: Iterable[int]) -> list[Span]:
    """Ascending frame indices, each once, as spans: 1, 2, 3, 7 are (1, 3) and (7, 7)."""
    found: list[Span] = []
    for index in frames:
        if found and found[-1][1] == index - 1:
            found[-1] = found[-1][0], index
        else:
            found.append((index, index))
    return found


def in_short(spans: Iterable[Span]) -> list[str]:
    """Each as people write it: `1-3`, `7`."""
    return [str(first) if first == last else f"{first}-{last}" for first, last in spans]


def frames_in(spans: Iterable[Span]) -> Iterator[int]:
    """Every frame of some spans, in their order."""
    for first, last in spans:
        yield from range(first, last + 1)
