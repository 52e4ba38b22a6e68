"""Asking people for scribbles, and reading what they painted: all of it, or nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError, StageError
from stages.core.plan import Plan
from stages.core.strokes import FrameScribbles, Line
from stages.formats import manifest
from stages.formats.files import publishing, sha256
from stages.formats.frames import pixel_digest, read_frame
from stages.formats.frozen import Waiting
from stages.formats.given_for import given_for
from stages.formats.given_masks import given_frames, read_given, read_seen
from stages.formats.manifest import publish
from stages.formats.masks import write_mask
from stages.formats.paintings import pending, picture_to_paint_on
from stages.formats.scribbles import ScribbleSet, merge, read_scribbles, write_scribbles
from stages.formats.strokes import strokes_from_png
from stages.steps.ask import Reading, ask, lay_out_suggested, look_at_painted
from stages.steps.promote import digest_of_set, promote

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
def file(tmp_path: Path) -> Path:
    return tmp_path / "scribbles" / "toy" / "001.json"


@pytest.fixture
def read(root: Path, frames: list[Path], file: Path) -> Callable[[], Reading]:
    """Read everything that is painted."""

    def act() -> Reading:
        now = read_scribbles(file, "toy", 4) if file.exists() else DRAWN
        return promoted(root, file, now, frames)

    return act


def promoted(root: Path, file: Path, now: ScribbleSet, frames: list[Path]) -> Reading:
    """Everything that waits is merged into the set."""
    waiting = Waiting(pending(root, "001", now.annotated, frames))
    return promote(root, file, now, waiting, frames, noted=digest_of_set(file))


def paint(
    root: Path, frame: Path, index: int, name: str = "", row: int = 12, colour: tuple[int, int, int] = RED
) -> Path:
    picture = np.array(Image.open(frame))
    picture[row - 1 : row + 2, 4:20] = colour
    path = root / "requests" / (name or f"{index:05d}.strokes.png")
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
    assert sorted(path.name for path in (root / "requests").iterdir()) == [".laid_out.json", "00001.png", "00003.png"]
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


def test_asking_again_leaves_what_was_painted_in_place_and_takes_away_what_is_asked_no_more(
    root: Path, frames: list[Path]
) -> None:
    assert ask(root, TERMS, Plan(4, (1, 2, 3), (1, 2, 3)), frames) == []
    painted = paint(root, frames[1], 1, "00001.png").read_bytes()
    assert ask(root, TERMS, Plan(4, (1, 3), (1, 3)), frames) == [1]
    assert (root / "requests" / "00001.png").read_bytes() == painted
    ask(root, TERMS, Plan(4, (0, 1, 3), (0,)), frames)
    assert (root / "requests" / "00003.png").exists(), "what was painted for it may not be readable"
    assert sorted(path.name for path in (root / "requests").glob("*.png")) == ["00000.png", "00001.png", "00003.png"]


# --- reading ---------------------------------------------------------------------------------------------------------


def published(root: Path, frames: list[Path], stage: str = "masks", **options: str) -> None:
    """A result of these frames: object 2 everywhere."""
    with publishing(root / stage) as folder:
        for path in frames:
            write_mask(folder / path.name, np.full((HEIGHT, WIDTH), 2, np.uint8))
        key, run = {"names": [path.name for path in frames]}, {"options": {"scribbles": "001", **options}}
        publish(folder, root / stage, stage=stage, key=key, weights={}, objects=[2], run=run)


def test_strokes_on_a_frame_of_the_result_correct_it(
    root: Path, frames: list[Path], file: Path, read: Callable[[], Reading]
) -> None:
    published(root, frames)
    mask = root / "masks" / "00001.png"
    paint(root, frames[1], 1)
    paint(root, frames[0], 0)
    declare_empty(root, 2)
    found = read()
    assert found.scribbles.corrects == {1: sha256(mask)}, "frame 0 was scribbled, nothing is on frame 2"
    assert read_seen(file, 1, sha256(mask), (WIDTH, HEIGHT)).min() == 2
    assert sum("a correction" in line for line in found.said) == 1
    write_mask(mask, np.zeros((HEIGHT, WIDTH), np.uint8))
    paint(root, frames[1], 1, row=6)
    with pytest.raises(StageError, match=r"00001\.png: found another content than was published"):
        read()


def test_strokes_correct_provisional_masks_where_nobody_was_asked(
    root: Path, frames: list[Path], file: Path, read: Callable[[], Reading]
) -> None:
    ask(root, TERMS, Plan(4, (0, 1, 3), (3,)), frames)  # a run that finds frame 1 painted plans it, and asks nobody
    published(root, frames)
    write_mask(root / "masks" / "00001.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    published(root, frames, "provisional")
    mask = sha256(root / "provisional" / "00001.png")
    paint(root, frames[1], 1)
    paint(root, frames[3], 3)
    assert read().scribbles.corrects == {1: mask}, "people were asked for frame 3; the result is older"
    assert read_seen(file, 1, mask, (WIDTH, HEIGHT)).min() == 2


def test_masks_that_are_listed_in_a_file_of_their_own_are_corrected_too(
    root: Path, frames: list[Path], read: Callable[[], Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "MOST_NAMED", 1)
    published(root, frames)
    paint(root, frames[1], 1)
    assert read().scribbles.corrects == {1: sha256(root / "masks" / "00001.png")}


@pytest.mark.parametrize("reason", ["asked for", "of another set", "of other frames"])
def test_strokes_correct_no_result_that_nobody_saw(
    root: Path, frames: list[Path], read: Callable[[], Reading], reason: str
) -> None:
    if reason == "asked for":
        ask(root, TERMS, Plan(4, (0, 1), (1,)), frames)
    published(root, frames[1:] if reason == "of other frames" else frames,
              **({"scribbles": "002"} if reason == "of another set" else {}))  # fmt: skip
    paint(root, frames[1], 1)
    assert read().scribbles.corrects == {}


def test_what_was_painted_joins_the_set_and_is_read_once(
    root: Path, frames: list[Path], read: Callable[[], Reading], file: Path
) -> None:
    paint(root, frames[3], 3)
    declare_empty(root, 1)
    said = read().said
    assert "frame 1: nothing is there, from 00001.empty.png" in said
    assert "frame 3: object 1 (1 stroke), from 00003.strokes.png" in said
    merged = read_scribbles(file, "toy", 4)
    assert merged.annotated == (0, 1, 3)
    assert merged.frame(0) == DRAWN.frame(0)
    assert merged.frame(1).lines == ()
    (line,) = merged.frame(3).lines
    assert line.object_id == 1
    assert row_of(line) == pytest.approx(12, abs=1)
    assert pending(root, "001", merged.annotated, frames) == {}


def test_a_picture_painted_in_place_is_read_like_one_under_a_name_of_its_own(
    root: Path, frames: list[Path], read: Callable[[], Reading], file: Path
) -> None:
    ask(root, TERMS, Plan(4, (0, 1, 3), (1, 3)), frames)
    paint(root, frames[1], 1, "00001.png")
    assert "frame 1: object 1 (1 stroke), from 00001.png" in read().said
    assert read_scribbles(file, "toy", 4).annotated == (0, 1)
    assert pending(root, "001", (0, 1), frames) == {}
    assert picture_to_paint_on(root, 1).exists()


def test_of_two_paintings_of_a_frame_the_last_is_read_and_the_other_is_named_and_kept(
    root: Path, frames: list[Path], read: Callable[[], Reading], file: Path
) -> None:
    ask(root, TERMS, Plan(4, (0, 1, 3), (1, 3)), frames)
    earlier = paint(root, frames[1], 1, "00001.png", row=6)
    os.utime(earlier, (1, 1))
    paint(root, frames[1], 1, row=18)
    said = read().said
    assert "frame 1: 00001.png was painted, too, but not saved last: it is kept, and not read" in said
    (line,) = read_scribbles(file, "toy", 4).frame(1).lines
    assert row_of(line) == pytest.approx(18, abs=1)
    assert pending(root, "001", (0, 1), frames) == {}
    assert earlier.exists()


def test_a_frame_that_is_painted_again_has_the_new_strokes_alone(
    root: Path, frames: list[Path], read: Callable[[], Reading], file: Path
) -> None:
    for row in (6, 18):
        paint(root, frames[0], 0, row=row)
        read()
    (line,) = read_scribbles(file, "toy", 4).frame(0).lines
    assert line.object_id == 1
    assert row_of(line) == pytest.approx(18, abs=1)


def test_what_is_saved_while_pictures_are_read_is_not_lost(
    root: Path, frames: list[Path], file: Path, read: Callable[[], Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor saves the set, and a person paints the picture anew, both before the strokes are merged."""
    file.parent.mkdir(parents=True)
    write_scribbles(file, DRAWN)
    paint(root, frames[3], 3)
    edited = Line(5, ((0.25, 0.25), (0.5, 0.25)))

    def meanwhile(*arguments: Any) -> tuple[Line, ...]:
        lines = strokes_from_png(*arguments)
        write_scribbles(file, merge(DRAWN, 2, [edited]))
        paint(root, frames[3], 3, row=18)
        return lines

    monkeypatch.setattr("stages.steps.ask.strokes_from_png", meanwhile)
    found = promoted(root, file, DRAWN, frames)
    assert found.scribbles.annotated == (0, 3), "the run goes on with what it has read"
    assert found.said[-1] == "001.json was edited while this run began; what waited for it waits for the next run"
    monkeypatch.undo()
    now = read_scribbles(file, "toy", 4)
    assert now.annotated == (0, 2)
    read()
    now = read_scribbles(file, "toy", 4)
    assert now.annotated == (0, 2, 3)
    assert now.frame(2).lines == (edited,)
    assert list(pending(root, "001", now.annotated, frames)) == []


