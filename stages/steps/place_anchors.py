"""Which frames to annotate, and the stretches between them (paper, Eq. 1)."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from stages.core.errors import InputError
from stages.core.plan import Plan

PLACEMENTS = ("eq1", "spread", "given")


def plan(
    frame_count: int,
    annotated: Sequence[int],
    requests: int = 7,
    placement: str = "eq1",
    issued: Sequence[int] = (),
    declined: Collection[int] = (),
) -> Plan:
    """Choose the anchors of a video; a pure function, called while the task graph is built.

    With k = requests + 1, `eq1` takes the frames floor(n*i/k) - 1, 0 < i <= k (paper, Eq. 1, counted from 0). Each
    frame that is annotated already stands in for the member nearest to it, so that min(n, k) frames are annotated in
    the end (or all that were annotated, if those are more). `spread` minimises the summed distance of all frames to
    their nearest anchor with the annotated frames fixed. `given` asks for nothing.

    Args:
        frame_count: n, at least 1.
        annotated: frame indices that have scribbles.
        requests: how many frames people are asked to annotate beyond the first.
        placement: `eq1`, `spread` or `given`.
        issued: anchors that people were asked for by an earlier call: they never move, and frames annotated beyond them
            join the plan without re-planning it.
        declined: frames that nobody is to be asked for. While anchors are chosen they count as annotated, so that no
            other frame is asked for in their place; then they are left out, unless they are annotated all the same.

    Raises:
        InputError: an annotated frame lies outside the video, an unknown placement, `given` without any annotation, or
            every frame was declined.
    """
    fixed = sorted(set(annotated))
    if outside := [index for index in fixed if not 0 <= index < frame_count]:
        raise InputError(
            f"the scribbles name frame {outside[0]}, but the video has the frames 0 to {frame_count - 1}. "
            "Correct the scribble file, or import the whole video."
        )
    if placement == "given":
        if not fixed:
            raise InputError(
                "placement `given` uses only frames that are annotated already, and none is. "
                "Annotate a frame, or choose the placement `eq1` or `spread`."
            )
        return Plan(frame_count, tuple(fixed), ())
    wanted = min(frame_count, requests + 1)
    gone = {index for index in declined if 0 <= index < frame_count} - set(fixed)
    settled = sorted(gone.union(fixed))
    if issued:
        chosen = {index for index in issued if 0 <= index < frame_count}
    elif placement == "eq1":
        chosen = _without_nearest(_equation_1(frame_count, wanted), settled)
    elif placement == "spread":
        chosen = _spread(frame_count, settled, wanted)
    else:
        raise InputError(f"unknown placement `{placement}`: expected one of {', '.join(PLACEMENTS)}.")
    anchors = tuple(sorted(chosen - gone | set(fixed)))
    if not anchors:
        raise InputError(
            f"found no frame that is annotated or may be asked for: {len(gone)} were declined. Ask for one of them "
            "again (lis scribbles decline --ask-again), or annotate a frame."
        )
    return Plan(frame_count, anchors, tuple(sorted(set(anchors) - set(fixed))))


def _equation_1(frame_count: int, count: int) -> list[int]:
    """Members of Eq. 1, counted from 0: distinct, since count <= frame_count."""
    return [frame_count * i // count - 1 for i in range(1, count + 1)]


def _without_nearest(members: list[int], fixed: list[int]) -> set[int]:
    """Drop one member for each fixed frame: itself if it is one, else the nearest that is left (ties: the earlier)."""
    left = set(members) - set(fixed)
    for index in fixed:
        if index not in members and left:
            left.remove(min(left, key=lambda member: (abs(member - index), member)))
    return left


def _spread(frame_count: int, fixed: list[int], wanted: int) -> set[int]:
    """Anchors that minimise the summed distance to the nearest anchor; exact, by dynamic programming.

    best[s, j] is the least cost of the frames before j with an anchor at j and s anchors before it. The frames between
    two neighbouring anchors cost 1 + 2 + ... from both ends; a stretch that jumps over a fixed frame is forbidden.
    """
    if len(fixed) >= wanted:
        return set()
    best = np.full((wanted, frame_count), np.inf)
    came_from = np.zeros((wanted, frame_count), dtype=np.int64)
    for j in range(frame_count):
        last_fixed = max((index for index in fixed if index < j), default=-1)
        if last_fixed < 0:
            best[0, j] = _ramp(j)
        first = max(last_fixed, 0)
        if first < j:
            gap = np.arange(j - first - 1, -1, -1)
            cost = best[:-1, first:j] + _ramp(gap // 2) + _ramp(gap - gap // 2)
            came_from[1:, j] = first + cost.argmin(axis=1)
            best[1:, j] = cost.min(axis=1)
    total = best[-1] + _ramp(np.arange(frame_count - 1, -1, -1))
    if fixed:
        total[: fixed[-1]] = np.inf
    path = [int(total.argmin())]
    for step in range(wanted - 1, 0, -1):
        path.append(int(came_from[step, path[-1]]))
    return set(path) - set(fixed)


def _ramp(length: Any) -> Any:
    """1 + 2 + ... + length."""
    return length * (length + 1) // 2
