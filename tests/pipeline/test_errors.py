"""A user's mistake gets a message and an exit code, never a stack trace."""

import json
import subprocess

import pytest

from tests.conftest import Project


def check(output: str, *expected: str) -> None:
    assert "Traceback" not in output
    for text in expected:
        assert text in output


def test_unknown_sequence_names_the_nearest(project: Project) -> None:
    project.seq = "toi"
    check(project.run(expect=30), "toi", "toy")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden"])
def test_a_name_cannot_leave_the_roots(project: Project, name: str) -> None:
    project.seq = name
    check(project.run(expect=30), "letters")


def test_damaged_picture_is_named(project: Project) -> None:
    path = project.frames / "00004.png"
    path.write_bytes(path.read_bytes()[:500])
    project.scribble(2, 5, 8, 11)
    check(project.run(expect=30), "00004.png")


def test_scribbles_of_another_length_are_refused(project: Project) -> None:
    project.scribble(2, 5, 8, 11, scribbles=[[]] * 9)
    check(project.run(expect=30), "001.json", "9", "12")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--segmenter", "grabcat"), "grabcut"),
        (("--placement", "middle"), "eq1"),
        (("--guard-iou", "1.5"), "1.5"),
    ],
)
def test_impossible_option_is_refused_before_work(project: Project, arguments: tuple[str, str], expected: str) -> None:
    check(project.run("RefineSequence", *arguments, expect=40), expected)
    assert not project.root.exists()


def test_misspelt_task_is_refused(project: Project) -> None:
    check(project.run("RefineSequense", expect=1), "RefineSequence")


def test_stretch_that_is_none_is_refused(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    check(project.run("TrackSegment", "--start", "3", "--stop", "5", expect=30), "00002-00005")


def test_unknown_settings_are_reported(project: Project) -> None:
    settings = project.folder / "luigi.cfg"
    settings.write_text(settings.read_text().replace("propagator =", "propagater =") + "\n[lus]\nrefiner = none\n")
    output = project.run(expect=20)
    check(output, "propagater", "did you mean `propagator`", "[lus]")


def test_a_failure_wins_over_waiting(project: Project) -> None:
    path = project.frames / "00006.png"
    path.write_bytes(path.read_bytes()[:500])
    project.run(expect=30)


@pytest.mark.parametrize("name", ["afile", "afile/below"])
def test_a_folder_of_results_that_is_none_is_a_clear_error(project: Project, name: str) -> None:
    (project.folder / "afile").write_text("")
    project.scribble(2, 5, 8, 11)
    check(project.run("RefineSequence", "--outputs-root", name, expect=30), "afile")


def test_exit_codes_hold_in_a_folder_without_settings(project: Project) -> None:
    (project.folder / "luigi.cfg").unlink()
    check(project.run(expect=20))
    project.seq = "nope"
    check(project.run(expect=30), "nope")


@pytest.mark.parametrize("setting", ["requests = many", "segmenter = nope"])
def test_impossible_setting_is_refused_before_work(project: Project, setting: str) -> None:
    settings = project.folder / "luigi.cfg"
    key = setting.split(maxsplit=1)[0]
    lines = [setting if line.startswith(f"{key} =") else line for line in settings.read_text().splitlines()]
    settings.write_text("\n".join(lines))
    command = [part for part in project.command("RefineSequence") if part not in ("--requests", "3")]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 40
    check(done.stdout + done.stderr, setting.rsplit(maxsplit=1)[-1])


@pytest.mark.slow
@pytest.mark.parametrize("content", ["[1]", '{"schema": "x", "files": {}}', '{"issued": [{"anchors": ["x"]}]}', "{"])
def test_damaged_state_is_made_again(finished: Project, content: str) -> None:
    for file in (".digests.json", "frames/manifest.json"):
        (finished.root / file).write_text(content)
    finished.run()
    assert finished.ran() == ["frames"]
    finished.run()
    assert finished.ran() == []


def test_a_damaged_list_of_requests_is_told_since_anchors_must_not_move(finished: Project) -> None:
    (finished.root / "requests.json").write_text("{")
    check(finished.run(expect=30), "requests.json: found no readable list", "delete it to be asked anew")
    (finished.root / "requests.json").unlink()
    finished.run()
    assert finished.ran() == []


@pytest.mark.slow
@pytest.mark.parametrize("file", ["requests.json", "frames/manifest.json", "masks/manifest.json"])
def test_what_a_newer_version_wrote_is_refused_and_left_alone(finished: Project, file: str) -> None:
    path = finished.root / file
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(newer := json.dumps({**content, "schema": 99}))
    check(finished.run(expect=30), file.rpartition("/")[2], "version 99", "a newer version of LIS")
    assert path.read_text() == newer
    assert finished.ran() == []
