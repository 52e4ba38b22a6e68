"""`requests/<frame>.strokes.png`: strokes read back from pictures that people painted over.

The pure palette colours mean the objects, (128, 0, 0) the first, (0, 128, 0) the second, (128, 128, 0) the third; white
means background. Black, the palette's own background colour, means nothing: too many pictures contain it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stages.core.centre_lines import centre_lines
from stages.core.drawing import BACKGROUND_RGB, NO_STROKE, stroke_rgb
from stages.core.errors import InputError
from stages.core.painted import MOST_CHANGED, SPECK_PX, Painting, find_strokes, is_layer, stroke_colours
from stages.core.strokes import Line
from stages.core.words import and_so_on
from stages.formats.frames import read_frame
from stages.formats.pictures import load_picture

_FIRST: Final = 7
"""Objects whose colours are the dark ones of pure red, green, yellow, blue, magenta, cyan and white."""
_ONE_COLOUR: Final = 0.3
"""A share of the unexplained pixels that makes one colour of them a stroke in a wrong colour."""


def strokes_from_png(painted: Path, clean: Path, tell: Callable[[str], object] = lambda _: None) -> tuple[Line, ...]:
    """Read the strokes that a person painted over a frame.

    `stages.core.painted` says which pixels count. Strokes are thinned to their centre lines; of a branching stroke the
    longest path becomes one line and each branch another; a dot becomes a line one pixel long.

    Args:
        painted: a PNG: strokes on the frame, or on a transparent layer of its size.
        clean: the frame without strokes.
        tell: is told of specks that were passed over.

    Returns:
        Lines in fractions of the frame, ordered by object id, then from top to bottom.

    Raises:
        InputError: a picture is unreadable or no PNG, the sizes differ, it differs from the frame by more than strokes
            (compression, scaling, brightness, another frame), a stroke has a wrong colour, or there is none.
    """
    frame = read_frame(clean)
    rgba = _read_png(painted)
    height, width = frame.shape[:2]
    if rgba.shape[:2] != frame.shape[:2]:
        raise InputError(
            f"{painted}: found {rgba.shape[1]}x{rgba.shape[0]} pixels, expected {width}x{height} as in {clean.name}; "
            f"paint on the picture without scaling or cropping it, or, if nothing is there, {_say_empty(painted)}"
        )
    found = find_strokes(rgba, frame)
    _check_share(painted, clean, found)
    _check_colours(painted, clean, found, rgba)
    _check_amount(painted, found)
    if found.specks:
        at = and_so_on([f"({x}, {y})" for x, y in found.specks], 3)
        tell(
            f"{painted.name}: passed over {len(found.specks)} speck{'s' * (len(found.specks) > 1)} of fewer than "
            f"{SPECK_PX} pixels at {at}; make them larger if they are meant"
        )
    return tuple(
        Line(object_id, tuple((column / width, row / height) for column, row in path))
        for object_id in np.unique(found.labels[found.labels != NO_STROKE]).tolist()
        for path in sorted(centre_lines(found.labels == object_id), key=lambda path: path[0][::-1])
    )


def _read_png(painted: Path) -> NDArray[np.uint8]:
    picture = load_picture(painted)
    if picture.format != "PNG":
        reason = ", whose compression changes colours" if picture.format in ("JPEG", "WEBP") else ""
        raise InputError(
            f"{painted}: found a picture of the format {picture.format}{reason}, expected PNG; "
            "save what you painted as PNG"
        )
    if picture.mode.startswith(("I", "F")):
        raise InputError(
            f"{painted}: found 16 bits a pixel without colour, expected 8 bits a channel in colour; save it as RGB"
        )
    return np.array(picture.convert("RGBA"))


def _check_share(painted: Path, clean: Path, found: Painting) -> None:
    stroke_px = np.count_nonzero(found.labels != NO_STROKE)
    if stroke_px > found.labels.size / 2:
        raise InputError(
            f"{painted}: found stroke colours on {100 * stroke_px / found.labels.size:.0f} % of the picture, expected "
            "strokes on the frame or on a transparent layer; save it with the frame beneath, or with its transparency"
        )
    if found.changed_share > MOST_CHANGED:
        raise InputError(
            f"{painted}: {100 * found.changed_share:.0f} % of the picture differs from the frame {clean.name}, besides "
            "strokes; expected the frame as it was, with strokes on it. Lossy compression (JPEG, WebP), scaling, "
            "another brightness or colour profile, greys, and another frame do that: paint on the picture again and "
            "save it as PNG, or delete it to be asked again"
        )


def _check_colours(painted: Path, clean: Path, found: Painting, rgba: NDArray[np.uint8]) -> None:
    objects = [object_id for object_id in np.unique(found.labels).tolist() if object_id > 0]
    opaque = rgba[rgba[..., 3] > 0][:, :3]
    if objects and not is_layer(rgba) and not np.ptp(opaque, axis=1).any():
        raise InputError(
            f"{painted}: found no colour at all, expected strokes in the colours of the objects; save it in RGB, or, "
            "if grey strokes are meant, on a transparent layer"
        )
    if not found.is_spoilt:
        return
    count = np.count_nonzero(found.unexplained)
    colours, sizes = np.unique(rgba[found.unexplained][:, :3], axis=0, return_counts=True)
    colour, pixels = colours[sizes.argmax()], int(sizes.max())
    if pixels >= _ONE_COLOUR * count:
        raise InputError(
            f"{painted}: found {pixels:,} pixels of the colour {_said(colour)}, which is no object's; the nearest is "
            f"{_nearest(colour, objects)}. Paint in exactly an object's colour (background {BACKGROUND_RGB}), with a "
            "hard brush that is fully opaque, and take off what is no stroke"
        )
    share = 100 * count / found.labels.size
    raise InputError(
        f"{painted}: found {count:,} changed pixels ({share:.2g} % of the picture) in {len(colours):,} colours that "
        f"are neither strokes nor their edges, expected the frame {clean.name} with strokes on it. Lossy compression, "
        "scaling, very soft brushes and another frame do that: paint on the picture with a hard brush and save as PNG"
    )


def _check_amount(painted: Path, found: Painting) -> None:
    if (found.labels != NO_STROKE).any():
        return
    changed_px = np.count_nonzero(found.changed)
    what = f"{changed_px:,} changed pixels, but no stroke of {SPECK_PX} pixels or more" if changed_px else "no stroke"
    colours = ", ".join(f"{object_id} {stroke_rgb(object_id)}" for object_id in (1, 2, 3))
    raise InputError(
        f"{painted}: found {what}, expected strokes of a hard brush in the pure colours of the objects ({colours}, "
        f"..., background {BACKGROUND_RGB}); paint some, or, if no object is there, {_say_empty(painted)}"
    )


def _nearest(colour: NDArray[np.uint8], objects: list[int]) -> str:
    """The stroke colour nearest to one, and the nearest one of the objects that were painted beside it.

    Where nothing was, that of the first few objects: pure red is nearest to the 73rd, and means the first.
    """
    distance = np.linalg.norm(stroke_colours().astype(float) - colour, axis=1)
    nearest = int(distance.argmin())
    said = f"{stroke_rgb(nearest)}, {_named(nearest)}"
    likely = objects or [*range(_FIRST + 1)]
    if nearest not in likely:
        own = min(likely, key=lambda object_id: (distance[object_id], object_id))
        which = "those in this picture" if objects else f"the first {_FIRST}"
        said += f" (of {which}: {stroke_rgb(own)}, {_named(own)})"
    return said


def _named(object_id: int) -> str:
    return f"object {object_id}" if object_id else "background"


def _said(colour: NDArray[np.uint8]) -> str:
    return str(tuple(colour.tolist()))


def _say_empty(painted: Path) -> str:
    return f"rename the file to {painted.name.split('.')[0]}.empty.png to say so"
