"""Where to look: one card a stretch, so that eight cards are eight places."""

import math
from dataclasses import replace

from stages.core.states import Source
from stages.formats.report_data import JudgedFrame
from stages.steps.page.doubt import Card, Doubts

PLAIN = JudgedFrame(0, 1, 0.9, 0.8, Source.BOTH, True, "", 50, "a.png", 1, 0.0, 0.1, "")


def doubts(*rows: JudgedFrame) -> Doubts:
    return Doubts("content", 10, (3, 6), rows)


def test_each_stretch_has_one_card_the_worst_first() -> None:
    worth = {0: 0.1, 1: 0.2, 2: 0.15, 3: 0.3, 4: 0.5, 5: 0.4, 6: 0.6, 7: 0.7, 8: 0.65}
    why = [replace(PLAIN, frame=frame, doubt=doubt, why=f"at {frame}") for frame, doubt in worth.items()]
    found = doubts(*why, replace(PLAIN, frame=9, doubt=1.0)).cards
    assert found == [
        Card(7, 1, 0.7, "at 7", (6, 9)),
        Card(6, 1, 0.6, "at 6", (6, 6)),
        Card(4, 1, 0.5, "at 4", (3, 6)),
        Card(3, 1, 0.3, "at 3", (3, 3)),
        Card(1, 1, 0.2, "at 1", (0, 3)),
    ]


def test_of_two_objects_the_more_doubtful_one_is_on_the_card() -> None:
    one, two = replace(PLAIN, frame=4, why="one"), replace(PLAIN, frame=4, object_id=2, doubt=0.3, why="two")
    assert doubts(one, two).cards == [Card(4, 2, 0.3, "two", (3, 6))]


def test_what_is_plain_is_not_told_where_it_comes_from() -> None:
    lost = replace(PLAIN, frame=4, source=Source.LOST, reason="no match", agreement=math.nan, area_px=0)
    found = doubts(PLAIN, lost, replace(PLAIN, frame=5, object_id=2, source=Source.GIVEN))
    assert found.sources == {1: {4: "lost: no match"}, 2: {5: "given"}}
    assert found.agreement[1][:5] == [0.8, None, None, None, None]
    assert found.area((10, 10))[1][:5] == [0.5, 0, 0, 0, 0]
