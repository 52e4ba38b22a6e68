"""`lis scribbles`: what people said is listed and changed, and only what depends on it is made again."""

import fcntl
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from stages.core.errors import LisError
from stages.core.strokes import Line
from stages.formats.draft_json import Draft, DraftKind, DraftState
from stages.formats.drafts import NEW, write_draft
from stages.formats.frames_csv import read_frames_csv
from stages.formats.given_masks import write_given
from tasks.anchors import AnchorMask
from tasks.cli import lis
from tasks.prompts import ImportPrompts
from tasks.refine import RefineAnchor, RefineSequence
from tasks.report import ReportSequence
from tasks.runtime.snapshot import Place, Terms, snapshot_of
from tests.conftest import Project


def call(project: Project, command: str, *words: str) -> str:
    roots = [f"--{name}-root={project.folder / name}" for name in ("data", "outputs")]
    called = [command, "--seq", "toy", *roots, "--requests", "3", *words]
    done = CliRunner().invoke(lis, ["scribbles", *called], standalone_mode=False, catch_exceptions=False)
    return done.stdout


def listed(project: Project) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(call(project, "show", "--json"))
    return said


def waits_for(project: Project) -> tuple[int, ...]:
    place = Place(str(project.folder / "data"), str(project.folder / "outputs"), "", "toy")
    requested: tuple[int, ...] = snapshot_of(place, Terms("001", "", 3, "eq1")).plan.requested
    return requested


def contents(project: Project) -> dict[str, bytes]:
    files = (path for path in project.folder.rglob("*") if path.is_file() and path.name not in (".lock", "log.txt"))
    return {path.relative_to(project.folder).as_posix(): path.read_bytes() for path in files}


def test_everything_that_was_said_is_listed(project: Project) -> None:
    project.scribble(2, 5, absent={"11": [2]}, annotated_frames=[2, 5, 11], from_boxes={"5": [1]})
    labels = np.zeros((project.clip.height, project.clip.width), np.uint8)
    labels[10:30, 10:30] = 1
    write_given(project.scribble_file, 8, labels)
    names = {"schema": 1, "sequence": "toy", "objects": [{"id": 1, "name": "Rex"}]}
    (project.scribble_file.parent / "objects.json").write_text(json.dumps(names))
    said = listed(project)
    assert [(each["frame"], each["strokes"]) for each in said["frames"]] == [
        (2, {"1": 1, "2": 1}), (5, {"1": 1, "2": 1}), (8, {}), (11, {})
    ]  # fmt: skip
    assert [each["name"] for each in said["objects"]] == ["Rex", "object 2"]
    assert said["objects"][0]["frames"] == [2, 5, 8]
    shown = " ".join(call(project, "show").split())  # however wide the terminal is
    assert "Rex (1 stroke), object 2 (1 stroke)" in shown
    assert "from a box, look at it: Rex" in shown
    assert "absent: object 2" in shown


def test_what_is_being_drawn_is_listed_and_taken_back_with_its_frame(project: Project) -> None:
    project.scribble(5)
    line = Line(1, ((0.25, 0.5), (0.75, 0.5)))
    drawn = Draft("toy", "001", 8, lines=(line,), state=DraftState.READY, author="anna")
    write_draft(project.scribble_file, drawn, NEW)
    write_draft(project.scribble_file, Draft("toy", "001", 5, DraftKind.MASK), NEW, np.ones((96, 128), np.uint8))
    assert [(each["frame"], each["state"], each["kind"], each["strokes"]) for each in listed(project)["drafts"]] == [
        (5, "draft", "mask", {}), (8, "ready", "strokes", {"1": 1})
    ]  # fmt: skip
    shown = " ".join(call(project, "show").split())
    assert "5 being drawn a mask" in shown and "8 ready object 1 (1 stroke) by anna" in shown
    said = call(project, "remove", "--frame", "5", "--frame", "8")
    assert "frame 8: takes back the draft" in said
    assert (listed(project)["drafts"], listed(project)["declined"]) == ([], [5, 8])
    kept = sorted(path.name for path in project.scribble_file.parent.glob("removed/*/001.drafts/*"))
    assert kept == ["00005.json", "00005.png", "00008.json"]


def test_bad_names_are_told_and_hide_nothing_that_needs_none(project: Project) -> None:
    project.scribble(2)
    (project.scribble_file.parent / "objects.json").write_text("{")
    told = "objects.json: "
    said = listed(project)
    assert [each["name"] for each in said["objects"]] == ["object 1", "object 2"]
    assert [told in line and line.startswith("warning: ") for line in said["warnings"]] == [True]
    assert told in call(project, "show")
    assert told in call(project, "decline", "--frame", "5")
    assert listed(project)["declined"] == [5]
    assert told in call(project, "decline", "--ask-again")
    with pytest.raises(LisError, match=r"objects\.json"):
        call(project, "rename", "--object", "1", "--to", "9")


@pytest.mark.slow
def test_a_frame_that_was_taken_back_leaves_the_plan_and_only_what_depends_on_it_is_made_again(
    finished: Project,
) -> None:
    finished.run()
    finished.ran()
    said = call(finished, "remove", "--frame", "5")
    assert "frame 5: takes back 1 stroke of object 1, 1 stroke of object 2" in said
    assert listed(finished)["declined"] == [5]
    finished.run()  # exit code 0: nobody is asked for anything
    assert finished.ran() == ["anchors", "masks", "refined/00002-00008", "tracks/00002-00008"]


