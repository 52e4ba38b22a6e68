"""The legend for those who paint: which colour means which object, and what it is called."""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate
from math import ceil
from typing import Final, NamedTuple

from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, features

from stages.core.palette import davis_palette
from stages.core.words import and_more
from stages.formats.objects_json import NO_CLASS, NamedObject, Objects
from stages.steps.fonts import font, font_file

_FEWEST: Final = 8
"""Objects that are shown where nobody has said which ones there are."""
_TOLD: Final = 6
"""Names that a line tells."""
_ROWS: Final = 32
"""Of a column."""
_FONT_PX: Final = 16
_ROW_PX: Final = 28
_SWATCH_PX: Final = 40
_GAP_PX: Final = 12
_NAME_PX: Final = 320
"""The most of a name that is shown."""
_PAPER: Final = (255, 255, 255)
_INK: Final = (40, 40, 40)
_SOFT: Final = (120, 120, 120)
_RIGHT_TO_LEFT: Final = {"R", "AL", "AN"}


class _Row(NamedTuple):
    rgb: tuple[int, int, int]
    texts: tuple[str, str, str, str]
    """The colour in numbers, the id, the name, the class."""


_BACKGROUND: Final = _Row((255, 255, 255), ("255,255,255", "", "background", ""))
_INKS: Final = (_SOFT, _INK, _INK, _SOFT)


def objects_to_paint(objects: Objects, drawn: Iterable[int]) -> list[NamedObject]:
    """Those that a person may want to paint, by id: listed ones and drawn ones, and the first few, if none is listed.

    Args:
        objects: what is known of them.
        drawn: the ids that have strokes.
    """
    ids = {*objects.listed, *drawn, *(() if objects.listed else range(1, _FEWEST + 1))}
    return [objects.of(object_id) for object_id in sorted(ids)]


def in_words(objects: Objects) -> str:
    """The first few of the listed objects, ` (1 Rex, 2 Tom and 3 more)`; nothing if none is listed."""
    named = [f"{object_id} {each.name}" for object_id, each in sorted(objects.listed.items())]
    return f" ({and_more(named, _TOLD)})" if named else ""


def draw_legend(objects: Sequence[NamedObject]) -> Image.Image:
    """A picture with a row for the background and one for each object: the colour to paint in, in numbers, the name.

    A name that the font has no letters for is replaced by the object's number; one that is long is cut.

    Args:
        objects: in the order of the rows.

    Returns:
        RGB.
    """
    rows = [_BACKGROUND, *(_row(each) for each in objects)]
    columns = [rows[first : first + _ROWS] for first in range(0, len(rows), _ROWS)]
    widths = [
        [max(map(_length, texts)) for texts in zip(*(row.texts for row in each), strict=True)] for each in columns
    ]
    rights = [*accumulate(_SWATCH_PX + sum(width) + (len(width) + 2) * _GAP_PX for width in widths)]
    picture = Image.new("RGB", (rights[-1], _ROW_PX * min(len(rows), _ROWS) + 2 * _GAP_PX), _PAPER)
    pen = ImageDraw.Draw(picture)
    for left, column, width in zip([0, *rights], columns, widths, strict=False):
        for number, row in enumerate(column):
            x, y = left + _GAP_PX, _GAP_PX + number * _ROW_PX
            pen.rectangle((x, y + 3, x + _SWATCH_PX, y + _ROW_PX - 4), fill=row.rgb, outline=_SOFT)
            x += _SWATCH_PX + _GAP_PX
            for text, ink, step in zip(row.texts, _INKS, width, strict=True):
                pen.text((x, y + _ROW_PX / 2), text, fill=ink, font=font(_FONT_PX), anchor="lm")
                x += step + _GAP_PX
    return picture


def _row(named: NamedObject) -> _Row:
    red, green, blue = davis_palette()[named.id].tolist()
    name = named.name if _can_be_drawn(named.name) else f"object {named.id}"
    of_class = named.class_name if named.class_name != NO_CLASS and _can_be_drawn(named.class_name) else ""
    return _Row((red, green, blue), (f"{red},{green},{blue}", str(named.id), _cut(name), _cut(of_class)))


def _length(text: str) -> int:
    return ceil(font(_FONT_PX).getlength(text))


def _can_be_drawn(text: str) -> bool:
    """Whether the font has every letter, and they stand where they belong."""
    text = unicodedata.normalize("NFC", text)
    if not features.check("raqm") and any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text):
        return False
    return all(_letters().get_char_index(ord(letter)) for letter in text)


def _cut(text: str) -> str:
    if _length(text) <= _NAME_PX:
        return text
    while text and _length(f"{text}...") > _NAME_PX:
        text = text[:-1]
    return f"{text.rstrip()}..."


@cache
def _letters() -> FT2Font:
    return FT2Font(font_file())
