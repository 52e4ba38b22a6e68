"""Pictures for people: masks and strokes drawn over frames, and contact sheets."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stages.core.drawing import draw_strokes
from stages.core.errors import StageError
from stages.core.palette import davis_palette
from stages.core.strokes import FrameScribbles
from stages.core.types import Frame, LabelMap
from stages.formats.pictures import write_picture
from stages.steps.fonts import font

_FILL_OPACITY: Final = 0.45
_CONTOUR_OPACITY: Final = 0.95
_SHEET_RGB: Final = (255, 255, 255)
_LABEL_RGB: Final = (70, 70, 70)
_GAP_PX: Final = 10
_LEAST_SHARE: Final = 0.3
"""Of a frame's height and width, how much is kept at least where a window of it is shown."""


def overlay(frame: Frame, labels: LabelMap) -> Frame:
    """Lay masks over a frame: a translucent fill and a firm contour inside each object, in its palette colour.

    Args:
        frame: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 object ids; 0 is left as it is.

    Returns:
        (H, W, 3) uint8 RGB, a new picture.
    """
    width_px = max(1, round(min(labels.shape) / 240))
    kernel = np.ones((2 * width_px + 1, 2 * width_px + 1), np.uint8)
    on_edge = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, kernel)[labels > 0] > 0
    ids = labels[labels > 0]
    # Palette colours are dark; a contour of twice the brightness stands out from the fill and keeps the hue.
    colour = davis_palette()[ids] * np.where(on_edge, 2.0, 1.0)[:, None]
    opacity = np.where(on_edge, _CONTOUR_OPACITY, _FILL_OPACITY)[:, None]
    painted = frame.copy()
    painted[labels > 0] = np.rint((1 - opacity) * frame[labels > 0] + opacity * np.minimum(colour, 255))
    return painted


def overlay_strokes(frame: Frame, scribbles: FrameScribbles, thickness_px: int = 3) -> Frame:
    """Draw strokes with a white rim, so that they show on masks of their own colour.

    Args:
        frame: (H, W, 3) uint8 RGB.
        scribbles: the lines; object 0 is background, which is white already.
        thickness_px: of the coloured core.

    Returns:
        (H, W, 3) uint8 RGB, a new picture.
    """
    rim = FrameScribbles(tuple(replace(line, object_id=0) for line in scribbles.lines))
    return draw_strokes(draw_strokes(frame, rim, thickness_px + 2), scribbles, thickness_px)


def shrink(picture: NDArray[np.uint8], long_side_px: int) -> NDArray[np.uint8]:
    """Make a picture smaller so that its longer side has at most so many pixels; never larger.

    Args:
        picture: (H, W, 3) uint8 RGB is averaged; (H, W) uint8 ids are picked, so that no new id appears.
        long_side_px: the limit.
    """
    height, width = picture.shape[:2]
    scale = long_side_px / max(height, width)
    if scale >= 1:
        return picture
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_NEAREST if picture.ndim == 2 else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, size_wh, interpolation=interpolation), np.uint8)


def window_around(labels: LabelMap) -> tuple[slice, slice]:
    """Rows and columns to look at, so that small objects are seen: around all objects, of the frame's proportions.

    Args:
        labels: (H, W) uint8 object ids.

    Returns:
        The whole frame if there is no object on it.
    """
    height, width = labels.shape
    left, top, box_width, box_height = cv2.boundingRect(labels)
    if box_width == 0:
        return slice(0, height), slice(0, width)
    share = min(1.0, max(_LEAST_SHARE, 1.5 * box_width / width, 1.5 * box_height / height))
    rows, columns = round(share * height), round(share * width)
    first_row = min(max(0, top + box_height // 2 - rows // 2), height - rows)
    first_column = min(max(0, left + box_width // 2 - columns // 2), width - columns)
    return slice(first_row, first_row + rows), slice(first_column, first_column + columns)


class Tile(NamedTuple):
    """One picture of a contact sheet."""

    picture: Frame
    """(H, W, 3) uint8 RGB."""
    label: str
    """Written below it."""


def contact_sheet(rows: Sequence[Sequence[Tile]]) -> Frame:
    """Lay labelled pictures out as a grid.

    Args:
        rows: the tiles from top to bottom and left to right. All pictures have one size; rows may differ in length.

    Returns:
        (H, W, 3) uint8 RGB on white.

    Raises:
        StageError: there is no tile, or the pictures differ in size.
    """
    sizes = {tile.picture.shape for row in rows for tile in row}
    if len(sizes) != 1:
        raise StageError(f"found pictures of {len(sizes)} sizes for a contact sheet, expected one; scale them first")
    height, width, _ = sizes.pop()
    font_px = max(10, width // 15)
    cell_wh = (width + _GAP_PX, height + _GAP_PX + 2 * font_px)
    columns = max(len(row) for row in rows)
    sheet = Image.new("RGB", (columns * cell_wh[0] + _GAP_PX, len(rows) * cell_wh[1] + _GAP_PX), _SHEET_RGB)
    pen = ImageDraw.Draw(sheet)
    for row_number, row in enumerate(rows):
        for column, tile in enumerate(row):
            left, top = _GAP_PX + column * cell_wh[0], _GAP_PX + row_number * cell_wh[1]
            sheet.paste(Image.fromarray(tile.picture), (left, top))
            pen.text((left, top + height + font_px // 3), tile.label, fill=_LABEL_RGB, font=font(font_px))
    return np.array(sheet)


def write_jpeg(path: Path, picture: Frame) -> None:
    """Write a picture (H, W, 3) uint8 RGB as a JPEG of good quality."""
    write_picture(path, Image.fromarray(picture), "JPEG", quality=88, optimize=True)
