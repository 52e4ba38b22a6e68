"""In which order a run does what it could do at once."""

from pathlib import Path

import pytest

from tasks import AnchorMask, RefineAnchor, RefineSegment, RefineSequence, TrackSegment
from tasks.runtime import runs
from tests.conftest import Project


def test_what_most_rests_on_goes_first_and_the_long_before_the_short(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    tasks = [
        project.task(AnchorMask, frame=8),
        project.task(TrackSegment, start=5, stop=11),
        project.task(TrackSegment, start=2, stop=5),
        project.task(RefineSegment, start=5, stop=11),
        project.task(RefineSegment, start=2, stop=5),
        project.task(RefineAnchor, frame=8),
        project.task(RefineSequence),
    ]
    order = [task.priority for task in tasks]
    assert order == sorted(order, reverse=True)
    assert len({*order}) == len(order)


def test_a_sequence_that_was_taken_first_is_done_before_the_next(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = project.task(RefineSequence).priority
    monkeypatch.setattr(runs, "_runs", {Path("another"): None, project.root: None})
    assert project.task(AnchorMask, frame=2).priority < last


def test_a_sequence_that_is_not_there_is_told_by_its_tasks_not_by_the_order(tmp_path: Path) -> None:
    assert TrackSegment(seq="none", start=0, stop=3, data_root=str(tmp_path)).priority == 0
