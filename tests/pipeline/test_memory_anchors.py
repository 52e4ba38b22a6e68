"""With `memory_anchors = 4`, a stretch rests on the anchors next to its own, too, if its propagator uses them."""

from typing import Any

import pytest

from tasks import TrackSegment
from tests.conftest import Project
from tests.pipeline.test_given_masks import give
from tests.pipeline.test_resume import AFTER_A_STROKE_ON_5, move_a_stroke

FOUR = ("--memory-anchors", "4", "--propagator", "match:trunk", "--refiner", "none")


def track(project: Project, start: int, stop: int, **options: object) -> Any:
    return project.task(TrackSegment, start=start, stop=stop, **{"propagator": "match:trunk", **options})


def test_only_what_an_engine_makes_use_of_is_in_the_key(finished: Project) -> None:
    two, four = (track(finished, 2, 5, memory_anchors=number).uses() for number in "24")
    assert list(four.pop("beyond")) == ["8"]
    assert four.pop("anchor_masks")[:2] == two.pop("anchor_masks") and four == two
    outermost = track(finished, 0, 2, memory_anchors="4")
    assert [task.frame for task in outermost.anchor_masks()] == [2, 5]
    flow = track(finished, 2, 5, memory_anchors="4", propagator="flow")
    assert flow.uses() == track(finished, 2, 5, propagator="flow").uses() and flow.is_complete()


def test_what_is_approved_or_given_counts_beyond_as_on_its_own_anchors(finished: Project) -> None:
    asked = track(finished, 2, 5, memory_anchors="4", approve_anchors=True)
    assert [each.frame for each in asked.approvals()] == [2, 5, 8]
    before = track(finished, 2, 5, memory_anchors="4").uses()
    give(finished, 11)
    given = track(finished, 5, 8, memory_anchors="4")
    assert [task.frame for task in given.anchor_masks() if not task.complete()] == [11]
    assert track(finished, 2, 5, memory_anchors="4").uses() == before, "two anchors on"


@pytest.mark.slow
def test_a_changed_stroke_makes_four_stretches(finished: Project) -> None:
    finished.run("RefineSequence", *FOUR)
    finished.ran()
    move_a_stroke(finished, 5)
    finished.run("RefineSequence", *FOUR)
    more = ["refined/00000-00002", "refined/00008-00011", "tracks/00000-00002", "tracks/00008-00011"]
    assert finished.ran() == sorted([*AFTER_A_STROKE_ON_5, *more])


@pytest.mark.slow
def test_while_anchors_wait_those_that_are_drawn_are_seen_instead(project: Project) -> None:
    """2 and 11 wait."""
    project.scribble(5, 8)
    project.run("RefineSequence", *FOUR, expect=20)
    assert {"tracks/00005-00008", "provisional"} < set(project.ran())
    project.scribble(2, 5, 8, 11)
    project.run("RefineSequence", *FOUR)
    assert {"tracks/00005-00008", "masks"} < set(project.ran()), "it was made without those beyond"


@pytest.mark.slow
def test_a_word_says_where_it_means_nothing(finished: Project) -> None:
    said = finished.run("RefineSequence", "--memory-anchors", "4", "--refiner", "none")
    assert "--memory-anchors means nothing to flow" in said
