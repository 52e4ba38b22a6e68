"""What breaks a night is found before it begins: `lis doctor --list`, `--all`."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.checkup import check_night
from tasks.choice import Chosen
from tests.conftest import Project
from tests.pipeline.test_bulk import copy_sequence


def checked(project: Project, *names: str, **options: object) -> tuple[bool, dict[str, str]]:
    """Whether all is well, and what is said of each sequence and in the end."""
    lines: list[str] = []
    chosen = [Chosen(name, name, "set") for name in names]
    well = check_night(chosen, project.task(**options), lines.append)
    said = [re.split(r": | {2,}", line, maxsplit=1) for line in lines if line]
    return well, dict(said)


def cut(picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:300])


def test_a_night_that_will_go_well(finished: Project) -> None:
    copy_sequence(finished, "second", scribbled=True)
    copy_sequence(finished, "idle", scribbled=False)
    well, said = checked(finished, "toy", "second", "idle")
    assert well, "people who owe scribbles break no night"
    assert said["toy"] == "ok       12 frames, 128x96, finished"
    assert re.fullmatch(r"ok       12 frames, 128x96, 19 stages, about \d+ s", said["second"])
    assert said["idle"].startswith("ok       12 frames, 128x96, people owe scribbles on 4, ")
    assert said["sequences"] == "3, 36 frames; problems in none"
    assert said["people owe"] == "scribbles on 4 frames of 1 sequences"
    assert re.match(r"about \d+ s with one worker, and about \d+ s more once all scribbles are there", said["time"])
    assert "as in earlier runs" in said["time"]
    assert said["engines"] == "grabcut + flow + guided"
    assert "room for" in said["memory"]
    assert not (finished.folder / "outputs" / "second" / "log.txt").exists(), "a look makes nothing"


@pytest.mark.slow
def test_every_damaged_frame_is_named_and_the_others_are_looked_at(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    copy_sequence(project, "sound", scribbled=True)
    for index in (3, 6, 7, 9, 11):
        cut(project.frames / f"{index:05d}.png")
    Image.fromarray(np.zeros((90, 128, 3), np.uint8)).save(project.frames / "00004.png")
    well, said = checked(project, "toy", "sound")
    assert not well
    assert said["toy"].startswith("problem ")
    for name in ("00003.png: found no readable", "00004.png: found 128x90 pixels, expected 128x96", "00006.png: found"):
        assert name in said["toy"]
    assert said["toy"].endswith("and 3 more: 00007.png, 00009.png, 00011.png")
    assert said["sound"].startswith("ok ")
    assert said["sequences"].endswith("problems in 1")


@pytest.mark.slow
def test_paintings_and_scribbles_that_cannot_be_used_are_found(project: Project) -> None:
    project.scribble(2, 5, sequence="another")
    copy_sequence(project, "second", scribbled=False)
    painted = project.root.with_name("second") / "requests" / "00005.strokes.png"
    painted.parent.mkdir(parents=True)
    Image.fromarray(np.full((50, 60, 3), 90, np.uint8)).save(painted)
    well, said = checked(project, "toy", "second", "nosuch")
    assert not well
    assert "'another'" in said["toy"]
    assert "00005.strokes.png" in said["second"]
    assert "'nosuch'" in said["nosuch"]
    assert painted.exists() and sorted(path.name for path in painted.parent.iterdir()) == [painted.name]


def test_weights_that_are_not_there_break_the_night_and_are_told_once(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    well, said = checked(project, "toy", propagator="siammask:davis")
    assert not well
    assert said["toy"].startswith("ok ")
    assert said["engines"].startswith("problem: ") and "SiamMask_DAVIS.pth" in said["engines"]


@pytest.mark.slow
def test_a_disk_that_has_room_for_one_and_not_for_all_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.scribble(2, 5, 8, 11)
    copy_sequence(project, "second", scribbled=True)
    usage = shutil.disk_usage(project.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=128 * 96 * 12 // 4))
    assert checked(project, "toy")[0]
    well, said = checked(project, "toy", "second")
    assert not well
    assert said["disk"].startswith("problem: ") and "0.25 bytes for each pixel" in said["disk"]


@pytest.mark.slow
def test_the_command_takes_a_list_or_all_and_says_so_in_its_exit_code(finished: Project) -> None:
    copy_sequence(finished, "broken", scribbled=True)
    cut(finished.frames.with_name("broken") / "00003.png")
    (finished.folder / "tonight.txt").write_text("toy\nset/broken # the one of Tuesday\nbulk\n")

    def doctor(*words: str, expect: int) -> str:
        command = [sys.executable, "-m", "tasks", "doctor", "--requests", "3", *words]
        done = subprocess.run(command, cwd=finished.folder, capture_output=True, text=True, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    said = doctor("--list", "tonight.txt", expect=30)
    assert re.search(r"^toy +ok .*finished$", said, re.MULTILINE)
    assert re.search(r"^set/broken +problem +.*00003\.png: found no readable picture", said, re.MULTILINE)
    assert re.search(r"^bulk +problem +.*other results", said, re.MULTILINE)
    assert "problems in 2" in said
    assert "problems in 1" in doctor("--all", expect=30)
    shutil.rmtree(finished.frames.with_name("broken"))
    doctor("--all", expect=0)
    assert "SEQ, --list FILE, --all" in doctor(expect=2)
