"""How far each mask can be trusted, without any ground truth, and where the next scribbles help most.

Doubt is an estimate of a mask's error, in [0, 1]. Four signs are joined as if each could be wrong by itself:

    doubt = 1 - (1 - drift) (1 - 0.9 lost) (1 - 0.1 (1 - score)) (1 - 0.25 jump) (1 - 0.25 rejected)

drift, between two anchors:  0.7 (1 - agreement) (1/2 + d/g), with d frames to the nearer anchor and g frames between
    both. Where both directions differ, one is wrong; near an anchor the fused mask leans on the better one.
drift, carried d frames from one side:  1 - r^d. The rate r is what this object loses per frame elsewhere in the video,
    the geometric mean of agreement^(1/g) over its two-sided frames; without any, it halves every 12 frames.
lost: the engine gave up, the mask is empty. An object that both anchors call absent is not doubted.
score: of the propagation engine.
jump: relative change of area to the frame before or after, whichever is larger.
rejected: refinement moved the mask so far that it was not believed.

Measured on ten DAVIS sequences with eight true anchor masks each and the propagator `flow`: doubt and 1 - J have the
rank correlation 0.90 and differ by 0.08 on average (with 0.5 for the score: 0.85 and 0.15). The weights of lost and
rejected are judgement. Errors of anchor masks stay unseen where both directions share them: 0.37 for anchors of
mean J 0.64.

A new anchor at t helps the frames nearer to t than to their anchors, in proportion: from distance d to |s - t|,

    gain(t) = sum over objects and frames s of doubt(s) max(0, 1 - |s - t| / d(s)) / (frames x objects)

which is in units of mean J: the area between the old curve of doubt and the new one. Not the single worst frame wins,
but the one whose neighbourhood loses most doubt.
"""

import csv
import json
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from stages.errors import StageError

SOURCES: Final = frozenset({"anchor", "both", "forward", "backward", "absent", "lost"})
_HALVING_FRAMES: Final = 12
_LEAST_AGREEMENT: Final = 0.05
_WORTH_A_WORD: Final = 0.03


@dataclass(frozen=True)
class FrameQuality:
    """One object on one frame, as refinement left it: a row of `frames.csv`."""

    frame: int
    """Index, from 0."""
    object_id: int
    score: float
    """The engine's, in [0, 1]."""
    agreement: float
    """IoU of the forward and the backward mask; NaN where only one direction exists."""
    source: str
    """Where the mask comes from: `anchor` (scribbles), `both`, `forward` or `backward` (carried), `absent`, `lost`."""
    accepted: bool | None
    """Whether the refined mask was believed; None where there was nothing to refine."""
    reason: str
    """Why the mask is empty, or its refinement rejected; else empty."""
    area_px: int


@dataclass(frozen=True)
class JudgedFrame(FrameQuality):
    """The same with its doubt: a row of `quality.csv`."""

    name: str
    """The source's file name."""
    distance: int
    """Frames to the nearest anchor that the mask was carried from; 0 on an anchor."""
    area_jump: float
    """Relative change of area to a neighbouring frame, in [0, 1]."""
    doubt: float
    """In [0, 1]."""
    why: str
    """The strongest sign in words; empty where nothing is wrong."""


class Suggestion(NamedTuple):
    """A frame to scribble on next."""

    frame: int
    gain: float
    """Expected rise of mean J over the whole video, if the suggestions before it are followed too."""
    left: int | None
    """The anchor before it, if any."""
    right: int | None
    object_ids: tuple[int, ...]
    """The objects that it helps, the one that gains most first."""


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
            signs = _signs(row, ordered, distance, keeps, jump)
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


