"""Strokes as pixels: how lines are drawn into pictures, and in which colours."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.palette import davis_palette
from stages.core.strokes import FrameScribbles, Line, path_pixels
from stages.core.types import Frame, LabelMap

NO_STROKE: Final = -1
BACKGROUND_RGB: Final = (255, 255, 255)
"""White is no palette colour."""
StrokeLabels = NDArray[np.int16]
"""(H, W) int16: the object id of each stroke pixel, 0 is background, -1 is no stroke."""


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


def held(labels: LabelMap, scribbles: FrameScribbles) -> LabelMap:
    """A label map (H, W) in which what strokes said holds: the pixels of each line, one pixel wide, have its id."""
    drawn = rasterise(scribbles, (labels.shape[1], labels.shape[0]))
    return np.where(drawn == NO_STROKE, labels, drawn).astype(np.uint8)


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
