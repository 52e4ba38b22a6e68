"""How far each mask can be trusted, without any ground truth.

Doubt is an estimate of a mask's error, in [0, 1]. Four signs are joined as if each could be wrong by itself:

    doubt = 1 - (1 - drift) (1 - 0.9 lost) (1 - 0.1 (1 - score)) (1 - 0.25 jump) (1 - 0.25 rejected)

Of an object that an anchor shows and the engine finds absent, with a score that says how sure it is:

    doubt = 1 - (1 - 0.9 (1 - score)) (1 - 0.25 jump)

drift, between two anchors:  0.7 (1 - agreement) (1/2 + d/g), with d frames to the nearer anchor and g frames between
    both. Where both directions differ, one is wrong; near an anchor the fused mask leans on the better one.
drift, carried d frames from one side:  1 - r^d. The rate r is what this object loses per frame elsewhere in the video,
    the geometric mean of agreement^(1/g) over its two-sided frames; without any, it halves every 12 frames.
box: strokes that were made from a box alone have 0.58 in the place of drift: the J of such masks is 0.42 on average
    (docs/lab/results.md).
given: a mask that a person gave, or kept when correcting others, is not doubted.
lost: the engine gave up, the mask is empty. An object that both anchors call absent is not doubted.
score: of the propagation engine.
jump: relative change of area to the frame before or after, whichever is larger.
rejected: refinement moved the mask so far that it was not believed.

Measured on ten DAVIS sequences with eight true anchor masks each and the propagator `flow`: doubt and 1 - J have the
rank correlation 0.90 and differ by 0.08 on average (with 0.5 for the score: 0.85 and 0.15). The weights of lost and
rejected are judgement. Errors of anchor masks stay unseen where both directions share them: 0.37 for anchors of
mean J 0.64.

"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from stages.core.errors import StageError
from stages.core.states import Source
from stages.formats.frames_csv import FrameQuality
from stages.formats.glance import Doubt
from stages.formats.report_data import JudgedFrame, worst_by_frame

_HALVING_FRAMES: Final = 12
_LEAST_AGREEMENT: Final = 0.05
_OF_A_BOX: Final = 0.58
_WORTH_A_WORD: Final = 0.03


def judge(rows: Iterable[FrameQuality], anchors: Iterable[int], names: Sequence[str]) -> list[JudgedFrame]:
    """Estimate the error of every mask; the formula stands at the top of this module.

    Args:
        rows: in any order, at most one per frame and object. A missing row means that the object is absent there.
        anchors: the annotated frames, at least one.
        names: the file name of every frame.

    Returns:
        By frame, then object.

    Raises:
        StageError: two rows for one object and frame, no anchor, or a frame that has no name.
    """
    ordered = sorted(set(anchors))
    if not ordered:
        raise StageError("found no anchor for the quality estimate, expected at least one annotated frame")
    tracks: dict[int, dict[int, FrameQuality]] = defaultdict(dict)
    for row in rows:
        if row.frame in tracks[row.object_id] or not 0 <= row.frame < len(names):
            found = "twice" if row.frame in tracks[row.object_id] else f"in a video of {len(names)} frames"
            raise StageError(f"found object {row.object_id} on frame {row.frame} {found}; refine the sequence again")
        tracks[row.object_id][row.frame] = row
    judged = []
    for track in tracks.values():
        keeps = _kept_per_frame(track.values(), ordered)
        for row in track.values():
            jump = _area_jump(track, row.frame, len(names))
            distance = _distance(row, *_between(ordered, row.frame))
            beside = [track[index] for index in _between(ordered, row.frame) if index in track]
            is_shown = any(anchor.area_px and anchor.source != Source.LOST for anchor in beside)
            signs = _signs(row, ordered, distance, keeps, jump, is_shown)
            strength, words = max(signs, key=lambda sign: sign[0])
            judged.append(
                JudgedFrame(
                    **_values(row),
                    name=names[row.frame],
                    distance=distance,
                    area_jump=jump,
                    doubt=1 - math.prod(1 - sign for sign, _ in signs),
                    why=words if strength >= _WORTH_A_WORD else "",
                )
            )
    return sorted(judged, key=lambda row: (row.frame, row.object_id))


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


def _signs(
    row: FrameQuality, anchors: Sequence[int], distance: int, keeps: float, jump: float, is_shown: bool
) -> list[tuple[float, str]]:
    """How strongly each sign speaks against a mask, in [0, 1], and how to say it; `is_shown` by an anchor beside."""
    if row.source == Source.GIVEN:
        return [(0.0, "")]
    if row.source == Source.LOST:
        return [(0.9, row.reason), (0.25 * jump, "")]
    unsure = 0 if math.isnan(row.score) else 1 - row.score
    jumps = 0.25 * jump, f"the area changes by {jump:.0%} from one frame to the next"
    if row.source == Source.ABSENT:
        return [(0.9 * unsure if is_shown else 0, f"absent: {row.reason}"), jumps]
    return [
        (_OF_A_BOX, "from a box alone") if row.source == Source.BOX else _drift(row, anchors, distance, keeps),
        (0.1 * unsure, f"the engine is unsure: score {row.score:.2f}"),
        jumps,
        (0.25 * (row.accepted is False), f"refinement rejected: {row.reason}"),
    ]


def _drift(row: FrameQuality, anchors: Sequence[int], distance: int, keeps: float) -> tuple[float, str]:
    left, right = _between(anchors, row.frame)
    if distance == 0:
        return 0.0, ""
    if math.isnan(row.agreement) or left is None or right is None:
        return 1 - keeps**distance, f"carried {distance} frame{'s' * (distance != 1)} from one side only"
    lean = 0.5 + distance / (right - left)
    return 0.7 * (1 - row.agreement) * lean, f"forward and backward overlap by {row.agreement:.0%}"


def _kept_per_frame(track: Iterable[FrameQuality], anchors: Sequence[int]) -> float:
    """Which share of its mask an object keeps when it is carried one frame further: the rate r of one-sided drift."""
    logarithms = []
    for row in track:
        left, right = _between(anchors, row.frame)
        if not math.isnan(row.agreement) and left is not None and right is not None and left < right:
            logarithms.append(math.log(max(row.agreement, _LEAST_AGREEMENT)) / (right - left))
    return math.exp(math.fsum(logarithms) / len(logarithms)) if logarithms else 0.5 ** (1 / _HALVING_FRAMES)


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
