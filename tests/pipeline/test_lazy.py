"""Waiting for people, and picking up what they painted."""

import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.strokes import Line
from stages.formats.draft_json import Draft, DraftState
from stages.formats.drafts import NEW, write_draft
from stages.formats.frames import pixel_digest
from tests.conftest import Project


def paint(project: Project, frame: int, name: str = "{:05d}.strokes.png") -> Path:
    """Paint a stroke over the requested picture as a person would, and save it under the name that is picked up."""
    picture = project.clip.frame(frame)
    (x, y), _ = project.clip.centres(frame)
    picture[y - 1 : y + 2, x - 9 : x + 10] = (128, 0, 0)
    path = project.root / "requests" / name.format(frame)
    Image.fromarray(picture).save(path)
    return path


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


@pytest.mark.slow
def test_a_picture_painted_in_place_is_read_and_never_overwritten(project: Project) -> None:
    project.run(expect=20)
    painted = {paint(project, frame, "{:05d}.png") for frame in (2, 5)}
    before = {path: path.read_bytes() for path in painted}
    output = project.run(expect=20)
    assert "frame 2: object 1 (1 stroke), from 00002.png" in output
    assert "2 painted frames merged" in output
    assert json.loads(project.scribble_file.read_text())["annotated_frames"] == [2, 5]
    Image.fromarray(project.clip.frame(0)).save(project.frames / "00002.png")
    project.run(expect=30)  # the strokes know that this is another picture
    assert {path: path.read_bytes() for path in painted} == before


@pytest.mark.slow
def test_names_that_are_nearly_right_are_told_with_the_right_one(project: Project) -> None:
    project.run(expect=20)
    for name in ("{:05d}.strokes.jpg", "{:05d}_strokes.png", "{}.strokes.png"):
        paint(project, 5, name)
    output = project.run(expect=30)
    for name in ("00005.strokes.jpg", "00005_strokes.png", "5.strokes.png"):
        assert f"{name} (expected 00005.strokes.png)" in output
    assert "waiting for scribbles on 4 frames" in output
    assert "save in place or as <frame>.strokes.png (a whole mask: <frame>.mask.png)" in output


@pytest.mark.slow
def test_what_is_painted_while_a_run_works_is_read_by_the_next(project: Project) -> None:
    project.run(expect=20)
    early = paint(project, 5)
    run = subprocess.Popen(
        project.command("RefineSequence"), cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 60
    while not project.scribble_file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.utime(early)
    late = [paint(project, frame, name) for frame, name in ((2, "{:05d}.png"), (8, "{:05d}.strokes.png"))]
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 20, output
    assert json.loads(project.scribble_file.read_text())["annotated_frames"] == [5]
    assert all(path.exists() for path in late)
    project.run(expect=20)
    assert json.loads(project.scribble_file.read_text())["annotated_frames"] == [2, 5, 8]


@pytest.mark.slow
def test_a_misspelt_set_founds_none(finished: Project) -> None:
    before = finished.snapshot()
    output = finished.run("RefineSequence", "--scribbles", "002", expect=30)
    assert "002.json: found no such scribble set, expected one of those that are there: 001" in output
    assert finished.snapshot() == before
    finished.run("RefineSequence", "--scribbles", "002", "--new-set", expect=20)


@pytest.mark.slow
def test_what_was_painted_for_one_set_leaves_the_others_alone(finished: Project) -> None:
    before = finished.scribble_file.read_bytes()
    other = ("--scribbles", "002", "--new-set", "--requests", "2")
    finished.run("RefineSequence", *other, expect=20)
    for asked in json.loads((finished.root / "requests.json").read_text())["waiting"]:
        paint(finished, asked["frame"], "{:05d}.png")
    for _ in range(2):  # before the other set has read them, and after
        finished.run("RefineSequence")
        output = finished.run("RefineSequence")
        assert "painted for the scribble set 002 (--scribbles 002)" in output
        assert finished.scribble_file.read_bytes() == before
        finished.run("RefineSequence", *other)
    assert finished.scribble_file.with_name("002.json").exists()


@pytest.mark.slow
def test_a_frame_whose_strokes_were_brought_along_can_be_painted_in_place(finished: Project) -> None:
    (finished.root / "requests").mkdir(exist_ok=True)
    index = json.loads(finished.scribble_file.read_text())["annotated_frames"][0]
    paint(finished, index, "{:05d}.png")
    assert f"frame {index}: object 1 (1 stroke), from {index:05d}.png" in finished.run("RefineSequence")


@pytest.mark.slow
def test_strokes_of_another_video_are_told_before_anything_is_made_of_them(finished: Project) -> None:
    content = json.loads(finished.scribble_file.read_text())
    digests = {str(index): pixel_digest(finished.clip.frame(index)) for index in (2, 5)}
    finished.scribble_file.write_text(json.dumps({**content, "frame_digests": digests}))
    finished.run()
    assert finished.ran() == []
    for index in (2, 5):
        Image.fromarray(finished.clip.frame(index)[::-1]).save(finished.frames / f"{index:05d}.png")
    output = finished.run(expect=30)
    assert "001.json: found strokes of another video: on the frames 2, 5 they were drawn over other pictures" in output
    assert not {"anchor_masks/00002", "anchor_masks/00005"} & set(finished.ran())


@pytest.mark.slow
def test_issued_requests_do_not_move_when_another_frame_is_annotated(project: Project) -> None:
    project.run(expect=20)
    project.scribble(6)
    project.run(expect=20)
    requests = json.loads((project.root / "requests.json").read_text())
    assert requests["issued"][0]["anchors"] == [2, 5, 6, 8, 11]
    assert [item["frame"] for item in requests["waiting"]] == [2, 5, 8, 11]


@pytest.mark.slow
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


@pytest.mark.slow
def test_detours_do_not_move_what_was_asked_for(project: Project) -> None:
    project.run(expect=20)
    project.run("RefineSequence", "--requests", "5", expect=20)
    project.scribble(6)
    project.run(expect=20)
    requests = json.loads((project.root / "requests.json").read_text())
    assert [item["frame"] for item in requests["waiting"]] == [2, 5, 8, 11]


@pytest.mark.slow
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


@pytest.mark.slow
def test_anchor_masks_alone_of_what_is_annotated_so_far(project: Project) -> None:
    project.scribble(5)
    ready = Draft("toy", "001", 8, lines=(Line(1, ((0.42, 0.35),)),), state=DraftState.READY)
    write_draft(project.scribble_file, ready, NEW)
    project.run("SegmentAnchors")
    assert project.ran() == ["anchor_masks/00005", "anchor_masks/00008", "frames"]
    assert json.loads(project.scribble_file.read_text())["annotated_frames"] == [5, 8], "it was ready"
    assert not (project.root / "requests.json").exists(), "nobody is asked for anything"
