"""The next scribbles go where they remove most doubt."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from stages.core.states import Source
from stages.formats.report_data import JudgedFrame
from stages.steps.suggest import suggest

ANCHORS = (0, 10, 20, 30, 40)


def video(
    frame_count: int, anchors: Sequence[int], doubts: Mapping[range, float] | None = None, object_id: int = 1
) -> list[JudgedFrame]:
    """One object: no doubt on anchors, 0.1 between them, but for some stretches."""
    rows = []
    for frame in range(frame_count):
        distance = min(abs(frame - anchor) for anchor in anchors)
        source = Source.BOTH if distance else Source.ANCHOR
        doubt = next((value for stretch, value in (doubts or {}).items() if frame in stretch), 0.1) if distance else 0
        rows.append(
            JudgedFrame(frame, object_id, 1, math.nan, source, True, "", 9, f"{frame}.jpg", distance, 0, doubt, "")
        )
    return rows


def suggested(rows: list[JudgedFrame], anchors: Sequence[int], frame_count: int, count: int = 5) -> list[int]:
    return [suggestion.frame for suggestion in suggest(rows, anchors, frame_count, count)]


def test_they_lie_in_the_worst_stretch_first() -> None:
    found = suggested(video(41, ANCHORS, {range(11, 20): 0.3, range(31, 40): 0.6}), ANCHORS, 41)
    assert found[0] == 35
    assert found[1] in range(11, 20)


def test_a_doubtful_neighbourhood_comes_before_the_single_worst_frame() -> None:
    rows = video(41, ANCHORS, {range(11, 12): 0.9, range(31, 40): 0.4})
    assert suggest(rows, ANCHORS, 41)[0].frame == 35


def test_the_gain_is_the_documented_sum() -> None:
    rng = np.random.default_rng(1)
    rows = [
        replace(found, doubt=float(rng.random()) if found.distance else 0.0)
        for object_id in (1, 2)
        for found in video(25, (4, 11, 20), object_id=object_id)
    ]
    stretches = (range(4), range(5, 11), range(12, 20), range(21, 25))
    gains = {
        frame: sum(
            found.doubt * max(0, 1 - abs(found.frame - frame) / found.distance)
            for found in rows
            if found.frame in stretch
        )
        / (25 * 2)
        for stretch in stretches
        for frame in stretch
    }
    best = suggest(rows, (4, 11, 20), 25)[0]
    assert best.frame == max(gains, key=lambda frame: gains[frame])
    assert best.gain == pytest.approx(gains[best.frame], abs=1e-6)


def test_they_count_on_the_ones_before() -> None:
    found = suggest(video(41, ANCHORS, {range(31, 40): 0.7}), ANCHORS, 41, count=3)
    assert [one.gain for one in found] == sorted((one.gain for one in found), reverse=True)
    assert min(abs(one.frame - other.frame) for one in found for other in found if one is not other) > 1
    first, *later = [one for one in found if one.frame in range(31, 40)]
    assert (first.left, first.right) == (30, 40)
    assert later
    assert all(first.frame in (one.left, one.right) for one in later)


def test_ties_go_to_the_frame_farthest_from_every_anchor() -> None:
    assert suggested(video(60, (0, 10, 40, 59), {range(60): 0.0}), (0, 10, 40, 59), 60)[0] == 25


def test_the_ends_of_the_video_count() -> None:
    assert suggested(video(60, (40, 50)), (40, 50), 60)[0] < 30


def test_they_never_name_an_anchor_and_never_more_frames_than_there_are() -> None:
    assert sorted(suggested(video(5, (1, 3)), (1, 3), 5, count=9)) == [0, 2, 4]
    assert suggested(video(2, (0, 1)), (0, 1), 2) == []


def test_they_never_name_what_was_declined_but_the_next_best() -> None:
    rows = video(41, ANCHORS, {range(31, 40): 0.8})
    assert suggest(rows, ANCHORS, 41)[0].frame == 35
    found = [one.frame for one in suggest(rows, ANCHORS, 41, declined=[35])]
    assert found[0] in range(31, 40) and 35 not in found and len(found) == 5
    assert [one.frame for one in suggest(rows, ANCHORS, 41, declined=range(41))] == []


def test_they_name_the_objects_that_they_help_and_where() -> None:
    doubts = {3: 0.3, 5: 0.6, 8: 0.0}
    rows = [row for each, doubt in doubts.items() for row in video(21, (0, 20), {range(21): doubt}, each)]
    found = suggest(rows, (0, 20), 21)[0]
    assert (found.left, found.right, found.object_ids) == (0, 20, (5, 3))
    assert 0 < found.gain < 0.6


def test_they_are_made_even_where_no_object_is_known() -> None:
    assert [one.frame for one in suggest([], [0], 11, count=1)] == [10]