def test_looking_changes_nothing(root: Path, frames: list[Path], file: Path) -> None:
    paint(root, frames[3], 3)
    waiting = pending(root, "001", DRAWN.annotated, frames)
    found = look_at_painted(root, file, DRAWN, waiting, frames)
    assert found.scribbles.annotated == (0, 3)
    assert not file.exists()
    assert pending(root, "001", DRAWN.annotated, frames) == waiting


# --- what a person may have meant otherwise --------------------------------------------------------------------------


def warnings(said: tuple[str, ...]) -> list[str]:
    return [line for line in said if line.startswith("warning")]


def test_an_object_that_is_nowhere_else_is_asked_about(
    root: Path, frames: list[Path], read: Callable[[], Reading], file: Path
) -> None:
    paint(root, frames[3], 3)
    assert warnings(read().said) == ["warning: object 1 of frame 3 is on no other frame; is it meant?"]
    paint(root, frames[2], 2)
    assert warnings(read().said) == []
    paint(root, frames[1], 1, colour=(0, 0, 128))
    (file.parent / "objects.json").write_text('{"schema": 1, "sequence": "toy", "objects": [{"id": 4}]}')
    assert warnings(read().said) == []
    paint(root, frames[1], 1, colour=(128, 0, 128))
    expected = "warning: object 5 of frame 1 is on no other frame, nor in objects.json; is it meant?"
    assert warnings(read().said) == [expected]
    (file.parent / "objects.json").write_text("{")
    paint(root, frames[1], 1)
    (line,) = warnings(read().said)
    assert "objects.json: found something else" in line


