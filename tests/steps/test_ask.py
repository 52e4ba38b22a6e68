"""Asking people for scribbles, and reading what they painted: all of it, or nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.core.plan import Plan
from stages.core.strokes import FrameScribbles, Line
from stages.formats.requests import pending_strokes
from stages.formats.scribbles import ScribbleSet, read_scribbles, write_scribbles
from stages.steps.ask import ask, read_painted

TERMS = {"scribbles": "001", "requests": 2, "placement": "eq1", "frame_count": 4}
HEIGHT, WIDTH = 24, 32
RED = (128, 0, 0)
"""The stroke colour of object 1."""
DRAWN = ScribbleSet("toy", 4, {0: FrameScribbles((Line(2, ((0.5, 0.5), (0.75, 0.5))),))})


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "frames" / f"{index:05d}.png" for index in range(4)]
    paths[0].parent.mkdir()
    for index, path in enumerate(paths):
        Image.new("RGB", (WIDTH, HEIGHT), (10 * index + 40, 90, 60)).save(path)
    return paths


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outputs" / "requests").mkdir(parents=True)
    return tmp_path / "outputs"


@pytest.fixture
def read(root: Path, frames: list[Path], tmp_path: Path) -> Callable[[], list[int]]:
    """Read everything that is painted."""

    def act() -> list[int]:
        painted = pending_strokes(root, "001", DRAWN.annotated)
        return read_painted(root, tmp_path / "scribbles" / "toy" / "001.json", DRAWN, painted, frames)

    return act


def paint(root: Path, frame: Path, index: int, row: int = 12) -> Path:
    picture = np.array(Image.open(frame))
    picture[row - 1 : row + 2, 4:20] = RED
    path = root / "requests" / f"{index:05d}.strokes.png"
    Image.fromarray(picture).save(path)
    return path


def declare_empty(root: Path, index: int) -> Path:
    path = root / "requests" / f"{index:05d}.empty.png"
    Image.new("RGB", (1, 1)).save(path)
    return path


def row_of(line: Line) -> float:
    return HEIGHT * median(y for _, y in line.path)


# --- asking ----------------------------------------------------------------------------------------------------------


def test_the_frames_that_wait_are_laid_out_to_paint_on(frames: list[Path], tmp_path: Path) -> None:
    root = tmp_path / "results" / "toy"
    ask(root, TERMS, Plan(4, (0, 1, 3), (1, 3)), frames)
    assert sorted(path.name for path in (root / "requests").iterdir()) == ["00001.png", "00003.png"]
    for index in (1, 3):
        picture = np.array(Image.open(root / "requests" / f"{index:05d}.png"))
        np.testing.assert_array_equal(picture, np.array(Image.open(frames[index])))
    waiting = json.loads((root / "requests.json").read_text())["waiting"]
    assert [(each["frame"], each["name"]) for each in waiting] == [(1, "00001.png"), (3, "00003.png")]


def test_asking_again_shows_the_video_as_it_is_now_and_leaves_what_was_painted(root: Path, frames: list[Path]) -> None:
    plan = Plan(4, (1, 3), (1, 3))
    ask(root, TERMS, plan, frames)
    painted = paint(root, frames[1], 1).read_bytes()
    Image.new("RGB", (WIDTH, HEIGHT), (1, 2, 3)).save(frames[1])
    ask(root, TERMS, plan, frames)
    assert np.array(Image.open(root / "requests" / "00001.png"))[0, 0].tolist() == [1, 2, 3]
    assert (root / "requests" / "00001.strokes.png").read_bytes() == painted


# --- reading ---------------------------------------------------------------------------------------------------------


def test_what_was_painted_joins_the_set_and_is_read_once(
    root: Path, frames: list[Path], read: Callable, tmp_path: Path
) -> None:
    paint(root, frames[3], 3)
    declare_empty(root, 1)
    assert read() == [1, 3]
    merged = read_scribbles(tmp_path / "scribbles" / "toy" / "001.json", "toy", 4)
    assert merged.annotated == (0, 1, 3)
    assert merged.frame(0) == DRAWN.frame(0)
    assert merged.frame(1).lines == ()
    (line,) = merged.frame(3).lines
    assert line.object_id == 1
    assert row_of(line) == pytest.approx(12, abs=1)
    assert pending_strokes(root, "001", merged.annotated) == {}


def test_a_frame_that_is_painted_again_has_the_new_strokes_alone(
    root: Path, frames: list[Path], read: Callable, tmp_path: Path
) -> None:
    file = tmp_path / "scribbles" / "toy" / "001.json"
    for row in (6, 18):
        paint(root, frames[0], 0, row)
        read()
    (line,) = read_scribbles(file, "toy", 4).frame(0).lines
    assert line.object_id == 1
    assert row_of(line) == pytest.approx(18, abs=1)


def damage_size(path: Path) -> None:
    Image.open(path).resize((WIDTH * 2, HEIGHT * 2)).save(path)


def damage_strokes(path: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT), (70, 90, 60)).save(path)


def damage_frame(path: Path) -> None:
    path.rename(path.with_name("00004.strokes.png"))


def damage_agreement(path: Path) -> None:
    declare_empty(path.parents[1], 3)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_size, "64x48"),
        (damage_strokes, "00003.empty.png"),
        (damage_frame, "frames 0 to 3"),
        (damage_agreement, "contradict"),
    ],
)
def test_one_picture_that_cannot_be_read_keeps_all_of_them_waiting(
    root: Path, frames: list[Path], read: Callable, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    file = tmp_path / "scribbles" / "toy" / "001.json"
    file.parent.mkdir(parents=True)
    write_scribbles(file, DRAWN)
    before = file.read_bytes()
    paint(root, frames[1], 1)
    damage(paint(root, frames[3], 3))
    with pytest.raises(InputError, match=words):
        read()
    assert file.read_bytes() == before
    assert 1 in pending_strokes(root, "001", DRAWN.annotated)
    assert not (root / "requests" / "read.json").exists()
