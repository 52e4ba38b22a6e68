"""Strokes as points and as pixels: what a person's lines are, where clicks lie along them, how they are drawn."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.core.palette import davis_palette
from stages.core.types import Frame

NO_STROKE: Final = -1
BACKGROUND_RGB: Final = (255, 255, 255)
"""White is no palette colour."""
StrokeLabels = NDArray[np.int16]
"""(H, W) int16: the object id of each stroke pixel, 0 is background, -1 is no stroke."""
Point = tuple[float, float]
"""(x, y) as fractions of width and height, in [0, 1]."""


@dataclass(frozen=True)
class Line:
    """One stroke."""

    object_id: int
    """0 is background, objects count from 1."""
    path: tuple[Point, ...]
    """(x, y) as fractions of width and height, in drawing order."""


@dataclass(frozen=True)
class FrameScribbles:
    """All lines on one annotated frame."""

    lines: tuple[Line, ...]

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects that have a line here, ascending, without the background."""
        return tuple(sorted({line.object_id for line in self.lines} - {0}))


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


def rasterise(scribbles: FrameScribbles, size_wh: tuple[int, int], thickness_px: int = 1) -> StrokeLabels:
    """Draw all lines into a label map; later lines cover earlier ones.

    Returns:
        (H, W) int16: object ids, 0 where a background stroke is, -1 where there is no stroke.
    """
    labels = np.full(size_wh[::-1], NO_STROKE, np.int16)
    for line in scribbles.lines:
        stroke = np.zeros(labels.shape, np.uint8)
        _draw(stroke, line, (1, 1, 1), thickness_px)
        labels[stroke > 0] = line.object_id
    return labels


def draw_strokes(frame: Frame, scribbles: FrameScribbles, thickness_px: int = 3) -> Frame:
    """A copy of the frame (H, W, 3) uint8 RGB with all lines painted in their pure colours, without anti-aliasing."""
    painted = np.array(frame)
    for line in scribbles.lines:
        _draw(painted, line, stroke_rgb(line.object_id), thickness_px)
    return painted


def stroke_rgb(object_id: int) -> tuple[int, int, int]:
    """The colour that stands for an object's strokes: its palette colour, white for background."""
    if object_id == 0:
        return BACKGROUND_RGB
    red, green, blue = davis_palette()[object_id].tolist()
    return red, green, blue


def _draw(canvas: NDArray[np.uint8], line: Line, colour: tuple[int, int, int], thickness_px: int) -> None:
    height, width = canvas.shape[:2]
    points = np.rint(path_pixels(line, (width, height))).astype(np.int32)
    points = np.concatenate([points, points[-1:]])  # a single point is drawn, too
    cv2.polylines(canvas, [points], isClosed=False, color=colour, thickness=thickness_px, lineType=cv2.LINE_8)
