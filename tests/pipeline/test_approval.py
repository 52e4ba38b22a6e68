"""Where approval of anchors is wanted, nothing is carried on from a mask that nobody has looked at."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.core.states import State
from stages.core.strokes import Line
from stages.formats.draft_json import Draft, DraftState
from stages.formats.drafts import NEW, write_draft
from stages.formats.manifest import read_manifest
from stages.formats.requests import approval_awaited
from stages.formats.review_json import Review, change_review, review_file
from stages.formats.scribbles import read_scribbles
from stages.steps.review import approve
from tasks.page.endings import in_words
from tasks.status import standing, standing_of_last_run, unfinished, without_people
from tests.conftest import Project
from tests.pipeline.test_resume import move_a_stroke

WANTED = ("--approve-anchors", "true")


def say(project: Project, *frames: int, by: str = "anna") -> None:
    """Approve the masks of anchors that are there now, those of no others any more."""
    masks = {
        frame: manifest.digests["mask.png"]
        for frame in (2, 5, 8, 11)
        if (manifest := read_manifest(project.root / f"anchor_masks/{frame:05d}"))
    }
    spans = [(frame, frame) for frame in frames]
    change_review(project.scribble_file, "toy", lambda _: Review({}, approve({}, masks, spans, by)))


def lis(project: Project, *words: str, expect: int = 0) -> str:
    command = [sys.executable, "-m", "tasks", *words]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_waits_for_approval_is_worked_out_from_what_lies_there(finished: Project) -> None:
    wants = finished.task(approve_anchors=True)
    assert standing(wants).state == State.DONE and wants.unapproved() == [], "what is made needs no approval"
    shutil.rmtree(finished.root / "tracks" / "00002-00005")
    shutil.rmtree(finished.root / "masks")
    found = standing(wants)
    assert (found.state, found.to_approve) == (State.WAITING_FOR_APPROVAL, (2, 5))
    assert found.reason == "approval of 2 anchor masks (frames 2, 5)" and found.state.exit_code == 20
    assert in_words(wants, 20, 0) == f"waits for {found.reason}", "as the page tells the end of a run"
    assert "tracks" not in {stage.stage for stage in without_people(unfinished(wants))}
    assert standing(finished.task()).state == State.STOPPED, "nobody has asked for it"
    say(finished, 2)
    assert standing(wants).to_approve == (5,)
    say(finished, 2, 5)
    assert standing(wants).state == State.STOPPED
    move_a_stroke(finished, 5)
    assert standing(wants).to_approve == (8,), "the mask on 5 is to be made anew first"
    assert [each.frame for each in wants.unapproved()] == [5, 8]


def test_strokes_that_wait_to_be_merged_want_another_approval(finished: Project) -> None:
    say(finished, 2, 5, 8, 11)
    wants = finished.task(approve_anchors=True)
    base = read_scribbles(finished.scribble_file, "toy", 12).strokes_digest(5)
    drawn = Draft("toy", "001", 5, lines=(Line(1, ((0.3, 0.3), (0.4, 0.4))),), state=DraftState.READY, base=base)
    write_draft(finished.scribble_file, drawn, NEW)
    assert [each.frame for each in wants.unapproved()] == [5], "what is approved is another mask than will be made"


def test_a_mask_of_a_persons_own_needs_no_approval(finished: Project) -> None:
    masks = finished.scribble_file.parent / "001.masks"
    masks.mkdir()
    shutil.copy(finished.root / "anchor_masks" / "00005" / "mask.png", masks / "00005.png")
    shutil.rmtree(finished.root / "tracks")
    assert [each.frame for each in finished.task(approve_anchors=True).unapproved()] == [2, 8, 11]


@pytest.mark.slow
def test_a_run_stops_before_tracks_until_the_anchors_are_approved(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    output = project.run("RefineSequence", *WANTED, expect=20)
    assert (
        "waits for approval of 4 anchor masks (frames 2, 5, 8, 11): lis annotate, or lis approve toy --anchors"
        in output
    )
    assert [name for name in project.ran() if name.startswith("anchor_masks")] == [
        f"anchor_masks/{frame:05d}" for frame in (2, 5, 8, 11)
    ]
    assert not (project.root / "tracks").exists()
    assert approval_awaited(project.root)["requests"] == 3
    found = standing_of_last_run(project.task(requests=7))
    assert (found.state, found.to_approve) == (State.WAITING_FOR_APPROVAL, (2, 5, 8, 11)), "as the last run meant it"
    say(project, 2, 5)
    output = project.run("RefineSequence", *WANTED, expect=20)
    assert "waits for approval of 2 anchor masks (frames 8, 11)" in output
    assert [name for name in project.ran() if "tracks" in name] == ["tracks/00000-00002", "tracks/00002-00005"]
    say(project, 2, 5, 8, 11)
    project.run("RefineSequence", *WANTED)
    assert (project.root / "masks").exists()
    with_approval = project.snapshot()
    shutil.rmtree(project.root)
    project.run()
    assert project.snapshot() == with_approval, "keys and results are the same"
    project.ran()
    project.run("RefineSequence", *WANTED)
    assert project.ran() == []


@pytest.mark.slow
def test_a_changed_stroke_wants_another_approval_and_the_same_mask_none(finished: Project) -> None:
    say(finished, 2, 5, 8, 11)
    move_a_stroke(finished, 5)
    output = finished.run("RefineSequence", *WANTED, expect=20)
    assert "waits for approval of 1 anchor mask (frame 5)" in output
    assert finished.ran() == ["anchor_masks/00005", "refined/00005"]
    say(finished, 2, 5, 8, 11)
    finished.run("RefineSequence", *WANTED)
    assert len([name for name in finished.ran() if name.startswith("tracks")]) == 2
    shutil.rmtree(finished.root / "anchor_masks")
    shutil.rmtree(finished.root / "tracks")
    output = finished.run("RefineSequence", *WANTED, expect=20)
    assert "approved as they are now: run the command again" in output
    finished.run("RefineSequence", *WANTED)


@pytest.mark.slow
def test_people_approve_by_command(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    words = ("refine", "toy", "--requests", "3", "--approve-anchors")
    output = lis(project, *words, expect=20)
    assert "toy: waiting for approval after" in output and "lis approve toy --anchors; then the same again" in output
    (line,) = json.loads(lis(project, "status", "--json"))
    assert (line["state"], line["to_approve"]) == ("waiting for approval", [2, 5, 8, 11])
    assert "2 anchor masks approved by anna" in lis(
        project, "approve", "toy", "--anchors", "--frames", "2,8", "--by", "anna"
    )
    assert "nobody has approved the anchors 5, 11" in lis(project, *words, "--dry-run", expect=20)
    assert "found frame 3 in --frames" in lis(project, "approve", "toy", "--anchors", "--frames", "3", expect=30)
    assert "found no masks to approve" in lis(project, "approve", "toy", expect=30)
    lis(project, "approve", "toy", "--anchors")
    assert "toy: done" in lis(project, *words)
    assert "12 frames approved" in lis(project, "approve", "toy")
    lis(project, "approve", "toy", "--frames", "0-3", "--withdraw")
    lis(project, "export", "toy", "--format", "csv", "--only-reviewed")
    rows = (project.root / "export" / "csv" / "frames.csv").read_text().splitlines()
    assert [row.split(",")[8] for row in rows[1:]] == ["0"] * 4 + ["1"] * 8
    assert review_file(project.scribble_file).exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_night_waits_for_approval_and_says_so(project: Project, workers: str) -> None:
    project.scribble(2, 5, 8, 11)
    (project.folder / "list.txt").write_text("toy\n")
    project.run("BulkRefine", "--list", "list.txt", "--workers", workers, *WANTED, expect=20)
    summary = (project.folder / "outputs" / "bulk" / "latest" / "summary.txt").read_text()
    assert "1 waiting for approval" in summary and "approval of 4 anchor masks (frames 2, 5, 8, 11)" in summary
    page = (project.folder / "outputs" / "bulk" / "latest" / "index.html").read_text()
    assert "waiting for approval" in page


@pytest.mark.slow
def test_what_is_taken_back_while_a_run_works_is_for_the_next(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    project.run("RefineSequence", *WANTED, expect=20)
    say(project, 2, 5, 8, 11)
    run = subprocess.Popen(
        project.command("RefineSequence", *WANTED), cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    frozen: Path = project.root / ".frozen" / "001" / "001.review.json"
    while run.poll() is None and not frozen.exists():
        pass
    review_file(project.scribble_file).unlink()
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