def suggest(
    judged: Sequence[JudgedFrame], anchors: Iterable[int], frame_count: int, count: int = 5
) -> list[Suggestion]:
    """Choose the frames whose scribbles are expected to help most, one after the other.

    Each choice counts the ones before it as anchors, so that neighbours are not suggested together. Of frames with the
    same gain the one farthest from all anchors comes first, then the earliest.

    Args:
        judged: what `judge` returned.
        anchors: the annotated frames, which are never suggested.
        frame_count: length of the video.
        count: the most suggestions to make.

    Returns:
        The best first; fewer than `count` if the video has fewer frames left.
    """
    object_ids = sorted({row.object_id for row in judged})
    number = {object_id: position for position, object_id in enumerate(object_ids)}
    doubt = np.zeros((len(object_ids), frame_count))
    distance = np.ones((len(object_ids), frame_count))
    for row in judged:
        doubt[number[row.object_id], row.frame] = row.doubt
        distance[number[row.object_id], row.frame] = max(1, row.distance)

    given = sorted(set(anchors))
    share = 1 / (frame_count * max(1, len(object_ids)))
    best = {stretch: _best(doubt, distance, stretch) for stretch in _stretches(given, frame_count)}
    suggestions: list[Suggestion] = []
    while best and len(suggestions) < count:
        stretch, choice = min(best.items(), key=lambda item: (-item[1].gain, -item[1].clearance, item[1].frame))
        del best[stretch]
        left, right = stretch
        helped = np.argsort(-choice.gains, kind="stable")
        suggestions.append(
            Suggestion(
                choice.frame,
                round(choice.gain * share, 6),
                left if left >= 0 else None,
                right if right < frame_count else None,
                tuple(object_ids[position] for position in helped if choice.gains[position] > 0),
            )
        )
        inside = slice(left + 1, right)
        travel = np.abs(np.arange(left + 1, right) - choice.frame)
        doubt[:, inside] *= np.minimum(1, travel / distance[:, inside])
        distance[:, inside] = np.maximum(1, np.minimum(distance[:, inside], travel))
        for part in ((left, choice.frame), (choice.frame, right)):
            if part[1] - part[0] > 1:
                best[part] = _best(doubt, distance, part)
    return suggestions


