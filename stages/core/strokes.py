"""Strokes as points: what a person's lines are, and where clicks lie along them."""

import math
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError

Point = tuple[float, float]
"""(x, y) as fractions of width and height, in [0, 1]."""
LONGEST_LINE_MS: Final = 600_000
"""Nobody draws one line for longer; a time beyond it tells of something else."""


@dataclass(frozen=True)
class Line:
    """One stroke. Two are equal if the same is drawn, whenever that was."""

    object_id: int
    """0 is background, objects count from 1."""
    path: tuple[Point, ...]
    """(x, y) as fractions of width and height, in drawing order."""
    start_ms: float = field(default=0, compare=False)
    """When its drawing began and ended, in milliseconds from any moment that is the same for all lines of a frame."""
    end_ms: float = field(default=0, compare=False)


@dataclass(frozen=True)
class FrameScribbles:
    """All lines on one annotated frame."""

    lines: tuple[Line, ...]

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that have a line here, ascending, without the background."""
        return tuple(sorted({line.object_id for line in self.lines} - {0}))

    def as_of(self, object_id: int) -> "FrameScribbles":
        """The lines as one object has them: those of all others are background to it."""
        lines = (line if line.object_id == object_id else replace(line, object_id=0) for line in self.lines)
        return FrameScribbles(tuple(lines))

    @property
    def drawn_s(self) -> float:
        """How long a person drew, in seconds, as far as the lines say when that was: 0 if none of them does.

        Moments at which two lines were drawn count once; a line that ends before it begins, or took longer than
        anybody draws, says nothing.
        """
        spans = sorted((line.start_ms, line.end_ms) for line in self.lines)
        drawn_ms, until = 0.0, -math.inf
        for start, end in spans:
            if not 0 < end - start <= LONGEST_LINE_MS:
                continue
            drawn_ms += max(0.0, end - max(start, until))
            until = max(until, end)
        return drawn_ms / 1000


@dataclass(frozen=True)
class Clicks:
    """Control points of one object: its own strokes are positive, every other object's and background negative."""

    positive_yx: NDArray[np.float32]
    """(N, 2) pixels: row, column."""
    negative_yx: NDArray[np.float32]
    """(M, 2) pixels: row, column."""


def clicks(scribbles: FrameScribbles, object_id: int, size_wh: tuple[int, int], spacing_px: float = 30.0) -> Clicks:
    """Quantise strokes into control points.

    A stroke of length L becomes max(1, round(L / spacing_px)) points in the middle of as many equal parts. They depend
    on the stroke alone: not on other strokes, on how densely it was sampled, or on the direction it was drawn in.

    Args:
        scribbles: the lines on a frame.
        object_id: whose clicks; its own strokes are positive, those of other objects and of background negative.
        size_wh: width and height of the frame in pixels.
        spacing_px: distance of neighbouring points along a stroke, in pixels.

    Returns:
        Points inside the frame, in the order of the strokes.

    Raises:
        InputError: the spacing is not positive.
    """
    if not spacing_px > 0:
        raise InputError(f"found a click spacing of {spacing_px} pixels, expected a positive number")
    positive = [_points_along(line, size_wh, spacing_px) for line in scribbles.lines if line.object_id == object_id]
    negative = [_points_along(line, size_wh, spacing_px) for line in scribbles.lines if line.object_id != object_id]
    none = np.zeros((0, 2), np.float32)
    return Clicks(np.concatenate([none, *positive]), np.concatenate([none, *negative]))


def path_pixels(line: Line, size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """A stroke's points in pixels, inside the frame: (N, 2) x, y. Pixel (x, y) has the fractions x/width, y/height."""
    return np.clip(np.array(line.path) * size_wh, 0, np.array(size_wh) - 1)


def _points_along(line: Line, size_wh: tuple[int, int], spacing_px: float) -> NDArray[np.float32]:
    forward = min(line.path, line.path[::-1])  # one of the two directions, whichever it was drawn in
    xy = path_pixels(Line(line.object_id, forward), size_wh)
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    count = max(1, round(travelled[-1] / spacing_px))
    at = (np.arange(count) + 0.5) * travelled[-1] / count
    return np.stack([np.interp(at, travelled, xy[:, 1]), np.interp(at, travelled, xy[:, 0])], axis=1).astype(np.float32)
