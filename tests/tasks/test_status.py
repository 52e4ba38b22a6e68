"""How far a sequence is, what a run would still make, and how long that will take."""

import fcntl
import json
import math
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.core.errors import LisError
from stages.core.states import State
from stages.core.strokes import Line
from stages.formats import progress, results
from stages.formats.draft_json import Draft, DraftState
from stages.formats.drafts import NEW, write_draft
from stages.formats.progress import Event
from tasks import AnchorMask
from tasks.cli import lis
from tasks.overview import overview
from tasks.status import (
    Standing,
    Work,
    _with_options,
    estimate,
    seconds_since,
    standing,
    standing_of_last_run,
    unfinished,
    without_people,
)
from tests.cli.test_cli import run
from tests.conftest import Project
from tests.pipeline.test_resume import ALL, move_a_stroke

WAITS = "scribbles on 2 frames: 2, 11"


def folders(project: Project, **options: object) -> list[str]:
    return sorted(str(stage.folder()) for stage in unfinished(project.task(**options)))


# --- standing --------------------------------------------------------------------------------------------------------


def test_a_sequence_that_nobody_ran_is_new(project: Project) -> None:
    expected = Standing(State.NEW, "scribbles on 4 frames: 2, 5, 8, 11", (2, 5, 8, 11))
    assert standing(project.task()) == expected
    project.scribble(2, 5, 8, 11)
    assert standing(project.task()) == Standing(State.NEW)
    assert not project.root.exists(), "a look leaves no trace"


def test_a_sequence_waits_for_the_frames_that_people_still_owe(project: Project) -> None:
    project.scribble(5, 8)
    (project.root / "frames").mkdir(parents=True)
    assert standing(project.task()) == Standing(State.WAITING, WAITS, (2, 11))
    assert standing(project.task(), failure="") == Standing(State.WAITING, WAITS, (2, 11))


def test_after_a_night_nothing_is_new(project: Project) -> None:
    """What a run has just asked for waits, whether it came as far as the frames or not."""
    project.scribble(5, 8)
    assert standing(project.task(), failure="").state == State.WAITING


def test_a_finished_sequence_is_done_whatever_its_log_says(finished: Project) -> None:
    progress.say_event(finished.root, "a", "frames", Event.FAILED, message="Frames: once")
    assert standing(finished.task()) == Standing(State.DONE)
    assert standing(finished.task(), failure="AnchorMask: a report failed") == Standing(State.DONE)


def test_a_run_that_made_the_part_it_was_asked_for_says_what_makes_the_rest(finished: Project) -> None:
    shutil.rmtree(finished.root / "masks")
    progress.begin_anew(finished.root)
    progress.say_plan(finished.root, "a", ["anchor_masks/00005"])
    progress.say_end(finished.root, "a", 0)
    assert "lis refine toy makes the rest" in standing(finished.task()).reason


def test_a_failure_stands_until_a_run_begins(finished: Project) -> None:
    shutil.rmtree(finished.root / "masks")
    assert standing(finished.task()) == Standing(State.STOPPED, "not everything ran; run the command again")
    progress.say_event(finished.root, "a", "masks", Event.FAILED, message="RefineSequence: no room")
    assert standing(finished.task()) == Standing(State.FAILED, "RefineSequence: no room")
    assert standing(finished.task(), failure="").state == State.STOPPED, "the run that asks knows better than the file"
    assert standing(finished.task(), failure="killed") == Standing(State.FAILED, "killed")
    progress.begin_anew(finished.root)
    assert standing(finished.task()).state == State.STOPPED


