"""Doubt grows with every sign of error, and the next scribbles go where they remove most of it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import StageError
from stages.formats.frames_csv import SOURCES, FrameQuality, read_frames_csv, write_frames_csv
from stages.formats.report_data import (
    JudgedFrame,
    read_quality_csv,
    worst_by_frame,
    write_quality_csv,
    write_suggestions,
)
from stages.steps.assess import judge, suggest

AREA_PX = 400


def row(
    frame: int, agreement: float = 0.9, source: str = "both", object_id: int = 1, **changes: object
) -> FrameQuality:
    agreement = agreement if source == "both" else math.nan
    return replace(FrameQuality(frame, object_id, 1.0, agreement, source, True, "", AREA_PX), **changes)


def video(frame_count: int, anchors: list[int], agreement: dict[range, float] | None = None) -> list[FrameQuality]:
    """One object: agreement 0.9 between two anchors, but for some stretches; one-sided before and after them."""
    rows = []
    for frame in range(frame_count):
        if frame in anchors:
            rows.append(row(frame, source="anchor"))
        elif frame < anchors[0] or frame > anchors[-1]:
            rows.append(row(frame, source="backward" if frame < anchors[0] else "forward"))
        else:
            here = [value for stretch, value in (agreement or {}).items() if frame in stretch]
            rows.append(row(frame, here[0] if here else 0.9))
    return rows


def names(frame_count: int) -> list[str]:
    return [f"{index:05d}.jpg" for index in range(frame_count)]


def doubts(rows: list[FrameQuality], anchors: list[int], frame_count: int) -> dict[int, float]:
    return {judged.frame: judged.doubt for judged in judge(rows, anchors, names(frame_count))}


def doubt_of(changed: FrameQuality) -> float:
    """The doubt of one row in an otherwise faultless stretch between the anchors 0 and 10."""
    rows = [other for other in video(11, [0, 10]) if other.frame != changed.frame]
    return doubts([*rows, changed], [0, 10], 11)[changed.frame]


class TestTables:
    ROWS = (
        FrameQuality(0, 1, 1.0, math.nan, "anchor", None, "", 12),
        FrameQuality(1, 1, 0.123456, 0.75, "both", True, "", 0),
        FrameQuality(1, 7, 0.0, math.nan, "lost", None, 'lost: score 0.01, "too low";\nsaid twice', 0),
        FrameQuality(2, 7, 0.5, math.nan, "forward", False, "IoU 0.61 below 0.70", 99999),
    )

    def test_frames_come_back_as_they_were(self, tmp_path: Path) -> None:
        write_frames_csv(tmp_path / "frames.csv", self.ROWS)
        back = read_frames_csv(tmp_path / "frames.csv")
        assert repr(back) == repr(list(self.ROWS))

    def test_columns_are_those_that_people_are_told(self, tmp_path: Path) -> None:
        write_frames_csv(tmp_path / "frames.csv", self.ROWS[:2])
        assert (tmp_path / "frames.csv").read_bytes() == (
            b"frame,object_id,score,agreement,source,accepted,reason,area_px\n"
            b"0,1,1.000000,,anchor,,,12\n"
            b"1,1,0.123456,0.750000,both,1,,0\n"
        )

    def test_equal_values_give_equal_bytes_whatever_their_type(self, tmp_path: Path) -> None:
        plain = FrameQuality(3, 1, 0.25, 0.1, "both", True, "", 5)
        typed = FrameQuality(
            np.int64(3), np.int32(1), np.float32(0.25), np.float32(0.1), "both", np.True_, "", np.int64(5)
        )
        negative_zero = replace(plain, score=-0.0)
        for name, value in {
            "plain": plain,
            "typed": typed,
            "zero": replace(plain, score=0.0),
            "negative": negative_zero,
        }.items():
            write_frames_csv(tmp_path / name, [value])
        assert (tmp_path / "plain").read_bytes() == (tmp_path / "typed").read_bytes()
        assert (tmp_path / "zero").read_bytes() == (tmp_path / "negative").read_bytes()

    def test_quality_comes_back_and_writes_the_same_bytes_again(self, tmp_path: Path) -> None:
        write_quality_csv(tmp_path / "one.csv", judge(video(20, [3, 9, 15]), [3, 9, 15], names(20)))
        back = read_quality_csv(tmp_path / "one.csv")
        write_quality_csv(tmp_path / "two.csv", back)
        assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
        assert [judged.name for judged in back] == names(20)
        assert isinstance(back[0], JudgedFrame)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("0,1,one,,anchor,,,12", "row 1"),
            ("0,1,1.0,,anchor,,,12\n0,1,1.0,,elsewhere,,,12", "row 2.*elsewhere"),
            ("0,1,1.0,,anchor,2,,12", "row 1"),
            ("0,1,1.0", "row 1"),
        ],
    )
    def test_a_damaged_table_says_where(self, tmp_path: Path, line: str, message: str) -> None:
        path = tmp_path / "frames.csv"
        path.write_text(f"frame,object_id,score,agreement,source,accepted,reason,area_px\n{line}\n", encoding="utf-8")
        with pytest.raises(StageError, match=message):
            read_frames_csv(path)

    def test_a_missing_table_or_column_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(StageError, match=r"frames\.csv"):
            read_frames_csv(tmp_path / "frames.csv")
        write_frames_csv(tmp_path / "frames.csv", self.ROWS)
        with pytest.raises(StageError, match="doubt"):
            read_quality_csv(tmp_path / "frames.csv")


class TestDoubt:
    def test_an_anchor_is_not_doubted(self) -> None:
        assert doubts(video(11, [0, 10]), [0, 10], 11)[0] == 0

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
            {"source": "lost", "area_px": 0, "agreement": math.nan, "reason": "lost: nothing left", "accepted": None},
        ],
    )
    def test_grows_with_every_other_sign(self, worse: dict[str, object]) -> None:
        assert doubt_of(replace(row(5), **worse)) > doubt_of(row(5)) + 0.02

    def test_a_lost_object_is_doubted_most(self) -> None:
        lost = row(5, source="lost", area_px=0, accepted=None, reason="lost: nothing left")
        assert doubt_of(lost) > doubt_of(row(5, 0.0, score=0.0, accepted=False, reason="IoU 0.10"))

    def test_an_object_that_nobody_expects_is_not_doubted(self) -> None:
        rows = [
            row(frame, source="absent", area_px=0, score=0.0, accepted=None, reason="absent") for frame in range(1, 10)
        ]
        assert set(doubts(rows, [0, 10], 11).values()) == {0}

    def test_a_mask_from_one_side_is_as_far_as_its_own_anchor(self) -> None:
        judged = {
            found.frame: found
            for found in judge([row(frame, source="forward") for frame in range(1, 10)], [0, 10], names(11))
        }
        assert judged[9].distance == 9, "anchor 10 does not show the object, so nearness to it says nothing"
        assert judged[9].doubt > judged[1].doubt

    def test_says_why(self) -> None:
        rows = [*video(11, [0, 10])[:5], row(5, 0.2), *video(11, [0, 10])[6:]]
        found = {judged.frame: judged.why for judged in judge(rows, [0, 10], names(11))}
        assert "20%" in found[5]
        assert found[0] == ""
        lost = judge([row(5, source="lost", reason="lost: a cut")], [0, 10], names(11))
        assert lost[0].why == "lost: a cut"

    def test_stays_between_0_and_1_and_does_not_depend_on_the_order(self) -> None:
        rng = np.random.default_rng(0)
        rows = [
            FrameQuality(
                frame,
                object_id,
                float(rng.choice([0, rng.random(), 1, math.nan])),
                float(rng.choice([0, *rng.random(9), 1, math.nan])),
                str(rng.choice(sorted(SOURCES))),
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
            replace(found, agreement=float(rng.random()), object_id=object_id) if found.source == "both" else found
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

    def test_name_the_objects_that_they_help(self) -> None:
        rows = [
            *(replace(found, object_id=3) for found in video(21, [0, 20], {range(21): 0.6})),
            *(replace(found, object_id=5) for found in video(21, [0, 20], {range(21): 0.2})),
            *(replace(found, object_id=8) for found in video(21, [0, 20], {range(21): 1.0})),
        ]
        assert suggest(judge(rows, [0, 20], names(21)), [0, 20], 21)[0].object_ids == (5, 3)

    def test_are_made_even_where_no_object_is_known(self) -> None:
        assert [one.frame for one in suggest([], [0], 11, count=1)] == [10]

    def test_file_is_ranked_and_says_why(self, tmp_path: Path) -> None:
        rows = video(41, list(self.ANCHORS), {range(31, 40): 0.2})
        judged = judge(rows, self.ANCHORS, names(41))
        write_suggestions(tmp_path / "next.json", "gym", suggest(judged, self.ANCHORS, 41), judged, names(41))
        content = json.loads((tmp_path / "next.json").read_text(encoding="utf-8"))
        assert content["sequence"] == "gym"
        first = content["suggestions"][0]
        assert (first["rank"], first["frame"], first["name"]) == (1, 35, "00035.jpg")
        assert first["objects"] == [1]
        assert first["between_anchors"] == [30, 40]
        assert "20%" in first["why"]
        assert 0 < first["expected_gain"] < first["doubt"]
