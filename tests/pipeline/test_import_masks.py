"""Masks that come back from elsewhere: `ImportMasks`, and masks among the painted pictures."""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from stages.formats.given_masks import given_frames, read_given
from stages.formats.masks import read_mask, write_mask
from tests.conftest import LUIGI, Project


def corrected(project: Project, index: int) -> np.ndarray:
    """The result's mask of a frame, with a corner given to object 2."""
    labels = read_mask(project.root / "masks" / f"{index:05d}.png")
    labels[:8, :8] = 2
    return labels


def lis(project: Project, *words: str) -> str:
    command = [str(LUIGI.with_name("lis")), *words]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


def brought_back(project: Project, *frames: int) -> Path:
    """A copy of the result, with some frames corrected."""
    folder = project.folder / "back"
    shutil.copytree(project.root / "masks", folder)
    for index in frames:
        write_mask(folder / f"{index:05d}.png", corrected(project, index))
    return folder


@pytest.mark.slow
def test_what_was_corrected_comes_back_and_is_said(finished: Project) -> None:
    brought_back(finished, 3, 7)
    log = (finished.root / "log.txt").read_bytes()
    with (finished.root / ".lock").open("a") as lock:  # a dry run needs it no more than a person who looks
        fcntl.flock(lock, fcntl.LOCK_EX)
        listed = lis(finished, "import-masks", "toy", "back", "--list")
    assert (finished.root / "log.txt").read_bytes() == log
    assert "toy: taken for the format png" in listed
    assert "toy: frame 3 (00003.png): 64 pixels differ, objects: 1, 2" in listed
    assert not given_frames(finished.scribble_file)
    in_json = lis(finished, "import-masks", "toy", "back", "--list", "--json")
    said = json.loads(in_json[in_json.index("{") :])
    assert [(each["frame"], each["changed_px"]) for each in said["masks"]] == [(3, 64), (7, 64)]
    assert said["state"] == "done"
    came = finished.run("ImportMasks", "--source", "back", "--format", "png")
    assert "toy: 2 of 12 frames differ, 2 anchors; run `lis refine toy`" in came
    given = given_frames(finished.scribble_file)
    assert [*given] == [3, 7]
    np.testing.assert_array_equal(read_given(given[7], (128, 96)), corrected(finished, 7))
    given[7].unlink()  # as if the command had been killed in between
    again = lis(finished, "import-masks", "toy", "back", "--json")
    assert "toy: 1 of 12 frames differs, 1 anchor; 1 more was given before; run `lis refine toy`" in again
    said = json.loads(again[again.index("{") :])
    assert said["frames"] == {
        "looked_at": 12, "differing": 2, "imported": 1, "given_before": 1, "untouched": 0, "silent": 0
    }  # fmt: skip
    assert said["pixels"] == {"claimed_twice": 0, "cut_off": 0, "unknown": 0}
    assert said["masks"] == [{"frame": 7, "name": "00007.png", "changed_px": 64, "objects": [1, 2]}]
    assert said["state"] == json.loads(lis(finished, "status", "toy", "--json"))[0]["state"] == "stale"


@pytest.mark.slow
def test_a_correction_makes_its_two_stretches_anew_and_is_in_the_result_byte_for_byte(finished: Project) -> None:
    before = finished.snapshot()
    brought_back(finished, 3)
    finished.run("ImportMasks", "--source", "back")
    (finished.root / "requests").mkdir(exist_ok=True)
    write_mask(finished.root / "requests" / "00009.mask.png", corrected(finished, 9))
    said = finished.run()
    assert "a whole mask, from 00009.mask.png" in said
    given = given_frames(finished.scribble_file)
    assert [*given] == [3, 9]
    for index, path in given.items():
        assert (finished.root / "masks" / f"{index:05d}.png").read_bytes() == path.read_bytes()
    made = finished.ran()
    assert [name for name in made if name.startswith("tracks/")] == ["tracks/00003-00005", "tracks/00009-00011"]
    after = finished.snapshot()
    for index in (0, 1, 2, 5, 6, 7, 8, 11):
        name = f"masks/{index:05d}.png"
        assert after[name] == before[name]
    finished.run()
    assert not finished.ran()


@pytest.mark.slow
def test_what_cannot_be_used_is_one_line_and_nothing_is_given(finished: Project) -> None:
    folder = brought_back(finished, 3)
    with (finished.root / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another run works on outputs/toy" in finished.run("ImportMasks", "--source", "back", expect=30)
    labels = corrected(finished, 3)
    labels[0, 0] = 77
    write_mask(folder / "00003.png", labels)
    said = finished.run("ImportMasks", "--source", "back", expect=30)
    assert "back/00003.png: found the id 77 on 1 pixel, expected objects 1, 2" in said
    assert "Traceback" not in said
    assert not given_frames(finished.scribble_file)