@pytest.mark.parametrize(
    ("colours", "warning"),
    [
        ([(128, 0, 0), (0, 128, 0)], None),
        ([(128, 0, 0), (128, 128, 0)], "the first strokes are of the objects 1, 3, and none of 2; is it meant?"),
        ([(255, 255, 255)], None),
    ],
)
def test_a_gap_among_the_first_objects_is_asked_about(
    root: Path, frames: list[Path], file: Path, colours: list[tuple[int, int, int]], warning: str | None
) -> None:
    picture = np.array(Image.open(frames[1]))
    for number, colour in enumerate(colours):
        picture[4 + 6 * number : 7 + 6 * number, 4:20] = colour
    path = root / "requests" / "00001.strokes.png"
    Image.fromarray(picture).save(path)
    said = look_at_painted(root, file, ScribbleSet("toy", 4), {1: [path]}, frames).said
    assert warnings(said) == ([f"warning: {warning}"] if warning else [])


def test_strokes_know_the_picture_that_they_were_drawn_on(
    root: Path, frames: list[Path], read: Callable[[], Reading], file: Path
) -> None:
    paint(root, frames[3], 3)
    read()
    assert read_scribbles(file, "toy", 4).frame_digests == {3: pixel_digest(read_frame(frames[3]))}
    Image.new("RGB", (WIDTH, HEIGHT), (1, 2, 3)).save(frames[3])
    paint(root, frames[1], 1)
    with pytest.raises(InputError, match="found strokes of another video: on the frames 3 they were drawn"):
        read()
    paint(root, frames[3], 3)
    read()
    assert set(read_scribbles(file, "toy", 4).frame_digests) == {1, 3}


# --- whole masks -----------------------------------------------------------------------------------------------------


def mask_of(root: Path, index: int, labels: np.ndarray) -> Path:
    path = root / "requests" / f"{index:05d}.mask.png"
    write_mask(path, labels)
    return path


