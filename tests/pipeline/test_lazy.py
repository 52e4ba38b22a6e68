"""Waiting for people, and picking up what they painted."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Project


def paint(project: Project, frame: int) -> None:
    """Paint a stroke over the requested picture as a person would, and save it under the name that is picked up."""
    folder = project.root / "requests"
    picture = np.array(Image.open(folder / f"{frame:05d}.png"))
    (x, y), _ = project.clip.centres(frame)
    picture[y - 1 : y + 2, x - 9 : x + 10] = (128, 0, 0)
    Image.fromarray(picture).save(folder / f"{frame:05d}.strokes.png")


def test_a_run_without_scribbles_asks_for_them_and_says_so_in_one_line(project: Project) -> None:
    output = project.run(expect=20)
    assert sum("waiting for scribbles" in line for line in output.splitlines()) == 1
    requests = json.loads((project.root / "requests.json").read_text())
    assert [item["frame"] for item in requests["waiting"]] == [2, 5, 8, 11]
    for item in requests["waiting"]:
        assert np.array_equal(np.array(Image.open(project.root / item["paint_on"])), project.clip.frame(item["frame"]))


def test_what_is_possible_is_computed_before_waiting(project: Project) -> None:
    project.scribble(5, 8)
    project.run("RefineSequence", "--provisional", "false", expect=20)
    assert project.ran() == [
        "anchor_masks/00005", "anchor_masks/00008", "anchors", "frames", "refined/00005", "refined/00005-00008",
        "refined/00008", "tracks/00005-00008",
    ]  # fmt: skip
    assert not (project.root / "masks").exists()
    planned = json.loads((project.root / "anchors" / "anchors.json").read_text())
    assert (planned["anchors"], planned["requested"]) == ([2, 5, 8, 11], [2, 11])
    project.run("RefineSequence", "--provisional", "false", expect=20)
    assert project.ran() == []


def test_painted_frames_are_picked_up(project: Project) -> None:
    project.run(expect=20)
    for frame in (2, 5, 8):
        paint(project, frame)
    Image.new("RGB", (1, 1)).save(project.root / "requests" / "00011.empty.png")
    project.run()
    assert len(list((project.root / "masks").glob("*.png"))) == 12
    annotated = json.loads(project.scribble_file.read_text())["annotated_frames"]
    assert annotated == [2, 5, 8, 11]
    assert not np.array(Image.open(project.root / "masks" / "00011.png")).any()
    project.ran()
    project.run()
    assert project.ran() == []


def test_issued_requests_do_not_move_when_another_frame_is_annotated(project: Project) -> None:
    project.run(expect=20)
    project.scribble(6)
    project.run(expect=20)
    requests = json.loads((project.root / "requests.json").read_text())
    assert requests["issued"][0]["anchors"] == [2, 5, 6, 8, 11]
    assert [item["frame"] for item in requests["waiting"]] == [2, 5, 8, 11]


def test_a_picture_without_strokes_is_a_clear_error(project: Project) -> None:
    project.run(expect=20)
    clean = project.root / "requests" / "00002.png"
    clean.with_name("00002.strokes.png").write_bytes(clean.read_bytes())
    output = project.run(expect=30)
    assert "00002.empty.png" in output
    assert "Traceback" not in output


def test_an_object_that_is_absent_on_some_anchors_keeps_its_id(finished: Project) -> None:
    seen = {i: set(np.unique(np.array(Image.open(finished.root / "masks" / f"{i:05d}.png")))) for i in range(12)}
    assert seen[2] == {0, 1, 2}
    assert seen[11] == {0, 1}


def test_detours_do_not_move_what_was_asked_for(project: Project) -> None:
    project.run(expect=20)
    project.run("RefineSequence", "--requests", "5", expect=20)
    project.scribble(6)
    project.run(expect=20)
    requests = json.loads((project.root / "requests.json").read_text())
    assert [item["frame"] for item in requests["waiting"]] == [2, 5, 8, 11]


def test_pictures_to_paint_on_follow_the_video(project: Project) -> None:
    project.run(expect=20)
    Image.fromarray(project.clip.frame(0)).save(project.frames / "00002.png")
    project.run(expect=20)
    assert np.array_equal(np.array(Image.open(project.root / "requests" / "00002.png")), project.clip.frame(0))


@pytest.mark.slow
def test_a_lost_scribble_file_is_read_again_from_what_was_painted(project: Project) -> None:
    project.run(expect=20)
    for frame in (2, 5, 8, 11):
        paint(project, frame)
    project.run()
    project.scribble_file.unlink()
    project.run()
    assert json.loads((project.root / "requests.json").read_text())["waiting"] == []


def test_a_frame_that_is_no_anchor_is_refused(project: Project) -> None:
    output = project.run("AnchorMask", "--frame", "4", expect=30)
    assert "2, 5, 8, 11" in output
    assert "Traceback" not in output
