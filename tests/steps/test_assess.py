"""Doubt grows with every sign of error, and is none where a person has given the mask."""

import math
from dataclasses import replace

import numpy as np
import pytest

from stages.core.errors import StageError
from stages.core.states import Source
from stages.core.types import Look
from stages.formats.frames_csv import FrameQuality
from stages.formats.report_data import JudgedFrame, worst_by_frame
from stages.steps.assess import judge

AREA_PX = 400
SOUND = {"sureness": 0.95, "largest": 1.0}
GONE = {"area_px": 0, "agreement": math.nan, "accepted": None, **vars(Look())}


def row(frame: int, source: Source = Source.BOTH, object_id: int = 1, **changes: object) -> FrameQuality:
    agreement = 0.9 if source == Source.BOTH else math.nan
    sound = FrameQuality(frame, object_id, 0.9, agreement, source, True, "", AREA_PX, **SOUND)
    return replace(sound, **changes)


def stretch(*changed: FrameQuality, **everywhere: object) -> list[FrameQuality]:
    """A sound object between the anchors 0 and 10, but for some rows."""
    rows = {frame: row(frame, Source.BOTH if frame % 10 else Source.ANCHOR, **everywhere) for frame in range(11)}
    return list({**rows, **{each.frame: each for each in changed}}.values())


def names(frame_count: int) -> list[str]:
    return [f"{index:05d}.jpg" for index in range(frame_count)]


def judged(rows: list[FrameQuality]) -> dict[int, JudgedFrame]:
    return {each.frame: each for each in judge(rows, [0, 10], names(11))}


def doubt_of(changed: FrameQuality) -> float:
    """In an otherwise sound stretch."""
    return judged(stretch(changed))[changed.frame].doubt


def test_what_a_person_gave_is_not_doubted_whatever_lies_beside_it() -> None:
    """The area jumps from frame to frame, which speaks against a mask from strokes."""
    beside = row(9, area_px=4)
    found = {source: judged(stretch(beside, row(10, source)))[10].doubt for source in (Source.ANCHOR, Source.GIVEN)}
    assert found[Source.ANCHOR] > found[Source.GIVEN] == 0


def test_a_mask_from_strokes_is_doubted_as_far_as_its_soft_mask_is_unsure() -> None:
    values = [doubt_of(row(10, Source.ANCHOR, sureness=sureness)) for sureness in (0.99, 0.9, 0.7, 0.4)]
    assert values == sorted(values) and values[0] < 0.15 and values[-1] > values[0] + 0.1


def test_two_wrong_anchors_are_seen_through_though_they_agree() -> None:
    """As where both have taken the shadow for a part of the object: the network is sure of it nowhere."""
    faulty = {"sureness": 0.5, "largest": 0.8}
    assert judged(stretch(**faulty, agreement=1.0))[5].doubt > judged(stretch(agreement=0.8))[5].doubt + 0.2


def test_strokes_from_a_box_alone_are_a_guess_that_is_told() -> None:
    found = judged(stretch(row(10, Source.BOX)))[10]
    assert found.doubt >= 0.35 and found.why == "from a box alone"


@pytest.mark.parametrize(
    "worse",
    [
        {"sureness": 0.6},
        {"largest": 0.5},
        {"area_px": AREA_PX * 3},
        {"source": Source.FORWARD, "agreement": math.nan},
    ],
)
def test_a_carried_mask_is_doubted_more_with_every_sign(worse: dict[str, object]) -> None:
    assert doubt_of(row(5, **worse)) > doubt_of(row(5)) + 0.005


def test_a_sign_that_is_not_known_is_a_usual_one() -> None:
    known = [doubt_of(row(5, largest=largest)) for largest in (1.0, 0.2)]
    assert known[0] < doubt_of(row(5, largest=math.nan)) < known[1]


def test_what_former_versions_wrote_is_judged_by_what_they_knew() -> None:
    def doubt(agreement: float) -> float:
        former = [replace(each, **vars(Look())) for each in stretch(row(5, agreement=agreement))]
        return judged(former)[5].doubt

    values = [doubt(agreement) for agreement in (1.0, 0.8, 0.4, 0.0)]
    assert values == sorted(values) and values[-1] > values[0] + 0.05
    assert judged([replace(each, **vars(Look())) for each in stretch()])[0].why == "", "nothing is known of the anchor"


def test_absence_that_nobody_doubts_and_absence_that_an_anchor_denies() -> None:
    gone = [row(frame, Source.ABSENT, reason="not found", score=0.5, **GONE) for frame in range(1, 10)]
    assert {each.doubt for each in judged(gone).values()} == {0.0}
    found = judged(stretch(*gone))
    assert found[1].doubt > found[5].doubt > 0, "more where it has just been seen"
    assert found[1].why == "absent: not found"


def test_strokes_that_gave_no_mask_are_doubted_most() -> None:
    """Their own pixels are left."""
    lost = row(10, Source.LOST, reason="scribbled, but the segmenter found nothing", **{**GONE, "area_px": 7})
    found = judged(stretch(lost))
    assert found[10].doubt == max(each.doubt for each in found.values()) == pytest.approx(0.9)
    assert found[10].why == "scribbled, but the segmenter found nothing"


def test_a_mask_of_which_nothing_is_left_is_lost() -> None:
    found = judged(stretch(row(5, area_px=0, **vars(Look()))))[5]
    assert (found.doubt, found.why) == (pytest.approx(0.6), "nothing is left of the mask")


def test_a_mask_from_one_side_is_as_far_as_its_own_anchor() -> None:
    found = judged([row(frame, Source.FORWARD) for frame in range(1, 10)])
    assert found[9].distance == 9, "anchor 10 does not show the object, so nearness to it says nothing"
    assert found[9].doubt > found[1].doubt


def test_it_says_why_and_nothing_where_nothing_is_wrong() -> None:
    found = judged(stretch(row(5, sureness=0.41)))
    assert "41%" in found[5].why and found[0].why == ""


def test_doubt_stays_between_0_and_1_and_does_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(0)

    def any_share() -> float:
        return float(rng.choice([0, *rng.random(9), 1, math.nan]))

    rows = [
        FrameQuality(
            frame,
            object_id,
            any_share(),
            any_share(),
            Source(rng.choice(list(Source))),
            [None, True, False][rng.integers(3)],
            "",
            int(rng.integers(0, 50)),
            **{name: any_share() for name in SOUND},
        )
        for frame in range(40)
        for object_id in (1, 4)
    ]
    found = judge(rows, [5, 20, 21], names(40))
    assert all(0 <= each.doubt <= 1 for each in found)
    assert [(each.frame, each.object_id) for each in found] == [(f, o) for f in range(40) for o in (1, 4)]
    assert repr(judge(rows[::-1], [21, 5, 20], names(40))) == repr(found)


def test_contradictions_are_errors() -> None:
    with pytest.raises(StageError, match="twice"):
        judge([row(3), row(3)], [0], names(11))
    with pytest.raises(StageError, match="video of 11 frames"):
        judge([row(11)], [0], names(11))
    with pytest.raises(StageError, match="anchor"):
        judge([row(3)], [], names(11))


def test_the_worst_object_stands_for_its_frame() -> None:
    rows = [row(5, object_id=each, sureness=sureness) for each, sureness in ((1, 0.9), (2, 0.3), (3, 0.7))]
    assert worst_by_frame(judge(rows, [0, 10], names(11)))[5].object_id == 2