def labels(*ids: int) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, object_id in enumerate(ids):
        found[4 * number : 4 * number + 3, 4:20] = object_id
    return found


def test_a_mask_is_given_with_the_set_and_goes_before_strokes(
    root: Path, frames: list[Path], read: Callable[[], Reading], file: Path
) -> None:
    file.parent.mkdir(parents=True)
    write_scribbles(file, DRAWN)
    paint(root, frames[1], 1)
    mask_of(root, 1, labels(2))
    paint(root, frames[2], 2)
    found = read()
    assert "frame 1: object 2, a whole mask, from 00001.mask.png" in found.said
    assert "frame 1: 00001.strokes.png is there, too: the mask goes before it; it is kept, and not read" in found.said
    assert {index: path.name for index, path in given_frames(file).items()} == {1: "00001.png"}
    np.testing.assert_array_equal(read_given(given_frames(file)[1], (WIDTH, HEIGHT)), labels(2))
    assert given_for(file) == {1: pixel_digest(read_frame(frames[1]))}
    annotated = {*read_scribbles(file, "toy", 4).annotated, *given_frames(file)}
    assert annotated == {0, 1, 2}
    assert not pending(root, "001", annotated, frames)
    mask_of(root, 1, labels(0, 2))
    assert [*pending(root, "001", annotated, frames)] == [1]  # painted anew
    read()
    kept = [*(file.parent / "removed").rglob("*.png")]
    np.testing.assert_array_equal(read_given(kept[0], (WIDTH, HEIGHT)), labels(2))


def test_masks_alone_make_no_scribble_file_and_one_object_may_be_white(
    root: Path, frames: list[Path], file: Path
) -> None:
    path = root / "requests" / "00003.MASK.png"
    Image.fromarray(labels(1) * np.uint8(255)).save(path)
    nothing = ScribbleSet("toy", 4, {})
    promoted(root, file, nothing, frames)
    assert not file.exists()
    np.testing.assert_array_equal(read_given(given_frames(file)[3], (WIDTH, HEIGHT)), labels(1))


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (labels(2, 7, 9), r"00001\.mask\.png: found the ids 7, 9 on 96 pixels, expected objects 2 \(objects\.json\)"),
        (labels(2)[:12], r"00001\.mask\.png: found 32x12 pixels, expected 32x24 as in 00001\.png; export it without"),
        (np.dstack([labels(2)] * 3), r"00001\.mask\.png: found a picture of mode RGB"),
    ],
)
def test_a_mask_that_cannot_be_used_keeps_everything_waiting(
    root: Path, frames: list[Path], read: Callable[[], Reading], file: Path, picture: np.ndarray, words: str
) -> None:
    paint(root, frames[2], 2)
    Image.fromarray(picture).save(root / "requests" / "00001.mask.png")
    with pytest.raises(InputError, match=words):
        read()
    assert not file.exists()
    assert not given_frames(file)


def test_a_mask_and_the_word_that_nothing_is_there_contradict_each_other(
    root: Path, read: Callable[[], Reading]
) -> None:
    mask_of(root, 1, labels(2))
    declare_empty(root, 1)
    with pytest.raises(InputError, match="contradict"):
        read()


# --- what cannot be read ---------------------------------------------------------------------------------------------


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
    root: Path,
    frames: list[Path],
    read: Callable[[], Reading],
    file: Path,
    damage: Callable[[Path], None],
    words: str,
) -> None:
    file.parent.mkdir(parents=True)
    write_scribbles(file, DRAWN)
    before = file.read_bytes()
    paint(root, frames[1], 1)
    damage(paint(root, frames[3], 3))
    with pytest.raises(InputError, match=words):
        read()
    assert file.read_bytes() == before
    assert 1 in pending(root, "001", DRAWN.annotated, frames)
    assert not (root / "requests" / "read.json").exists()


def test_what_a_report_suggests_is_laid_out_until_it_suggests_something_else(root: Path, frames: list[Path]) -> None:
    lay_out_suggested(root, "001", [1, 2], frames)
    ask(root, TERMS, Plan(4, (0, 3), (3,)), frames)
    assert laid_out(root) == ["00001.png", "00002.png", "00003.png"]
    assert (read_frame(picture_to_paint_on(root, 1)) == read_frame(frames[1])).all()
    picture_to_paint_on(root, 1).write_bytes(b"painted")
    lay_out_suggested(root, "001", [0], frames)
    assert laid_out(root) == ["00000.png", "00001.png", "00003.png"], "painted on, or asked for"


def laid_out(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "requests").glob("0*"))
