"""`requests/<frame>.strokes.png`: strokes read back from pictures that people painted over.

The pure palette colours mean the objects, (128, 0, 0) the first, (0, 128, 0) the second, (128, 128, 0) the third; white
means background. Black, the palette's own background colour, means nothing: too many pictures contain it.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.centre_lines import centre_lines
from stages.core.drawing import BACKGROUND_RGB, NO_STROKE, StrokeLabels, stroke_rgb
from stages.core.errors import InputError
from stages.core.palette import MAX_OBJECT_ID, davis_palette
from stages.core.strokes import Line
from stages.core.types import Frame
from stages.formats.frames import load_picture, read_frame


def strokes_from_png(painted: Path, clean: Path) -> tuple[Line, ...]:
    """Read the strokes that a person painted over a frame.

    Only pixels of exactly a stroke colour count, so that the soft edge of a brush does no harm; nor do places where
    the clean frame has that colour itself. Strokes are thinned to their centre lines; of a branching stroke the longest
    path becomes one line and each branch another; a dot becomes a line one pixel long.

    Args:
        painted: strokes on the frame, or on a transparent layer of its size.
        clean: the frame without strokes.

    Returns:
        Lines in fractions of the frame, ordered by object id, then from top to bottom.

    Raises:
        InputError: a picture is unreadable, the sizes differ, or no stroke is found (or next to nothing else).
    """
    frame = read_frame(clean)
    rgba = np.array(load_picture(painted).convert("RGBA"))
    height, width = frame.shape[:2]
    if rgba.shape[:2] != frame.shape[:2]:
        raise InputError(
            f"{painted}: found {rgba.shape[1]}x{rgba.shape[0]} pixels, expected {width}x{height} as in {clean.name}; "
            f"paint on the picture without scaling or cropping it, or, if nothing is there, {_say_empty(painted)}"
        )
    labels = _stroke_labels(rgba, frame)
    _check_amount(painted, labels, rgba, frame)
    return tuple(
        Line(object_id, tuple((column / width, row / height) for column, row in path))
        for object_id in np.unique(labels[labels != NO_STROKE]).tolist()
        for path in sorted(centre_lines(labels == object_id), key=lambda path: path[0][::-1])
    )


def _stroke_labels(rgba: NDArray[np.uint8], frame: Frame) -> StrokeLabels:
    colours = davis_palette()[: MAX_OBJECT_ID + 1]
    colours[0] = BACKGROUND_RGB
    id_of_colour = np.full(2**24, NO_STROKE, np.int16)
    id_of_colour[_colour_code(colours)] = np.arange(len(colours))
    labels = id_of_colour[_colour_code(rgba[..., :3])]
    alpha = rgba[..., 3]
    labels[alpha < 255] = NO_STROKE
    on_a_layer = np.count_nonzero(alpha == 0) > alpha.size / 2
    if not on_a_layer:
        labels[(rgba[..., :3] == frame).all(axis=2)] = NO_STROKE
    return _without_fringes(labels)


def _colour_code(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    wide = rgb.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _without_fringes(labels: StrokeLabels) -> StrokeLabels:
    """Drop thin seams along larger strokes: soft edges can hit another palette colour, (64, 0, 0) = id 8 on black."""
    ids, areas = np.unique(labels[labels != NO_STROKE], return_counts=True)
    area_of = dict(zip(ids.tolist(), areas.tolist(), strict=True))
    kept = labels.copy()
    for object_id, area in area_of.items():
        larger = [other for other, other_area in area_of.items() if other_area > area]
        near_larger = cv2.dilate(np.isin(labels, larger).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        mask = (labels == object_id).astype(np.uint8)
        core = cv2.erode(mask, np.ones((3, 3), np.uint8), borderValue=0) > 0
        count, parts = cv2.connectedComponents(mask, connectivity=8)
        size = np.bincount(parts.ravel(), minlength=count)
        beside = np.bincount(parts[near_larger], minlength=count)
        thick = np.bincount(parts[core], minlength=count) > 0
        fringe = ~thick & (beside * 2 > size)
        fringe[0] = False
        kept[fringe[parts]] = NO_STROKE
    return kept


def _check_amount(painted: Path, labels: StrokeLabels, rgba: NDArray[np.uint8], frame: Frame) -> None:
    stroke_px = np.count_nonzero(labels != NO_STROKE)
    if stroke_px > labels.size / 2:
        raise InputError(
            f"{painted}: found stroke colours on {100 * stroke_px / labels.size:.0f} % of the picture, expected "
            "strokes on the frame or on a transparent layer; save it with the frame beneath, or with its transparency"
        )
    if stroke_px > 0:
        return
    changed_px = np.count_nonzero((rgba[..., :3] != frame).any(axis=2) & (rgba[..., 3] > 0))
    found = f"{changed_px:,} changed pixels, but none of exactly a stroke colour" if changed_px else "no stroke"
    colours = ", ".join(f"{object_id} {stroke_rgb(object_id)}" for object_id in (1, 2, 3))
    raise InputError(
        f"{painted}: found {found}, expected strokes of a hard brush in the pure colours of the objects ({colours}, "
        f"..., background {BACKGROUND_RGB}); paint some, or, if no object is there, {_say_empty(painted)}"
    )


def _say_empty(painted: Path) -> str:
    return f"rename the file to {painted.name.replace('.strokes.png', '.empty.png')} to say so"
