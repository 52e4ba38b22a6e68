"""What a run would meet, on one screen, before the night."""

import io
import math
import re
import shutil
from typing import NamedTuple

import pytest
from PIL import Image
from rich.console import Console

from stages.formats.given_masks import write_given
from tasks import doctor
from tasks.doctor import examine
from tasks.overview import overview
from tasks.runtime import machine
from tasks.status import Estimate
from tests.conftest import Project


class Diagnosis(NamedTuple):
    well: bool
    rows: dict[str, str]
    """What is said of each point; the first word is ok or problem."""


def diagnose(project: Project, **options: object) -> Diagnosis:
    console = Console(record=True, width=4000, file=io.StringIO())
    well = examine(project.task(**options), console)
    rows = {}
    for line in console.export_text().splitlines():
        cells = [cell.strip() for cell in line.split("│") if cell.strip()]
        if len(cells) == 3:
            rows[cells[0]] = f"{cells[1]} {cells[2]}"
    return Diagnosis(well, rows)


def test_before_the_first_run_all_is_well_and_the_work_is_counted(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    well, rows = diagnose(project)
    assert well
    assert list(rows) == ["frames", "scribbles", "engines", "disk", "tasks", "time"]
    assert rows["frames"] == f"ok 12 in {project.frames}, 128x96 (00000.png to 00011.png)"
    assert rows["scribbles"] == f"ok {project.scribble_file}: 4 frames annotated, objects: 1, 2"
    assert rows["engines"] == "ok grabcut + flow + guided"
    assert rows["tasks"].startswith("ok 19 to run (")
    for count in ("1 masks", "1 anchors", "1 frames", "4 anchor_masks", "4 tracks", "8 refined"):
        assert count in rows["tasks"]
    assert re.fullmatch(r"ok about \d+ s with one worker, by figures from another machine", rows["time"])
    assert not project.root.exists(), "a look makes no results"


def test_scribbles_that_are_missing_are_told_and_are_no_problem(project: Project) -> None:
    well, rows = diagnose(project)
    assert well
    assert (
        "0 frames annotated, objects: none yet; waiting for 4 frames: 2, 5, 8, 11 (exit code 20)" in rows["scribbles"]
    )
    assert rows["scribbles"].startswith("ok")


@pytest.mark.slow
def test_names_are_told_and_a_bad_file_of_them_is_no_problem(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    names = project.scribble_file.parent / "objects.json"
    names.write_text('{"schema": 1, "sequence": "toy", "objects": [{"id": 1, "name": "Rex"}]}')
    assert diagnose(project).rows["scribbles"].endswith("4 frames annotated, objects: 1 Rex, 2 object 2")
    assert overview(project.task()).warning == ""
    names.write_text('{"schema": 2}')
    well, rows = diagnose(project)
    assert well
    line = f"{names}: found schema 2, expected 1; update the program. Until then objects have no names"
    assert f"objects: 1, 2; warning: {line}" in rows["scribbles"]
    assert overview(project.task()).warning.startswith(line)


@pytest.mark.slow
def test_masks_are_looked_at_and_need_no_segmenter(project: Project) -> None:
    truth = project.clip.truth(2)
    path = write_given(project.scribble_file, 2, truth)
    well, rows = diagnose(project, placement="given", segmenter="fbrs:resnet34_dh128")
    assert well
    assert rows["scribbles"].endswith("001.json: 1 frames annotated, objects: 1, 2; masks given for the frames 2")
    assert "1 anchor_masks" in rows["tasks"]
    write_given(project.scribble_file, 2, truth[:, 1:])
    well, rows = diagnose(project, placement="given")
    assert not well and f"{path}: found 127x96 pixels, expected 128x96 as in 00002.png; export" in rows["scribbles"]


@pytest.mark.slow
def test_what_was_painted_is_looked_at_and_left_as_it_is(project: Project) -> None:
    folder = project.root / "requests"
    folder.mkdir(parents=True)
    picture = project.clip.frame(2)
    picture[30:34, 20:40] = (128, 0, 0)
    for name in ("00002.png", "00005.strokes.png"):
        Image.fromarray(picture if name == "00002.png" else picture // 2).save(folder / name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    well, rows = diagnose(project)
    assert not well
    assert "00005.strokes.png: 100 % of the picture differs from the frame 00005.png" in rows["scribbles"]
    (folder / "00005.strokes.png").rename(folder / "00005.strokes.jpg")
    assert "00005.strokes.jpg (expected 00005.strokes.png)" in diagnose(project).rows["scribbles"]
    (folder / "00005.strokes.jpg").unlink()
    well, rows = diagnose(project)
    assert well
    assert "waiting for 3 frames: 5, 8, 11" in rows["scribbles"]
    assert rows["scribbles"].endswith("to be read by the next run: frame 2: object 1 (1 stroke), from 00002.png")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"00002.png": before["00002.png"]}
    assert not project.scribble_file.exists()


@pytest.mark.parametrize("knows", [True, False])
def test_bfloat16_is_told_and_what_it_is_worth_here(
    project: Project, knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.scribble(2, 5, 8, 11)
    monkeypatch.setattr(machine, "knows_bfloat16", lambda: knows)
    small = {"propagator": "match:trunk", "precision": "bfloat16"}
    assert "bfloat16" not in diagnose(project, **{**small, "precision": "float32"}).rows["engines"]
    assert ("in bfloat16, which this processor is slow in" in diagnose(project, **small).rows["engines"]) is not knows


@pytest.mark.parametrize(
    ("engines", "told"),
    [
        ({"propagator": "match:trunk", "refiner": "guided"}, True),
        ({"refiner": "cascadepsp:lite"}, True),
        ({"refiner": "cascadepsp:lite", "exact": True}, False),
        ({"refiner": "cascadepsp:official"}, False),
        ({"refiner": "guided"}, False),
    ],
)
def test_bfloat16_is_told_only_of_networks_that_compute_in_it(
    project: Project, engines: dict[str, object], told: bool
) -> None:
    assert doctor.computes_in_bfloat16(project.task(precision="bfloat16", **engines)) is told


def test_an_engine_that_nobody_measured_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.scribble(2, 5, 8, 11)
    monkeypatch.setattr(doctor, "estimate", lambda _: Estimate(math.nan, learnt=False))
    well, rows = diagnose(project)
    assert well
    assert rows["time"] == "ok unknown: no earlier run with these engines to learn from"


def test_of_a_finished_sequence_nothing_is_left_to_do(finished: Project) -> None:
    well, rows = diagnose(finished)
    assert well
    assert rows["tasks"] == "ok nothing to do: the result is up to date"
    assert rows["time"] == "ok about 0 s with one worker, as in earlier runs"


@pytest.mark.slow
def test_what_ran_before_says_how_long_it_takes(finished: Project) -> None:
    shutil.rmtree(finished.root / "masks")
    shutil.rmtree(finished.root / "tracks" / "00002-00005")
    rows = diagnose(finished).rows
    assert rows["tasks"].startswith("ok 3 to run")
    assert rows["time"].endswith("with one worker, as in earlier runs")
    rows = diagnose(finished, refiner="cascadepsp:lite").rows
    assert rows["time"].endswith("with one worker, by figures from another machine")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "name", "words", "rows"),
    [
        ("sequence", "frames", "toi", 1),
        ("picture", "frames", "00000.png", 1),
        ("scribbles", "scribbles", "'another'", 2),
        ("checkpoint", "engines", "SiamMask_DAVIS.pth", 3),
        ("outputs", "disk", "no folder that can be written", 4),
    ],
)
def test_a_problem_is_named_and_what_rests_on_it_is_not_looked_at(
    project: Project, damage: str, name: str, words: str, rows: int
) -> None:
    project.scribble(2, 5, 8, 11)
    options = {}
    if damage == "sequence":
        project.seq = "toi"
    elif damage == "picture":
        (project.frames / "00000.png").write_bytes(b"no picture")
    elif damage == "scribbles":
        project.scribble(2, 5, 8, 11, sequence="another")
    elif damage == "checkpoint":
        options = {"propagator": "siammask:davis"}
    else:
        (project.folder / "afile").write_text("")
        options = {"outputs_root": str(project.folder / "afile")}
    found = diagnose(project, **options)
    assert not found.well
    assert len(found.rows) == rows
    assert found.rows[name].startswith("problem ")
    assert words in found.rows[name]


@pytest.mark.slow
def test_a_disk_without_room_is_told_before_the_night(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.scribble(2, 5, 8, 11)
    usage = shutil.disk_usage(project.folder)
    needed = 128 * 96 * 12 // 4
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed))
    assert diagnose(project).well
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    found = diagnose(project)
    assert not found.well
    assert "make room" in found.rows["disk"]


def test_names_with_brackets_are_shown_as_they_are(project: Project) -> None:
    first = project.frames / "00000.png"
    first.rename(first.with_name("[red]00000.png"))
    assert "[red]00000.png" in diagnose(project).rows["frames"]
