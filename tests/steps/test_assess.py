"""Doubt grows with every sign of error, and the next scribbles go where they remove most of it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from stages.core.errors import StageError
from stages.core.states import Source
from stages.formats.frames_csv import FrameQuality
from stages.formats.report_data import (
    worst_by_frame,
)
from stages.steps.assess import judge
from stages.steps.suggest import suggest

AREA_PX = 400


def row(
    frame: int, agreement: float = 0.9, source: Source = Source.BOTH, object_id: int = 1, **changes: object
) -> FrameQuality:
    agreement = agreement if source == Source.BOTH else math.nan
    return replace(FrameQuality(frame, object_id, 1.0, agreement, source, True, "", AREA_PX), **changes)


def video(frame_count: int, anchors: list[int], agreement: dict[range, float] | None = None) -> list[FrameQuality]:
    """One object: agreement 0.9 between two anchors, but for some stretches; one-sided before and after them."""
    rows = []
    for frame in range(frame_count):
        if frame in anchors:
            rows.append(row(frame, source=Source.ANCHOR))
        elif frame < anchors[0] or frame > anchors[-1]:
            rows.append(row(frame, source=Source.BACKWARD if frame < anchors[0] else Source.FORWARD))
        else:
            here = [value for stretch, value in (agreement or {}).items() if frame in stretch]
            rows.append(row(frame, here[0] if here else 0.9))
    return rows


def names(frame_count: int) -> list[str]:
    return [f"{index:05d}.jpg" for index in range(frame_count)]


def doubts(rows: list[FrameQuality], anchors: list[int], frame_count: int) -> dict[int, float]:
    return {judged.frame: judged.doubt for judged in judge(rows, anchors, names(frame_count))}


def test_what_a_person_gave_is_not_doubted_whatever_lies_beside_it() -> None:
    """The area jumps from frame to frame, which speaks against a mask from strokes."""
    for source, is_doubted in ((Source.ANCHOR, True), (Source.GIVEN, False)):
        rows = [row(0, source=Source.ANCHOR), row(1, area_px=4), row(2, source=source, area_px=AREA_PX)]
        assert (doubts(rows, [0, 2], 3)[2] > 0) == is_doubted


def doubt_of(changed: FrameQuality) -> float:
    """The doubt of one row in an otherwise faultless stretch between the anchors 0 and 10."""
    rows = [other for other in video(11, [0, 10]) if other.frame != changed.frame]
    return doubts([*rows, changed], [0, 10], 11)[changed.frame]


class TestDoubt:
    def test_an_anchor_is_not_doubted(self) -> None:
        assert doubts(video(11, [0, 10]), [0, 10], 11)[0] == 0

    def test_an_anchor_from_a_box_alone_is(self) -> None:
        rows = [replace(each, source=Source.BOX) if each.frame == 10 else each for each in video(11, [0, 10])]
        judged = judge(rows, [0, 10], names(11))[10]
        assert (judged.doubt, judged.why) == (pytest.approx(0.58), "from a box alone")
        others = doubts(video(11, [0, 10]), [0, 10], 11)
        assert all(doubts(rows, [0, 10], 11)[frame] == others[frame] for frame in range(10))

    def test_falls_with_agreement(self) -> None:
        values = [doubt_of(row(5, agreement)) for agreement in (1.0, 0.9, 0.6, 0.3, 0.0)]
        assert values[0] == 0
        assert values == sorted(values)
        assert len(set(values)) == 5

    def test_is_largest_halfway_where_agreement_is_equal(self) -> None:
        found = doubts(video(11, [0, 10]), [0, 10], 11)
        assert found[1] < found[3] < found[5] > found[7] > found[9]
        assert found[1] == pytest.approx(found[9])

    def test_one_side_only_counts_as_doubtful_by_distance(self) -> None:
        found = doubts(video(30, [10]), [10], 30)
        assert [found[frame] for frame in range(9, -1, -1)] == sorted(found[frame] for frame in range(10))
        assert found[22] == pytest.approx(0.5), "12 frames away, without any agreement to learn from"

    def test_one_frame_is_one_frame(self) -> None:
        whys = {each.frame: each.why for each in judge(video(30, [10]), [10], names(30))}
        assert (whys[9], whys[8]) == ("carried 1 frame from one side only", "carried 2 frames from one side only")

    def test_one_side_only_drifts_as_fast_as_the_object_does_elsewhere(self) -> None:
        slow = doubts(video(30, [0, 10], {range(11): 0.95}), [0, 10], 30)
        fast = doubts(video(30, [0, 10], {range(11): 0.40}), [0, 10], 30)
        assert slow[20] == pytest.approx(0.05), (
            "ten frames carried lose what they lose between anchors ten frames apart"
        )
        assert fast[20] == pytest.approx(0.60)
        assert fast[29] > fast[20]

    @pytest.mark.parametrize(
        "worse",
        [
            {"score": 0.2},
            {"accepted": False, "reason": "IoU 0.50 below 0.70"},
            {"area_px": AREA_PX * 3},
            {"source": Source.LOST, "area_px": 0, "agreement": math.nan, "reason": "nothing left", "accepted": None},
        ],
    )
    def test_grows_with_every_other_sign(self, worse: dict[str, object]) -> None:
        assert doubt_of(replace(row(5), **worse)) > doubt_of(row(5)) + 0.02

    def test_a_lost_object_is_doubted_most(self) -> None:
        lost = row(5, source=Source.LOST, area_px=0, accepted=None, reason="nothing left")
        assert doubt_of(lost) > doubt_of(row(5, 0.0, score=0.0, accepted=False, reason="IoU 0.10"))

    def test_an_object_that_nobody_expects_is_not_doubted(self) -> None:
        rows = [row(frame, source=Source.ABSENT, area_px=0, score=0.0, accepted=None) for frame in range(1, 10)]
        assert set(doubts(rows, [0, 10], 11).values()) == {0}

    def test_what_the_engine_finds_absent_is_doubted_as_far_as_it_is_unsure(self) -> None:
        words = "not found (presence 0.40)"
        rows = [row(frame, source=Source.ABSENT, area_px=0, score=0.6, reason=words) for frame in (4, 5, 6)]
        judged = {each.frame: each for each in judge([*rows, row(0, source=Source.ANCHOR)], [0, 10], names(11))}
        assert judged[5].doubt == pytest.approx(0.9 * 0.4)
        assert judged[5].why == f"absent: {words}"

    def test_a_mask_from_one_side_is_as_far_as_its_own_anchor(self) -> None:
        judged = {
            found.frame: found
            for found in judge([row(frame, source=Source.FORWARD) for frame in range(1, 10)], [0, 10], names(11))
        }
        assert judged[9].distance == 9, "anchor 10 does not show the object, so nearness to it says nothing"
        assert judged[9].doubt > judged[1].doubt

    def test_says_why(self) -> None:
        rows = [*video(11, [0, 10])[:5], row(5, 0.2), *video(11, [0, 10])[6:]]
        found = {judged.frame: judged.why for judged in judge(rows, [0, 10], names(11))}
        assert "20%" in found[5]
        assert found[0] == ""
        lost = judge([row(5, source=Source.LOST, reason="a cut")], [0, 10], names(11))
        assert lost[0].why == "a cut"

    def test_stays_between_0_and_1_and_does_not_depend_on_the_order(self) -> None:
        rng = np.random.default_rng(0)
        rows = [
            FrameQuality(
                frame,
                object_id,
                float(rng.choice([0, rng.random(), 1, math.nan])),
                float(rng.choice([0, *rng.random(9), 1, math.nan])),
                Source(rng.choice(list(Source))),
                [None, True, False][rng.integers(3)],
                "",
                int(rng.integers(0, 50)),
            )
            for frame in range(40)
            for object_id in (1, 4)
        ]
        judged = judge(rows, [5, 20, 21], names(40))
        assert all(0 <= found.doubt <= 1 for found in judged)
        assert [(found.frame, found.object_id) for found in judged] == [(f, o) for f in range(40) for o in (1, 4)]
        assert repr(judge(rows[::-1], [21, 5, 20], names(40))) == repr(judged)

    def test_contradictions_are_errors(self) -> None:
        with pytest.raises(StageError, match="twice"):
            judge([row(3), row(3)], [0], names(11))
        with pytest.raises(StageError, match="video of 11 frames"):
            judge([row(11)], [0], names(11))
        with pytest.raises(StageError, match="anchor"):
            judge([row(3)], [], names(11))

    def test_the_worst_object_stands_for_its_frame(self) -> None:
        rows = [row(5, 0.9, object_id=1), row(5, 0.2, object_id=2), row(5, 0.7, object_id=3)]
        assert worst_by_frame(judge(rows, [0, 10], names(11)))[5].object_id == 2


def suggested(rows: list[FrameQuality], anchors: list[int], frame_count: int, count: int = 5) -> list[int]:
    judged = judge(rows, anchors, names(frame_count))
    return [suggestion.frame for suggestion in suggest(judged, anchors, frame_count, count)]


class TestSuggestions:
    ANCHORS = (0, 10, 20, 30, 40)

    def test_lie_in_the_worst_stretch_first(self) -> None:
        rows = video(41, list(self.ANCHORS), {range(11, 20): 0.5, range(31, 40): 0.2})
        found = suggested(rows, list(self.ANCHORS), 41)
        assert found[0] == 35
        assert found[1] in range(11, 20)

    def test_prefer_a_doubtful_neighbourhood_to_the_single_worst_frame(self) -> None:
        rows = video(41, list(self.ANCHORS), {range(11, 12): 0.0, range(31, 40): 0.5})
        judged = judge(rows, self.ANCHORS, names(41))
        assert max(judged, key=lambda found: found.doubt).frame != 35
        assert suggest(judged, self.ANCHORS, 41)[0].frame == 35

    def test_gain_is_the_documented_sum(self) -> None:
        rng = np.random.default_rng(1)
        rows = [
            replace(found, agreement=float(rng.random()), object_id=object_id) if found.source == Source.BOTH else found
            for object_id in (1, 2)
            for found in (replace(found, object_id=object_id) for found in video(25, [4, 11, 20]))
        ]
        judged = judge(rows, [4, 11, 20], names(25))
        stretches = (range(4), range(5, 11), range(12, 20), range(21, 25))
        gains = {
            frame: sum(
                found.doubt * max(0, 1 - abs(found.frame - frame) / found.distance)
                for found in judged
                if found.frame in stretch
            )
            / (25 * 2)
            for stretch in stretches
            for frame in stretch
        }
        best = suggest(judged, [4, 11, 20], 25)[0]
        assert best.frame == max(gains, key=lambda frame: gains[frame])
        assert best.gain == pytest.approx(gains[best.frame], abs=1e-6)

    def test_count_on_the_ones_before(self) -> None:
        rows = video(41, list(self.ANCHORS), {range(31, 40): 0.1})
        judged = judge(rows, self.ANCHORS, names(41))
        found = suggest(judged, self.ANCHORS, 41, count=3)
        assert [one.gain for one in found] == sorted((one.gain for one in found), reverse=True)
        assert min(abs(one.frame - other.frame) for one in found for other in found if one is not other) > 1
        first, *later = [one for one in found if one.frame in range(31, 40)]
        assert (first.left, first.right) == (30, 40)
        assert later
        assert all(first.frame in (one.left, one.right) for one in later)

    def test_ties_go_to_the_frame_farthest_from_every_anchor(self) -> None:
        rows = video(60, [0, 10, 40, 59], {range(60): 1.0})
        assert suggested(rows, [0, 10, 40, 59], 60)[0] == 25

    def test_ends_of_the_video_count(self) -> None:
        found = suggested(video(60, [40, 50]), [40, 50], 60)
        assert found[0] < 30

    def test_never_name_an_anchor_and_never_more_frames_than_there_are(self) -> None:
        assert sorted(suggested(video(5, [1, 3]), [1, 3], 5, count=9)) == [0, 2, 4]
        assert suggested(video(2, [0, 1]), [0, 1], 2) == []

    def test_never_name_what_was_declined_but_the_next_best(self) -> None:
        rows = video(41, list(self.ANCHORS), {range(31, 40): 0.2})
        judged = judge(rows, self.ANCHORS, names(41))
        assert suggest(judged, self.ANCHORS, 41)[0].frame == 35
        found = [one.frame for one in suggest(judged, self.ANCHORS, 41, declined=[35])]
        assert found[0] in (34, 36) and 35 not in found and len(found) == 5
        assert [one.frame for one in suggest(judged, self.ANCHORS, 41, declined=range(41))] == []

    def test_name_the_objects_that_they_help(self) -> None:
        rows = [
            *(replace(found, object_id=3) for found in video(21, [0, 20], {range(21): 0.6})),
            *(replace(found, object_id=5) for found in video(21, [0, 20], {range(21): 0.2})),
            *(replace(found, object_id=8) for found in video(21, [0, 20], {range(21): 1.0})),
        ]
        assert suggest(judge(rows, [0, 20], names(21)), [0, 20], 21)[0].object_ids == (5, 3)

    def test_are_made_even_where_no_object_is_known(self) -> None:
        assert [one.frame for one in suggest([], [0], 11, count=1)] == [10]

    def test_come_with_reasons_and_a_gain_that_is_less_than_the_doubt(self) -> None:
        rows = video(41, list(self.ANCHORS), {range(31, 40): 0.2})
        judged = judge(rows, self.ANCHORS, names(41))
        first, *_ = suggest(judged, self.ANCHORS, 41)
        doubtful = next(found for found in judged if found.frame == 35)
        assert (first.frame, first.left, first.right, first.object_ids) == (35, 30, 40, (1,))
        assert "20%" in doubtful.why
        assert 0 < first.gain < doubtful.doubt
