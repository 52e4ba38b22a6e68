"""What SAM 2 is told of an object: points along strokes, and a box where one was drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.core.strokes import Clicks, FrameScribbles, Line, clicks

Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


@dataclass(frozen=True)
class Prompt:
    """What is said of one object."""

    points: Clicks
    box_xyxy: Box | None
    """Pixels."""


def prompt_of(
    scribbles: FrameScribbles, object_id: int, size_wh: tuple[int, int], spacing_px: float, most: int
) -> Prompt:
    """An object's own strokes are points on it, all others points off it, but for those that are the sides of its box.

    Args:
        scribbles: the lines on a frame.
        object_id: an object that has some.
        size_wh: width and height of the frame in pixels.
        spacing_px: distance of points along a stroke.
        most: so many points on the object, and off it; where there are more, they are thinned out evenly.
    """
    sides = _sides(scribbles, object_id)
    is_boxed = any(sides[:2]) and any(sides[2:])
    others = tuple(line for line in scribbles.lines if not is_boxed or line not in sides)
    found = clicks(FrameScribbles(others), object_id, size_wh, spacing_px)
    points = Clicks(_thinned(found.positive_yx, most), _thinned(found.negative_yx, most))
    return Prompt(points, _box_of(sides, size_wh) if is_boxed else None)


def _sides(scribbles: FrameScribbles, object_id: int) -> list[Line | None]:
    """Left, right, top and bottom of the box around an object's strokes; LIS draws a box as lines of background.

    Sides that would lie outside of the frame are not drawn.
    """
    own = np.array([point for line in scribbles.lines if line.object_id == object_id for point in line.path])
    straight = [line for line in scribbles.lines if line.object_id == 0 and len(line.path) == 2]
    return [_nearest(straight, own, axis, sign) for axis in (0, 1) for sign in (1, -1)]


def _nearest(lines: Iterable[Line], points: NDArray[np.float64], axis: int, sign: int) -> Line | None:
    """Of lines at one place on an axis, before (1) or behind (-1) all points and beside their middle, the nearest."""
    middle = (points.min(axis=0) + points.max(axis=0))[1 - axis] / 2
    first = (sign * points[:, axis]).min()
    beside = []
    for line in lines:
        one, other = line.path
        is_before = one[axis] == other[axis] and sign * one[axis] < first
        if is_before and min(one[1 - axis], other[1 - axis]) <= middle <= max(one[1 - axis], other[1 - axis]):
            beside.append(line)
    return max(beside, key=lambda line: sign * line.path[0][axis], default=None)


def _box_of(sides: Sequence[Line | None], size_wh: tuple[int, int]) -> Box:
    """Where there is no side, the frame ends."""
    ends = zip(sides, (0, 0, 1, 1), (0.0, 1.0, 0.0, 1.0), strict=True)
    left, right, top, bottom = (end if side is None else side.path[0][axis] for side, axis, end in ends)
    width, height = size_wh
    return left * width, top * height, right * width, bottom * height


def _thinned(points: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    if len(points) <= most:
        return points
    return points[np.linspace(0, len(points) - 1, most).round().astype(int)]
