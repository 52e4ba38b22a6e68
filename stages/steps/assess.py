"""How far each mask can be trusted, without any ground truth: the signs against it, and the doubt they add up to.

What a sign is worth was found on clips with ground truth (`doubt_model.py`). Two wrong anchors agree, so that agreement
alone sees nothing: most tells the soft mask itself. A pixel at one half is wrong half of the time, so that a soft mask
says what IoU is to be expected of the mask made from it. The signs, each the larger the worse:

    unsure      the soft mask expects little of the mask: log odds of 1 - IoU
    pieces      the share of the mask outside of its largest part

and of masks that were carried

    anchor      the anchors beside are unsure, the nearer one counting more
    growth      the area is not that of the anchors: the logarithm of the factor
    one_sided   it is carried from one side only: the logarithm of 1 + the frames from there
    rejected    refinement moved the mask so far that it was not believed
    apart       forward and backward differ: the root of 1 - IoU

and, where a former version did not look at the soft mask,

    jump        relative change of area to the frame before or after, whichever is larger
    far         frames to the nearer anchor, as a logarithm
    unlike      the engine finds it unlike its anchors: 1 - score

and of absence, where an anchor beside has the object,

    jump        as above: it goes, or comes back, all at once
    unlikely    the engine is not sure of it: 1 - score
    lately      frames to the nearest one on which it is seen, as a logarithm, negative
    sudden      the area that is seen there, as a share of the anchor's

A mask that a person gave, or kept when correcting others, is not doubted, nor is the absence of an object that no
anchor beside shows. Strokes that were made from a box alone have 0.35 at least: the J of such masks is 0.65 on average
(docs/lab/results.md). What is lost between anchors has 0.6, strokes that gave no mask have 0.9.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, NamedTuple

from stages.core.errors import StageError
from stages.core.states import Source
from stages.formats.frames_csv import FrameQuality
from stages.formats.glance import Doubt
from stages.formats.report_data import JudgedFrame, worst_by_frame
from stages.steps.doubt_model import Kind, formulas

_OF_A_BOX: Final = 0.35
_OF_THE_LOST: Final = 0.6
"""Of 31 masks lost between anchors of clips for fitting, 19 should have been there."""
_OF_STROKES_ALONE: Final = 0.9
_WORTH_A_WORD: Final = 0.05
_LEAST_ERROR: Final = 0.01


class Signed(NamedTuple):
    """A mask, and what speaks against it."""

    row: FrameQuality
    distance: int
    """As in `JudgedFrame`, as well as the next."""
    area_jump: float
    kind: Kind | None
    """None: its doubt needs no signs."""
    signs: Mapping[str, float]


def judge(rows: Iterable[FrameQuality], anchors: Iterable[int], names: Sequence[str]) -> list[JudgedFrame]:
    """Estimate the error of every mask.

    Args:
        rows: in any order, at most one per frame and object. A missing row means that the object is absent there.
        anchors: the annotated frames, at least one.
        names: the file name of every frame.

    Returns:
        By frame, then object.

    Raises:
        StageError: two rows for one object and frame, no anchor, or a frame that has no name.
    """
    judged = []
    for signed in signs_of(rows, anchors, len(names)):
        doubt, why = _verdict(signed)
        judged.append(
            JudgedFrame(
                **_values(signed.row),
                name=names[signed.row.frame],
                distance=signed.distance,
                area_jump=signed.area_jump,
                doubt=doubt,
                why=why,
            )
        )
    return judged


def signs_of(rows: Iterable[FrameQuality], anchors: Iterable[int], frame_count: int) -> list[Signed]:
    """What speaks against every mask; as for `judge`.

    Returns:
        By frame, then object.
    """
    ordered = sorted(set(anchors))
    if not ordered:
        raise StageError("found no anchor for the quality estimate, expected at least one annotated frame")
    tracks: dict[int, dict[int, FrameQuality]] = defaultdict(dict)
    for row in rows:
        if row.frame in tracks[row.object_id] or not 0 <= row.frame < frame_count:
            found = "twice" if row.frame in tracks[row.object_id] else f"in a video of {frame_count} frames"
            raise StageError(f"found object {row.object_id} on frame {row.frame} {found}; refine the sequence again")
        tracks[row.object_id][row.frame] = row
    signed = []
    for track in tracks.values():
        seen = sorted(row.frame for row in track.values() if row.area_px)
        for row in track.values():
            anchors_beside = _between(ordered, row.frame)
            sides = [*_sides(track, seen, row.frame, anchors_beside)]
            distance, jump = _distance(row, *anchors_beside), _area_jump(track, row.frame, frame_count)
            kind = _kind(row, sides)
            signs = dict(_signs(row, kind, sides, distance, jump)) if kind else {}
            signed.append(Signed(row, distance, jump, kind, signs))
    return sorted(signed, key=lambda each: (each.row.frame, each.row.object_id))


def overall(judged: Sequence[JudgedFrame], frame_count: int) -> Doubt:
    """Sum a sequence's doubt up.

    Args:
        judged: what `judge` returned.
        frame_count: length of the video; frames without an object are not doubted.
    """
    worst = worst_by_frame(judged)
    top = max(worst.values(), key=lambda row: (row.doubt, -row.frame), default=None)
    mean = math.fsum(row.doubt for row in worst.values()) / frame_count
    return Doubt(round(mean, 6), round(top.doubt, 6) if top else 0.0, top.frame if top else 0)


class _Side(NamedTuple):
    """What there is of an object towards an anchor that shows it."""

    anchor: FrameQuality
    seen: FrameQuality
    """The nearest mask before or after; that of the anchor, if there is no other."""


def _sides(
    track: Mapping[int, FrameQuality], seen: Sequence[int], frame: int, anchors: tuple[int | None, int | None]
) -> Iterator[_Side]:
    """Before and after; one of an anchor itself. `seen`: the frames on which the object has a mask."""
    nearest = bisect_left(seen, frame) - 1, bisect_right(seen, frame)
    for index, place in dict(zip(anchors, nearest, strict=True)).items():
        anchor = None if index is None else track.get(index)
        if anchor and anchor.area_px and not _is_lost(anchor):
            yield _Side(anchor, anchor if index == frame else track[seen[place]])


def _kind(row: FrameQuality, sides: Sequence[_Side]) -> Kind | None:
    if row.source == Source.ABSENT:
        return Kind.GONE if sides and not row.area_px else None
    if row.source == Source.GIVEN or _is_lost(row):
        return None
    if row.source in (Source.ANCHOR, Source.BOX):
        return Kind.DRAWN
    return Kind.UNSEEN if math.isnan(row.sureness) else Kind.CARRIED


def _is_lost(row: FrameQuality) -> bool:
    """Whether there is no mask of an object that should have one; of an anchor, its strokes may be left."""
    return row.source == Source.LOST or (not row.area_px and row.source not in (Source.GIVEN, Source.ABSENT))


def _signs(
    row: FrameQuality, kind: Kind, sides: Sequence[_Side], distance: int, jump: float
) -> Iterator[tuple[str, float]]:
    """Those of a kind, by name."""
    if kind == Kind.GONE:
        yield "jump", jump
        yield "unlikely", 1 - row.score
        yield "lately", -math.log(min(abs(side.seen.frame - row.frame) for side in sides))
        yield "sudden", max(side.seen.area_px / side.anchor.area_px for side in sides)
        return
    if kind == Kind.UNSEEN:
        yield "jump", jump
        yield "far", math.log(max(distance, 1))
        yield "unlike", 1 - row.score
    else:
        yield "unsure", _unsure(row.sureness)
        yield "pieces", 1 - row.largest
    if kind == Kind.DRAWN:
        return
    yield "one_sided", math.log1p(distance) if row.source != Source.BOTH else 0.0
    yield "rejected", float(row.accepted is False)
    yield "apart", math.sqrt(1 - row.agreement)
    if sides:
        yield "growth", abs(math.log(row.area_px) - _near(row, sides, lambda anchor: math.log(anchor.area_px)))
        if kind == Kind.CARRIED:
            yield "anchor", _near(row, sides, lambda anchor: _unsure(_sureness(anchor)))


def _near(row: FrameQuality, sides: Sequence[_Side], value: Callable[[FrameQuality], float]) -> float:
    """The anchors' mean, the nearer one counting more."""
    weights = [1 / (1 + abs(side.anchor.frame - row.frame)) for side in sides]
    return sum(weight * value(side.anchor) for weight, side in zip(weights, sides, strict=True)) / sum(weights)


