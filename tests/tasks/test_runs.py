"""How a run ends for a sequence, as it notes it there."""

from pathlib import Path

import pytest

from stages.formats.progress import Event, read_progress
from tasks.runtime import runs


@pytest.mark.parametrize(("is_stopped", "exit_code"), [(True, 130), (False, 20)])
def test_a_run_that_is_stopped_between_two_stages_was_stopped(tmp_path: Path, is_stopped: bool, exit_code: int) -> None:
    assert runs.join(tmp_path, shared=False)
    for task in ("frames", "anchor_masks/00005", "masks"):
        runs.plan(tmp_path, task)
    runs.wait_for_people(tmp_path)
    runs.tell_plans()
    for event in (Event.START, Event.DONE):
        runs.tell(tmp_path, "frames", event)
    if is_stopped:
        runs.stop_all()
    runs.leave_all()
    assert [run.exit_code for run in read_progress(tmp_path)] == [exit_code]
