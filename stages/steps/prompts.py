"""Clicks and boxes as strokes: what is known of an object is drawn, as a person would have drawn it.

A positive point is a line of one point, a negative one a background line. A box draws its surroundings as background,
and, where nobody has clicked on the object, a line through its middle: that is a guess. On a frame whose masks people
see, all of it is a correction, as painted strokes are (`stages.steps.seen`): objects that are not named keep their
masks, and a box says nothing of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from math import hypot
from typing import Final

import numpy as np

from stages.core.errors import InputError
from stages.core.masks import ids_in
from stages.core.strokes import Line, Point
from stages.core.types import Frame, LabelMap
from stages.formats.frames import pixel_digest
from stages.formats.prompts_json import Box, Prompt
from stages.formats.scribbles import ScribbleSet, merge
from stages.steps.amend import Amendment, Drawn
from stages.steps.seen import A_CORRECTION, NOTHING_SEEN, Seen

_MARGIN: Final = 0.01
"""How far outside a box, in parts of its size, background is drawn."""
_TOO_NEAR_PX: Final = 2.0
"""A background line that near to a point on an object would contradict it."""
LOOK_AT_IT: Final = "from a box, look at it"


@dataclass(frozen=True)
class Drawing:
    """The strokes of one frame."""

    lines: tuple[Line, ...]
    """Background first: where lines cross, what is said of objects counts."""
    from_boxes: tuple[int, ...]
    """Objects that have a box and no point on them, ascending."""


def draw(prompts: Sequence[Prompt], size_wh: tuple[int, int], seen: LabelMap | None = None) -> Drawing:
    """Draw the prompts of a frame.

    Args:
        prompts: one an object.
        size_wh: width and height of the frame in pixels.
        seen: (H, W) uint8 ids, the masks that are corrected; None if none are.

    Raises:
        InputError: a point lies on one that contradicts it: a positive one of another object, or, since background is
            background to every object, a negative one on a positive one of any.
    """
    _check_distances(prompts, size_wh)
    boxes = {prompt.object_id: prompt.box for prompt in prompts if prompt.box is not None}
    places = {**(_extents(seen) if seen is not None else {}), **boxes}
    around = [
        line
        for object_id, box in boxes.items()
        for line in _around(box, [place for other, place in places.items() if other != object_id])
    ]
    negative = [Line(0, (point,)) for prompt in prompts for point in prompt.negative]
    positive = [Line(prompt.object_id, (point,)) for prompt in prompts for point in prompt.positive]
    guessed = {each.object_id: each.box for each in prompts if each.box is not None and not each.positive}
    through = [Line(object_id, _middle(box, size_wh)) for object_id, box in guessed.items()]
    return Drawing((*around, *negative, *positive, *through), tuple(sorted(guessed)))


def draw_all(
    drawn: Drawn, prompts: Mapping[int, Sequence[Prompt]], frames: Sequence[Frame], seen: Seen = NOTHING_SEEN
) -> Amendment:
    """Draw the prompts of a sequence, in the place of what was drawn on their frames before.

    Args:
        drawn: what people said so far.
        prompts: by frame.
        frames: the video, (H, W, 3) uint8 RGB each, read lazily.
        seen: the masks that people see, which prompts correct.

    Raises:
        InputError: see `draw`.
        StageError: a mask is damaged that is to be corrected.
    """
    scribbles, said, corrected = drawn.scribbles, dict[int, str](), dict[int, LabelMap]()
    for index, clicked in sorted(prompts.items()):
        frame = frames[index]
        corrects = seen.corrected_by(scribbles, index) if clicked else ""
        height, width = frame.shape[:2]
        labels = seen.labels(index) if corrects else None
        try:
            drawing = draw(clicked, (width, height), labels)
        except InputError as error:
            raise InputError(f"frame {index}: {error}") from None
        new = _drawn_into(scribbles, index, drawing, pixel_digest(frame), corrects)
        # The same once more says nothing new, also of the masks that it has made.
        if replace(new, corrects=scribbles.corrects) == scribbles:
            continue
        scribbles = new
        if labels is not None:
            corrected[index] = labels
        said[index] = f"frame {index}: {_in_words(drawn, index, clicked, drawing, bool(corrects))}"
    former = any(index in drawn.scribbles.frames for index in said)
    return Amendment(scribbles, tuple(said.values()), tuple(said), seen=corrected, takes_away=former)


def _drawn_into(scribbles: ScribbleSet, index: int, drawing: Drawing, digest: str, corrects: str) -> ScribbleSet:
    new = merge(scribbles, index, drawing.lines, digest, corrects)
    if drawing.from_boxes:
        new = replace(new, from_boxes=dict(sorted({**new.from_boxes, index: drawing.from_boxes}.items())))
    return new


def _check_distances(prompts: Sequence[Prompt], size_wh: tuple[int, int]) -> None:
    for one, other in combinations(prompts, 2):
        for point in one.positive:
            _check_distance(one, point, other, size_wh, "positive", "it cannot be both")
    for one in prompts:
        for point in one.negative:
            for other in prompts:
                _check_distance(one, point, other, size_wh, "negative", "it is background to every object")


def _check_distance(one: Prompt, point: Point, other: Prompt, size_wh: tuple[int, int], what: str, why: str) -> None:
    for x, y in other.positive:
        distance_px = hypot((x - point[0]) * size_wh[0], (y - point[1]) * size_wh[1])
        if distance_px <= _TOO_NEAR_PX:
            raise InputError(
                f"found the {what} point {list(point)} of object {one.object_id} {distance_px:.1f} px from the point "
                f"{[x, y]} of object {other.object_id}, expected more than {_TOO_NEAR_PX:g} px: {why}; move or remove "
                "one of them"
            )


def _extents(seen: LabelMap) -> dict[int, Box]:
    """The boxes of the objects of a label map."""
    height, width = seen.shape
    extents = {}
    for object_id in ids_in(seen):
        rows, columns = np.nonzero(seen == object_id)
        extents[object_id] = (
            float(columns.min() / width),
            float(rows.min() / height),
            float((columns.max() + 1) / width),
            float((rows.max() + 1) / height),
        )
    return extents


def _around(box: Box, others: Sequence[Box]) -> list[Line]:
    """The rectangle around a box, without what lies inside other boxes or outside the picture."""
    left, top, right, bottom = box
    x_margin, y_margin = _MARGIN * (right - left), _MARGIN * (bottom - top)
    outer = (left - x_margin, top - y_margin, right + x_margin, bottom + y_margin)
    lines = []
    for along in (0, 1):  # sides that run along x, then those along y
        across = 1 - along
        for at in (outer[across], outer[across + 2]):
            if not 0 <= at <= 1:
                continue
            hidden = [(each[along], each[along + 2]) for each in others if each[across] <= at <= each[across + 2]]
            for start, end in _without(max(0.0, outer[along]), min(1.0, outer[along + 2]), hidden):
                ends = ((start, at), (end, at)) if along == 0 else ((at, start), (at, end))
                lines.append(Line(0, ends))
    return lines


def _without(start: float, end: float, hidden: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What of an interval lies in none of others."""
    cuts = sorted({start, end, *(min(end, max(start, cut)) for span in hidden for cut in span)})
    return [
        (low, high)
        for low, high in pairwise(cuts)
        if not any(each[0] <= (low + high) / 2 <= each[1] for each in hidden)
    ]


def _middle(box: Box, size_wh: tuple[int, int]) -> tuple[Point, Point]:
    """A line over the middle third of a box's longer axis."""
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    if (right - left) * size_wh[0] >= (bottom - top) * size_wh[1]:
        return (x - (right - left) / 6, y), (x + (right - left) / 6, y)
    return (x, y - (bottom - top) / 6), (x, y + (bottom - top) / 6)


def _in_words(drawn: Drawn, index: int, clicked: Sequence[Prompt], drawing: Drawing, is_correction: bool) -> str:
    count = sum(len(each.positive) + len(each.negative) for each in clicked)
    boxes = sum(each.box is not None for each in clicked)
    said = f"{count} point{'s' * (count != 1)} and {boxes} box{'es' * (boxes != 1)}"
    if drawing.from_boxes:
        said += f"; {LOOK_AT_IT}: {', '.join(drawn.objects.of(each).name for each in drawing.from_boxes)}"
    if index in drawn.scribbles.frames:
        said += "; in the place of what was drawn there before"
    if index in drawn.given:
        said += "; not used, since a mask was given there"
    elif is_correction:
        said += f"; {A_CORRECTION}"
    return said