def _sureness(anchor: FrameQuality) -> float:
    return 1.0 if anchor.source == Source.GIVEN else anchor.sureness


def _unsure(sureness: float) -> float:
    """The log odds of an error of that size."""
    if math.isnan(sureness):
        return sureness
    error = min(1 - _LEAST_ERROR, max(_LEAST_ERROR, 1 - sureness))
    return math.log(error / (1 - error))


def _verdict(signed: Signed) -> tuple[float, str]:
    """The doubt, and what speaks for it most."""
    row = signed.row
    if _is_lost(row):
        return _OF_THE_LOST if signed.distance else _OF_STROKES_ALONE, row.reason or "nothing is left of the mask"
    if signed.kind is None:
        return 0.0, ""
    formula = formulas()[signed.kind]
    name, strength = formula.strongest(signed.signs)
    doubt = formula.doubt(signed.signs)
    if row.source == Source.BOX:
        return max(doubt, _OF_A_BOX), "from a box alone"
    if signed.kind == Kind.GONE:
        return doubt, f"absent: {row.reason}" if doubt >= _WORTH_A_WORD else ""
    return doubt, _in_words(name, signed) if strength >= _WORTH_A_WORD else ""


def _in_words(name: str, signed: Signed) -> str:
    row, frames = signed.row, f"{signed.distance} frame{'s' * (signed.distance != 1)}"
    return {
        "unsure": f"the soft mask is unsure: it expects an overlap of {row.sureness:.0%}",
        "pieces": f"in pieces: the largest has {row.largest:.0%}",
        "jump": f"the area changes by {signed.area_jump:.0%} from one frame to the next",
        "apart": f"forward and backward overlap by {row.agreement:.0%}",
        "anchor": "the masks on its anchors are unsure",
        "growth": "larger or smaller than on its anchors",
        "far": f"{frames} from its anchor",
        "one_sided": f"carried {frames} from one side only",
        "unlike": f"the engine is unsure: score {row.score:.2f}",
        "rejected": f"refinement rejected: {row.reason}",
    }[name]


def _area_jump(track: Mapping[int, FrameQuality], frame: int, frame_count: int) -> float:
    area = track[frame].area_px
    neighbours = [index for index in (frame - 1, frame + 1) if 0 <= index < frame_count]
    areas = [track[index].area_px if index in track else 0 for index in neighbours]
    return max((abs(area - other) / max(area, other) for other in areas if area != other), default=0.0)


def _between(anchors: Sequence[int], frame: int) -> tuple[int | None, int | None]:
    """The anchors before and after a frame; an anchor lies between itself and itself."""
    after = bisect_left(anchors, frame)
    before = bisect_right(anchors, frame) - 1
    return anchors[before] if before >= 0 else None, anchors[after] if after < len(anchors) else None


def _distance(row: FrameQuality, left: int | None, right: int | None) -> int:
    # Towards an anchor that does not show the object, a mask that comes from the other one gets no better.
    carried_from = {Source.FORWARD: left, Source.BACKWARD: right}.get(row.source)
    sides = (left, right) if carried_from is None else (carried_from,)
    return min(abs(row.frame - anchor) for anchor in sides if anchor is not None)


def _values(row: FrameQuality) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(FrameQuality)}
