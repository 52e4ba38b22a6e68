"""Where the next scribbles help most.

A new anchor at t helps the frames nearer to t than to their anchors, in proportion: from distance d to |s - t|,

    gain(t) = sum over objects and frames s of doubt(s) max(0, 1 - |s - t| / d(s)) / (frames x objects)

which is in units of mean J: the area between the old curve of doubt and the new one. Not the single worst frame wins,
but the one whose neighbourhood loses most doubt.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.formats.report_data import JudgedFrame, Suggestion


def suggest(
    judged: Sequence[JudgedFrame],
    anchors: Iterable[int],
    frame_count: int,
    count: int = 5,
    declined: Collection[int] = (),
) -> list[Suggestion]:
    """Choose the frames whose scribbles are expected to help most, one after the other.

    Each choice counts the ones before it as anchors, so that neighbours are not suggested together. Of frames with the
    same gain the one farthest from all anchors comes first, then the earliest.

    Args:
        judged: what `judge` returned.
        anchors: the annotated frames, which are never suggested.
        frame_count: length of the video.
        count: the most suggestions to make.
        declined: frames that nobody wants to scribble on; the next best of their stretch is suggested in their place.

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
    best = dict[tuple[int, int], _Choice]()

    unwanted = frozenset(declined)

    def look_into(stretch: tuple[int, int]) -> None:
        choices = _choices(doubt, distance, stretch, unwanted)
        if choices:
            best[stretch] = min(choices, key=_by_gain)

    for stretch in _stretches(given, frame_count):
        look_into(stretch)
    suggestions: list[Suggestion] = []
    while best and len(suggestions) < count:
        stretch, choice = min(best.items(), key=lambda item: _by_gain(item[1]))
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
        look_into((left, choice.frame))
        look_into((choice.frame, right))
    return suggestions


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


def _by_gain(choice: _Choice) -> tuple[float, int, int]:
    """The best first."""
    return -choice.gain, -choice.clearance, choice.frame


def _choices(
    doubt: NDArray[np.float64], distance: NDArray[np.float64], stretch: tuple[int, int], declined: Collection[int]
) -> list[_Choice]:
    """What an anchor would remove of the doubt, on each frame of a stretch: one pass over the stretch for each."""
    left, right = stretch
    frames = np.arange(left + 1, right)
    inside, travelled = doubt[:, left + 1 : right], distance[:, left + 1 : right]
    video_length = doubt.shape[1]
    choices = []
    for frame in (each for each in frames.tolist() if each not in declined):
        gains = (inside * np.maximum(0, 1 - np.abs(frames - frame) / travelled)).sum(axis=1)
        sides = (math.inf if left < 0 else frame - left, math.inf if right >= video_length else right - frame)
        clearance = int(min(*sides, video_length))
        # Rounded, so that sums which differ by their last bit count as a tie.
        choices.append(_Choice(frame, round(float(gains.sum()), 9), gains, clearance))
    return choices