def write_suggestions(
    path: Path, sequence: str, suggestions: Sequence[Suggestion], judged: Sequence[JudgedFrame], names: Sequence[str]
) -> None:
    """Write `next_scribbles.json`: the suggested frames, best first, with reasons."""
    worst = worst_by_frame(judged)
    entries = [
        {
            "rank": rank,
            "frame": frame,
            "name": names[frame],
            "expected_gain": gain,
            "doubt": round(worst[frame].doubt, 6) if frame in worst else 0.0,
            "why": worst[frame].why if frame in worst else "",
            "objects": list(object_ids),
            "between_anchors": [left, right],
        }
        for rank, (frame, gain, left, right, object_ids) in enumerate(suggestions, 1)
    ]
    text = json.dumps({"sequence": sequence, "suggestions": entries}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def worst_by_frame(judged: Iterable[JudgedFrame]) -> dict[int, JudgedFrame]:
    """The most doubtful object of each frame: frame index -> its row."""
    worst: dict[int, JudgedFrame] = {}
    for row in judged:
        if row.frame not in worst or row.doubt > worst[row.frame].doubt:
            worst[row.frame] = row
    return worst


def write_frames_csv(path: Path, rows: Iterable[FrameQuality]) -> None:
    """Write `frames.csv`: six decimals, NaN and None as nothing, so that equal values give equal bytes."""
    _write_csv(path, FrameQuality, rows)


def read_frames_csv(path: Path) -> list[FrameQuality]:
    """Read what `write_frames_csv` wrote.

    Raises:
        StageError: the file is missing, or is no such table.
    """
    return _read_csv(path, FrameQuality)


def write_quality_csv(path: Path, rows: Iterable[JudgedFrame]) -> None:
    """Write `quality.csv`, in the format of `frames.csv` with more columns."""
    _write_csv(path, JudgedFrame, rows)


def read_quality_csv(path: Path) -> list[JudgedFrame]:
    """Read what `write_quality_csv` wrote.

    Raises:
        StageError: the file is missing, or is no such table.
    """
    return _read_csv(path, JudgedFrame)


def _signs(
    row: FrameQuality, anchors: Sequence[int], distance: int, keeps: float, jump: float
) -> list[tuple[float, str]]:
    """How strongly each sign speaks against a mask, in [0, 1], and how to say it."""
    if row.source == "lost":
        return [(0.9, row.reason), (0.25 * jump, "")]
    if row.source == "absent":
        return [(0.25 * jump, f"the area changes by {jump:.0%} from one frame to the next")]
    return [
        _drift(row, anchors, distance, keeps),
        (0.1 * (0 if math.isnan(row.score) else 1 - row.score), f"the engine is unsure: score {row.score:.2f}"),
        (0.25 * jump, f"the area changes by {jump:.0%} from one frame to the next"),
        (0.25 * (row.accepted is False), f"refinement rejected: {row.reason}"),
    ]


def _drift(row: FrameQuality, anchors: Sequence[int], distance: int, keeps: float) -> tuple[float, str]:
    left, right = _between(anchors, row.frame)
    if distance == 0:
        return 0.0, ""
    if math.isnan(row.agreement) or left is None or right is None:
        return 1 - keeps**distance, f"carried {distance} frames from one side only"
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
    carried_from = {"forward": left, "backward": right}.get(row.source)
    sides = (left, right) if carried_from is None else (carried_from,)
    return min(abs(row.frame - anchor) for anchor in sides if anchor is not None)


def _stretches(anchors: Sequence[int], frame_count: int) -> list[tuple[int, int]]:
    """The limits, exclusive, of every run of frames without an anchor."""
    limits = [-1, *anchors, frame_count]
    return [(a, b) for a, b in pairwise(limits) if b - a > 1]


class _Choice(NamedTuple):
    frame: int
    gain: float
    gains: NDArray[np.float64]
    """(objects,) what each object contributes to the gain."""
    clearance: int
    """Frames to the nearest anchor."""


def _best(doubt: NDArray[np.float64], distance: NDArray[np.float64], stretch: tuple[int, int]) -> _Choice:
    """The frame of a stretch where an anchor removes most doubt: one pass over the stretch for each of its frames."""
    left, right = stretch
    frames = np.arange(left + 1, right)
    inside, travelled = doubt[:, left + 1 : right], distance[:, left + 1 : right]
    video_length = doubt.shape[1]
    choices = []
    for frame in frames.tolist():
        gains = (inside * np.maximum(0, 1 - np.abs(frames - frame) / travelled)).sum(axis=1)
        sides = (math.inf if left < 0 else frame - left, math.inf if right >= video_length else right - frame)
        clearance = int(min(*sides, video_length))
        # Rounded, so that sums which differ by their last bit count as a tie.
        choices.append(_Choice(frame, round(float(gains.sum()), 9), gains, clearance))
    return min(choices, key=lambda choice: (-choice.gain, -choice.clearance, choice.frame))


_Row = TypeVar("_Row", bound=FrameQuality)
_Column = tuple[Callable[[Any], str], Callable[[str], Any]]
_COLUMNS: Final[Mapping[Any, _Column]] = {
    int: (lambda value: str(int(value)), int),
    str: (str, str),
    float: (
        lambda value: "" if math.isnan(value) else f"{float(value):z.6f}",
        lambda text: float(text) if text else math.nan,
    ),
    bool | None: (
        lambda value: "" if value is None else str(int(value)),
        lambda text: {"": None, "0": False, "1": True}[text],
    ),
}
"""How a field of each type is written and read."""


def _values(row: FrameQuality) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(FrameQuality)}


def _write_csv(path: Path, row_type: type[_Row], rows: Iterable[_Row]) -> None:
    columns = fields(row_type)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in columns])
        for row in rows:
            writer.writerow([_COLUMNS[column.type][0](getattr(row, column.name)) for column in columns])


def _read_csv(path: Path, row_type: type[_Row]) -> list[_Row]:
    columns = fields(row_type)
    rows: list[_Row] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for record in reader:
                values = {column.name: _COLUMNS[column.type][1](record[column.name]) for column in columns}
                if values["source"] not in SOURCES:
                    raise ValueError(f"unknown source {values['source']!r}")
                rows.append(row_type(**values))
    except FileNotFoundError:
        raise StageError(f"{path}: found no such table; recompute the stage that writes it") from None
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        expected = ", ".join(column.name for column in columns)
        raise StageError(
            f"{path}: row {len(rows) + 1} cannot be read ({error!r}), expected the columns {expected}; "
            "delete the folder and run again"
        ) from None
    return rows