def test_a_sequence_that_another_run_works_on_is_running(finished: Project) -> None:
    shutil.rmtree(finished.root / "masks")
    progress.begin_anew(finished.root)
    progress.say_event(finished.root, "a", "masks", Event.FAILED, message="RefineSequence: no room")
    with (finished.root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 7 on b")
        lock.flush()
        assert standing(finished.task()) == Standing(State.RUNNING, "process 7 on b")
        progress.say_plan(finished.root, "b", ["tracks/00002-00005", "masks"], pid=7, host="b")
        progress.say_event(finished.root, "b", "tracks/00002-00005", Event.PART, part=0.5, frames=2)
        work = Work("b", 7, ("tracks/00002-00005",), 25)
        words = "process 7 on b, 25 %: tracks/00002-00005"
        assert standing(finished.task()) == Standing(State.RUNNING, words, work=work)
        progress.say_event(finished.root, "a", "masks", Event.FAILED, message="RefineSequence: no room")
        assert standing(finished.task(), failure="killed") == Standing(State.FAILED, "killed")
    assert standing(finished.task()).state == State.FAILED


def test_a_run_that_was_killed_or_stopped_is_told_from_one_that_works(finished: Project) -> None:
    shutil.rmtree(finished.root / "masks")
    progress.begin_anew(finished.root)
    progress.say_plan(finished.root, "b", ["tracks/00002-00005", "masks"], pid=7, host="b")
    progress.say_event(finished.root, "b", "masks", Event.START, frames=12)
    words = "interrupted (process 7 on b, 0 %: masks); run the command again"
    assert standing(finished.task()) == Standing(State.STOPPED, words)
    progress.say_end(finished.root, "b", 130)
    assert standing(finished.task()) == Standing(State.STOPPED, "a run was stopped; run the command again")


def test_an_export_says_nothing_of_how_far_the_masks_are(project: Project) -> None:
    """One that was refused, or killed, is no reason to refuse the next."""
    project.scribble(5, 8)
    (project.root / "frames").mkdir(parents=True)
    progress.say_plan(project.root, "a", ["export_parts/coco-1", "export/coco"], pid=7, host="b")
    progress.say_event(project.root, "a", "export/coco", Event.FAILED, message="found no finished sequence")
    assert standing(project.task()) == Standing(State.WAITING, WAITS, (2, 11))
    project.scribble(2, 5, 8, 11)
    assert standing(project.task()) == Standing(State.STOPPED, "not everything ran; run the command again")


@pytest.mark.slow
def test_a_result_is_stale_once_its_strokes_have_changed(finished: Project) -> None:
    move_a_stroke(finished, 5)
    made_again = "what it was made from has changed; a run would make again: 1 masks, "
    found = standing(finished.task())
    assert (found.state, found.reason[: len(made_again)]) == (State.STALE, made_again)
    assert "1 anchor_masks" in found.reason
    finished.run()
    assert standing(finished.task()).state == State.DONE


@pytest.mark.slow
def test_what_people_have_drawn_meanwhile_is_told(project: Project) -> None:
    project.scribble(2, 5)
    project.run(expect=20)
    (run,) = progress.read_progress(project.root)
    assert run.exit_code == 20
    assert standing(project.task()).state == State.PROVISIONAL
    project.scribble(2, 5, 8, 11)
    assert standing(project.task()) == Standing(State.STOPPED, "the scribbles are there; run the command again")


def test_a_sequence_that_cannot_be_read_has_failed_and_says_why(project: Project) -> None:
    project.scribble(2, 5, 8, 11, sequence="another")
    found = standing(project.task())
    assert found.state == State.FAILED
    assert "'another'" in found.reason
    project.seq = "toi"
    assert "toy" in standing(project.task()).reason
    assert standing(project.task(), failure="said before") == Standing(State.FAILED, "said before")


def test_a_manifest_of_a_newer_version_is_one_sequences_failure_and_nobody_elses(finished: Project) -> None:
    (finished.root / "frames" / "manifest.json").write_text('{"schema": 99}')
    found = overview(finished.task())
    assert found.standing.state == State.FAILED and "newer" in found.standing.reason
    assert found.seconds > 0 and found.size_bytes > 0, "what can be read is told"
    shutil.copytree(finished.frames, finished.frames.with_name("other"))
    stages = list(unfinished(finished.task().clone(seq="other", placement="spread")))
    (finished.root / "tracks" / "00002-00005" / "manifest.json").write_text('{"schema": 99}')
    assert estimate(stages).seconds > 0


@pytest.mark.slow
def test_a_look_tells_what_the_last_run_asked_for(project: Project) -> None:
    project.scribble(5, 8)
    project.run("RefineSequence", "--refiner", "none", expect=20)
    asked = f"{WAITS}; provisional masks in {project.root / 'provisional'}"
    now = project.task(requests=7)
    assert standing_of_last_run(now) == Standing(
        State.PROVISIONAL, f"{asked}; with other options than now: refiner none, requests 3", (2, 11)
    )
    assert standing_of_last_run(project.task(refiner="none")) == Standing(State.PROVISIONAL, asked, (2, 11))
    assert len(standing(now).waiting_for) > 2, "who asks for other options is told of those"
    (row,) = json.loads(run(project, "status", "--json").stdout)
    assert row["waiting_for"] == [2, 11]
    (row,) = json.loads(run(project, "status", "--requests", "7", "--json").stdout)
    assert row["waiting_for"] == [*standing(now).waiting_for]


def test_an_engine_that_has_gone_since_is_no_hindrance(finished: Project) -> None:
    recorded = {"refiner": "cascadepsp:gone"}
    other, differing = _with_options(finished.task(), recorded)
    assert (other, differing) == (finished.task(), "")


# --- unfinished ------------------------------------------------------------------------------------------------------


def test_of_a_new_sequence_every_stage_is_unfinished(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    found = [str(stage.folder()) for stage in unfinished(project.task())]
    assert sorted(found) == ALL
    assert found[0] == "masks"


def test_of_a_finished_sequence_nothing_is(finished: Project) -> None:
    assert folders(finished) == []


def test_what_rests_on_a_missing_stage_is_unfinished_and_nothing_else(finished: Project) -> None:
    shutil.rmtree(finished.root / "tracks" / "00002-00005")
    assert folders(finished) == ["masks", "refined/00002-00005", "tracks/00002-00005"]


def test_what_was_drawn_since_makes_its_frame_anew_and_what_rests_on_it(finished: Project) -> None:
    line, now = Line(1, ((0.25, 0.5), (0.75, 0.5))), finished.task().snapshot
    drawn = Draft("toy", "001", 5, lines=(line,), base=now.scribbles.strokes_digest(5), state=DraftState.READY)
    write_draft(finished.scribble_file, drawn, NEW)
    around = [
        "anchor_masks/00005", "masks", "refined/00002-00005", "refined/00005", "refined/00005-00008",
        "tracks/00002-00005", "tracks/00005-00008",
    ]  # fmt: skip
    assert folders(finished) == around
    write_draft(finished.scribble_file, replace(drawn, frame=4, base=None), NEW)
    assert "anchors" in folders(finished), "there is one more"


def test_what_waits_for_people_is_not_to_be_made_now(project: Project) -> None:
    project.scribble(2, 5)
    now = without_people(unfinished(project.task(provisional=False)))
    assert sorted(str(stage.folder()) for stage in now) == [
        "anchor_masks/00002", "anchor_masks/00005", "anchors", "frames", "refined/00000-00002", "refined/00002",
        "refined/00002-00005", "refined/00005", "tracks/00000-00002", "tracks/00002-00005",
    ]  # fmt: skip


def test_a_run_that_would_fail_leaves_nothing_to_list(project: Project) -> None:
    project.scribble(2, 5, 8, 11, sequence="another")
    with pytest.raises(LisError, match="another"):
        folders(project)


# --- estimate --------------------------------------------------------------------------------------------------------


def took(folder: Path, seconds: float) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["run"] = {"seconds": seconds}
    manifest["schema"] = 1  # of the version that had no digest of itself
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_was_made_before_says_how_long_it_takes(finished: Project) -> None:
    for folder in finished.root.glob("tracks/*"):
        took(folder, 4.0 if folder.name == "00000-00002" else 10.0)
    for folder in finished.root.glob("refined/*"):
        took(folder, 3.0)
    shutil.rmtree(finished.root / "tracks" / "00002-00005")
    found = estimate(list(unfinished(finished.task())))
    frames_tracked, frames_refined = 6, 12  # what is left of the tracks; stretches and anchors
    assert found.seconds == pytest.approx(2 * (4 + 10 + 10) / frames_tracked + 2 * 8 * 3 / frames_refined)
    assert found.learnt


def test_another_engine_is_no_teacher(finished: Project) -> None:
    stages = list(unfinished(finished.task(refiner="none")))
    assert {stage.stage for stage in stages} == {"masks", "refined"}
    for folder in finished.root.glob("refined/*"):
        took(folder, 1000)
    found = estimate(stages)
    assert found.seconds < 100
    assert not found.learnt


def test_of_an_engine_that_nobody_measured_nothing_is_known(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    stages = [project.task(AnchorMask, frame=2), project.task(AnchorMask, frame=5, segmenter="fbrs:resnet50_dh128")]
    assert estimate(stages[:1]).seconds > 0
    found = estimate(stages)
    assert math.isnan(found.seconds)
    assert not found.learnt


def test_before_any_run_the_figures_of_the_engines_count(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    stages = list(unfinished(project.task(segmenter="fbrs:lite", propagator="match:lite", refiner="cascadepsp:lite")))
    costs = {stage.stage: stage.found_engine.cost.seconds for stage in stages if hasattr(stage, "found_engine")}
    found = estimate(stages)
    anchors, between = 4, 8
    assert found.seconds == pytest.approx(
        anchors * costs["anchor_masks"] + between * costs["tracks"] + (between + anchors) * costs["refined"]
    )
    assert found.seconds > 1
    assert not found.learnt


def test_nothing_to_do_takes_no_time(finished: Project) -> None:
    found = estimate(list(unfinished(finished.task())))
    assert (found.seconds, found.learnt) == (0, True)


# --- what a night took -----------------------------------------------------------------------------------------------


def test_what_was_published_since_a_moment_is_summed_up(finished: Project) -> None:
    now = time.time()
    for path in finished.root.rglob("manifest.json"):
        os.utime(path, (now - 100, now - 100))
    assert seconds_since(finished.root, now - 50) == 0
    for name, seconds in {"masks": 1.25, "tracks/00002-00005": 2.5}.items():
        took(finished.root / name, seconds)
    fresh = [(each.stage, each.run["seconds"]) for each in results.published_since(finished.root, now - 50)]
    assert sorted(fresh) == [("masks", 1.25), ("tracks", 2.5)]
    assert seconds_since(finished.root, now - 50) == 3.8
    (finished.root / "masks" / "00003.png").unlink()
    assert seconds_since(finished.root, now - 50) == 2.5, "what is incomplete was not published"


def test_where_no_sequence_lies_it_says_how_one_comes_in(tmp_path: Path) -> None:
    (tmp_path / "data" / "films" / "JPEGImages" / "dog").mkdir(parents=True)
    said = CliRunner().invoke(lis, ["status", "--data-root", str(tmp_path / "data"), "--outputs-root", str(tmp_path)])
    assert "JPEGImages/480p/<sequence>" in said.output and said.exit_code == 0
