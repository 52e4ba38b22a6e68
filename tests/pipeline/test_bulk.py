"""A night: many sequences, one summary."""

import json
import shutil

import pytest

from tests.conftest import Project


def write_list(project: Project, *names: str) -> str:
    (project.folder / "night.txt").write_text("# tonight\n" + "\n".join(names) + "\n")
    return "night.txt"


def summary(project: Project) -> dict:
    newest = max((project.folder / "outputs" / "bulk").glob("*_*/summary.json"))
    return json.loads(newest.read_text())


def copy_sequence(project: Project, name: str, *, scribbled: bool) -> None:
    shutil.copytree(project.frames, project.frames.with_name(name))
    if scribbled:
        target = project.scribble_file.parent.with_name(name) / "001.json"
        target.parent.mkdir()
        content = json.loads(project.scribble_file.read_text())
        target.write_text(json.dumps({**content, "sequence": name}))


@pytest.mark.slow
def test_one_failing_sequence_does_not_stop_the_others(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    copy_sequence(project, "second", scribbled=True)
    copy_sequence(project, "idle", scribbled=False)
    copy_sequence(project, "broken", scribbled=True)
    broken = project.frames.with_name("broken") / "00003.png"
    broken.write_bytes(broken.read_bytes()[:300])
    names = write_list(project, "broken", "toy", "nosuch", "idle", "second")

    output = project.run("BulkRefine", "--list", names, "--workers", "2", "--chunk", "2", expect=30)
    result = summary(project)
    states = {item["sequence"]: item["state"] for item in result["sequences"]}
    assert states == {"broken": "failed", "toy": "done", "nosuch": "failed", "idle": "waiting", "second": "done"}
    reasons = {item["sequence"]: item["reason"] for item in result["sequences"]}
    assert "00003.png" in reasons["broken"]
    assert "nosuch" in reasons["nosuch"]
    assert (result["done"], result["failed"], result["waiting"]) == (2, 2, 1)
    assert "Traceback" not in output
    assert "bulk: summary in outputs/bulk/" in output

    names = write_list(project, "toy", "second")
    project.run("BulkRefine", "--list", names)
    assert [item["seconds"] for item in summary(project)["sequences"]] == [0, 0]

    names = write_list(project, "toy", "idle")
    project.run("BulkRefine", "--list", names, expect=20)


@pytest.mark.slow
def test_a_dataset_is_a_list(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    command = ["BulkRefine", "--list", "", "--dataset", "set"]
    project.run(*command)
    assert summary(project)["done"] == 1


def test_a_missing_list_is_a_clear_error(project: Project) -> None:
    output = project.run("BulkRefine", "--list", "nowhere.txt", expect=30)
    assert "nowhere.txt" in output
    assert "Traceback" not in output