def test_a_frame_is_asked_for_again(project: Project) -> None:
    """Also one that is no member of Eq. 1."""
    project.scribble(2, 6, 8, 11)
    call(project, "remove", "--frame", "6", "--ask-again")
    assert (waits_for(project), listed(project)["waiting"]) == ((6,), [6])
    assert (project.root / "requests" / "00006.png").exists()
    call(project, "decline", "--frame", "6")
    assert (waits_for(project), listed(project)["declined"]) == ((), [6])
    assert not (project.root / "requests" / "00006.png").exists()
    call(project, "decline", "--ask-again")
    assert (waits_for(project), listed(project)["declined"]) == ((6,), [])
    project.scribble(2, 6, 8, 11)
    assert listed(project)["waiting"] == []


def test_a_frame_that_waits_and_that_nobody_wants_is_declined(project: Project) -> None:
    project.scribble(5)
    assert waits_for(project) == (2, 8, 11)
    call(project, "decline", "--frame", "2", "--frame", "11")
    assert waits_for(project) == (8,)
    assert project.task(RefineSequence).plan.anchors == (5, 8)
    project.scribble(2, 5)
    assert project.task(RefineSequence).plan.anchors == (2, 5, 8), "whoever draws all the same is heard"


@pytest.mark.parametrize(
    "words",
    [
        ("remove", "--frame", "5"),
        ("remove", "--object", "2"),
        ("rename", "--object", "2", "--to", "7"),
        ("merge", "--object", "2", "--to", "1"),
        ("decline", "--frame", "8"),
        ("decline", "--ask-again"),
    ],
)
def test_a_dry_run_changes_nothing(project: Project, words: tuple[str, ...]) -> None:
    project.scribble(2, 5)
    call(project, "decline", "--frame", "11")
    before = contents(project)
    assert "nothing was changed: --dry-run" in call(project, *words, "--dry-run")
    assert contents(project) == before
    call(project, *words)
    assert contents(project) != before


def test_while_a_run_works_on_the_sequence_nothing_changes(project: Project) -> None:
    project.scribble(2, 5)
    call(project, "decline", "--frame", "11")
    before = contents(project)
    with (project.root / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LisError, match="another run works on") as busy:
            call(project, "remove", "--frame", "5")
    assert "\n" not in str(busy.value)
    assert contents(project) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("decline", "--frame", "5"), "frame 5: found that it is annotated"),
        (("decline", "--frame", "12"), "found the frame 12, expected one of 0 to 11"),
        (("decline", "--frame", "2", "--ask-again"), "frame 2: found that it was not declined"),
        (("remove", "--frame", "5", "--scribbles", "002"), "found no such scribble set"),
    ],
)
def test_what_cannot_be_is_one_line(project: Project, words: tuple[str, ...], message: str) -> None:
    project.scribble(5)
    with pytest.raises(LisError, match=message) as caught:
        call(project, *words)
    assert "\n" not in str(caught.value)


def test_the_report_suggests_the_next_best_of_a_frame_that_was_declined(finished: Project) -> None:
    task = finished.task(ReportSequence)
    assert task.complete()
    first, *others = listed(finished)["suggested"]
    call(finished, "decline", "--frame", str(first))
    assert listed(finished)["suggested"] == others
    assert not task.complete()
    task.run()
    assert task.complete()
    suggested = listed(finished)["suggested"]
    assert first not in suggested and len(suggested) == len(others) + 1


def test_copies_are_no_scribble_sets(project: Project) -> None:
    project.scribble(2, 5)
    call(project, "remove", "--object", "2")
    assert [path.name for path in project.scribble_file.parent.glob("*.json")] == ["001.json"]
    copies = list(Path(project.scribble_file.parent / "removed").glob("*-001/001.json"))
    assert len(copies) == 1


def test_prompts_become_strokes_of_the_set_and_are_listed_as_guesses(project: Project) -> None:
    project.scribble(2, 5)
    prompts = [{"id": 1, "points": [[0.3, 0.4, 1]]}, {"id": 2, "box": [0.6, 0.6, 0.9, 0.9]}]
    source = project.folder / "prompts.json"
    source.write_text(json.dumps({"schema": 1, "sequence": "toy", "frames": [{"frame": 5, "objects": prompts}]}))
    task = project.task(ImportPrompts, source=str(source))
    task.run()
    (frame,) = (each for each in listed(project)["frames"] if each["frame"] == 5)
    assert (frame["strokes"], frame["from_boxes"]) == ({"0": 4, "1": 1, "2": 1}, [2])
    assert "frame 5: 1 point and 1 box; from a box, look at it: object 2" in (project.root / "log.txt").read_text()
    assert len(list(project.scribble_file.parent.glob("removed/*/001.json"))) == 1
    project.task(ImportPrompts, source=str(source)).run()
    assert len(list(project.scribble_file.parent.glob("removed/*/001.json"))) == 1, "the same once more is nothing"


def test_what_rests_on_a_box_alone_is_told_by_the_result_and_nothing_else_is_made_again(finished: Project) -> None:
    refined = [finished.task(RefineAnchor, frame=index) for index in (2, 5)]
    assert all(task.complete() for task in refined)
    finished.scribble(2, 5, 8, 11, from_boxes={"5": [2]})
    assert [task.complete() for task in refined] == [True, False]
    refined[1].run()
    assert [row.source for row in read_frames_csv(refined[1].target())] == ["anchor", "box"]
    manifest = refined[1].manifest()
    assert manifest.key["from_boxes"] == [2] and "from_boxes" not in refined[0].manifest().key
    assert finished.task(AnchorMask, frame=5).complete()
    finished.scribble(2, 5, 8, 11)
    assert not refined[1].complete(), "somebody has drawn it anew"
