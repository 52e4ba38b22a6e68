"""What a person painted is found under its name or in its place, is read once, and is never overwritten."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError, StageError
from stages.formats import files
from stages.formats.files import sha256
from stages.formats.paintings import (
    check_names,
    clear_away,
    contradiction,
    digests_of,
    is_declared_empty,
    lay_out,
    lay_out_legend,
    note_read,
    painted_pictures,
    pending,
    picture_to_paint_on,
)
from stages.formats.pictures import encoded

COUNT = 12


@pytest.fixture
def frames(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "frames" / f"{index:05d}.png" for index in range(COUNT)]
    paths[0].parent.mkdir()
    for index, path in enumerate(paths):
        Image.new("RGB", (32, 24), (10 * index + 40, 90, 60)).save(path)
    return paths


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outputs" / "requests").mkdir(parents=True)
    return tmp_path / "outputs"


def clean(frame: Path) -> memoryview:
    return encoded(Image.open(frame), "PNG", compress_level=1)


def paint(path: Path, frame: Path, row: int = 12, at_s: int = 0) -> Path:
    """Paint a stroke over a frame and save it; at_s: when."""
    picture = np.array(Image.open(frame))
    picture[row : row + 3, 4:20] = (128, 0, 0)
    Image.fromarray(picture).save(path, format="PNG")
    if at_s:
        os.utime(path, (at_s, at_s))
    return path


def save(root: Path, name: str, content: str = "a stroke") -> Path:
    path = root / "requests" / name
    path.write_text(content)
    return path


# --- laying out ------------------------------------------------------------------------------------------------------


def test_a_picture_that_was_laid_out_is_nobodys_painting(root: Path, frames: list[Path]) -> None:
    assert lay_out(root, 5, clean(frames[5]))
    picture = picture_to_paint_on(root, 5)
    np.testing.assert_array_equal(np.array(Image.open(picture)), np.array(Image.open(frames[5])))
    os.utime(picture, (1, 1))
    assert painted_pictures(root, (), frames) == {}
    Image.open(picture).convert("RGBA").save(picture)
    assert painted_pictures(root, (), frames) == {}, "saved again without a stroke"


def test_a_picture_painted_in_place_is_a_persons_and_stays(root: Path, frames: list[Path]) -> None:
    lay_out(root, 5, clean(frames[5]))
    picture = paint(picture_to_paint_on(root, 5), frames[5])
    before = picture.read_bytes()
    assert painted_pictures(root, (), frames) == {5: [picture]}
    assert not lay_out(root, 5, clean(frames[5]))
    assert not lay_out(root, 5, clean(frames[6])), "nor when the video has changed"
    clear_away(root)
    assert picture.read_bytes() == before


def test_a_clean_picture_follows_the_video(root: Path, frames: list[Path]) -> None:
    lay_out(root, 5, clean(frames[5]))
    assert lay_out(root, 5, clean(frames[6]))
    assert picture_to_paint_on(root, 5).read_bytes() == clean(frames[6])
    assert lay_out(root, 5, clean(frames[5]))
    assert painted_pictures(root, (), frames) == {}


def test_a_kill_while_pictures_are_laid_out_leaves_none_that_looks_painted(
    root: Path, frames: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(root, 5, clean(frames[5]))

    def killed(path: Path, content: object) -> None:
        if path.suffix == ".png":
            raise KeyboardInterrupt

    for replace in (killed, files.replace):
        monkeypatch.setattr(files, "replace", replace)
        try:
            lay_out(root, 5, clean(frames[6]))
        except KeyboardInterrupt:
            assert painted_pictures(root, (), frames) == {}
    assert picture_to_paint_on(root, 5).read_bytes() == clean(frames[6])


def test_clean_pictures_go_when_nobody_is_asked_for_them_any_more(root: Path, frames: list[Path]) -> None:
    for index in (2, 5, 8):
        lay_out(root, index, clean(frames[index]))
    paint(picture_to_paint_on(root, 8), frames[8])
    mine = save(root, "notes.png")
    clear_away(root, still_asked=[5])
    assert sorted(path.name for path in (root / "requests").glob("*.png")) == ["00005.png", "00008.png", mine.name]
    assert files.is_litter(files.beside(mine)) and not list((root / "requests").glob(".tmp*"))


def test_the_legend_is_nobodys_painting_and_goes_with_the_last_picture(root: Path, frames: list[Path]) -> None:
    legend = root / "requests" / "legend.png"
    for content in (clean(frames[1]), clean(frames[2])):
        lay_out_legend(root, content)
        assert legend.read_bytes() == content
    for index in (2, 5):
        lay_out(root, index, clean(frames[index]))
    check_names(root, 12)
    assert painted_pictures(root, (), frames) == {}
    clear_away(root, still_asked=[5])
    assert legend.exists()
    clear_away(root)
    assert not legend.exists()


def test_a_persons_own_picture_of_that_name_stays(root: Path, frames: list[Path]) -> None:
    legend = save(root, "legend.png")
    lay_out_legend(root, clean(frames[1]))
    clear_away(root)
    assert legend.read_text() == "a stroke"


def test_what_is_saved_while_a_clean_picture_is_taken_away_is_put_back(
    root: Path, frames: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(root, 5, clean(frames[5]))
    picture, rename = picture_to_paint_on(root, 5), files.disk.rename

    def save_first(source: Path, target: Path) -> None:
        if source == picture:
            paint(picture, frames[5])
        rename(source, target)

    monkeypatch.setattr(files.disk, "rename", save_first)
    clear_away(root)
    assert painted_pictures(root, (), frames) == {5: [picture]}


@pytest.mark.parametrize("content", ["", "[]", '{"00005.png": 3}', "{"])
def test_without_the_note_of_what_was_laid_out_the_frames_tell(root: Path, frames: list[Path], content: str) -> None:
    for index in (5, 8):
        lay_out(root, index, clean(frames[index]))
    (root / "requests" / ".laid_out.json").write_text(content)
    painted = paint(picture_to_paint_on(root, 8), frames[8])
    assert painted_pictures(root, (), frames) == {8: [painted]}
    assert lay_out(root, 5, clean(frames[5]))


def test_what_the_first_version_laid_out_for_annotated_frames_is_passed_over(root: Path, frames: list[Path]) -> None:
    """It kept no note, and wrote the requests last; what is finished stays so, whatever became of its video."""
    paint(picture_to_paint_on(root, 5), frames[5], at_s=1_000)
    (root / "requests.json").write_text("{}")
    assert pending(root, "001", [5], frames) == {}
    assert list(pending(root, "001", [], frames)) == [5]


@pytest.mark.parametrize("asked_before", [True, False])
def test_a_picture_painted_in_the_place_of_one_that_was_not_laid_out_is_read(
    root: Path, frames: list[Path], asked_before: bool
) -> None:
    """As on a frame with strokes that were brought along."""
    if asked_before:
        (root / "requests.json").write_text("{}")
        os.utime(root / "requests.json", (1_000, 1_000))
    painted = paint(picture_to_paint_on(root, 5), frames[5])
    assert pending(root, "001", [5], frames) == {5: (painted,)}


# --- what was painted ------------------------------------------------------------------------------------------------


def test_painted_pictures_are_known_by_their_names(root: Path, frames: list[Path]) -> None:
    assert pending(root / "nowhere", "001", [], frames) == {}
    strokes, empty, capitals = save(root, "00005.strokes.png"), save(root, "123456.empty.png"), "00007.STROKES.PNG"
    for name in ("00006.strokes.jpg", "6.strokes.png", "00007.stroke.png", "00008.strokes.png.png", "read me.png"):
        save(root, name)
    found = pending(root, "001", [], frames)
    assert found == {5: (strokes,), 123456: (empty,)}
    assert pending(root, "001", [], frames) | {7: (save(root, capitals),)} == pending(root, "001", [], frames)
    assert is_declared_empty(empty)
    assert not is_declared_empty(strokes)


def test_a_picture_is_read_once_and_again_when_it_changes(root: Path, frames: list[Path]) -> None:
    strokes, empty = save(root, "00005.strokes.png"), save(root, "00006.empty.png")
    note_read(root, "001", digests_of([strokes]))
    assert pending(root, "001", [5, 6], frames) == {6: (empty,)}
    note_read(root, "001", digests_of([empty]))
    assert pending(root, "001", [5, 6], frames) == {}
    assert pending(root, "001", [6], frames) == {5: (strokes,)}, "the set has lost the frame"
    save(root, "00005.strokes.png", "another stroke")
    assert pending(root, "001", [5, 6], frames) == {5: (strokes,)}


def test_a_painting_belongs_to_the_set_that_read_it_or_asked_for_it(root: Path, frames: list[Path]) -> None:
    """Strokes of one set never take the place of another's."""
    strokes, empty = save(root, "00005.strokes.png"), save(root, "00006.empty.png")
    note_read(root, "001", digests_of([strokes]))
    for annotated in ([], [5, 6]):
        assert pending(root, "002", annotated, frames) == {6: (empty,)}
        assert pending(root, "002", annotated, frames, {6: "001"}) == {}
        assert pending(root, "002", annotated, frames, {5: "002"}) == {6: (empty,)}
    assert pending(root, "001", [], frames, {6: "002"}) == {5: (strokes,)}, "the set has lost the frame"
    save(root, "00005.strokes.png", "another stroke")
    assert pending(root, "002", [5], frames, {5: "002"})[5] == (strokes,), "painted anew, for the set that asks"


def test_of_two_pictures_of_a_frame_the_one_that_was_saved_last_counts(root: Path, frames: list[Path]) -> None:
    lay_out(root, 5, clean(frames[5]))
    in_place = paint(picture_to_paint_on(root, 5), frames[5], at_s=2_000)
    named = paint(root / "requests" / "00005.strokes.png", frames[5], row=4, at_s=1_000)
    assert pending(root, "001", [], frames) == {5: (in_place, named)}
    os.utime(named, (2_000, 2_000))
    assert pending(root, "001", [], frames) == {5: (named, in_place)}, "in doubt, the name says what it is"
    note_read(root, "001", digests_of([named]))
    assert pending(root, "001", [5], frames) == {5: (in_place,)}


@pytest.mark.parametrize("content", ["", "[]", '{"001": 3}', "{"])
def test_a_damaged_note_of_what_was_read_is_told(root: Path, frames: list[Path], content: str) -> None:
    """Read again, pictures would replace strokes that were corrected since."""
    strokes = save(root, "00005.strokes.png")
    save(root, "read.json", content)
    with pytest.raises(StageError, match=r"read\.json: found no readable list .* delete it"):
        pending(root, "001", [5], frames)
    with pytest.raises(StageError, match=r"read\.json"):
        note_read(root, "001", digests_of([strokes]))
    (root / "requests" / "read.json").unlink()
    assert pending(root, "001", [5], frames) == {5: (strokes,)}


def test_strokes_and_the_word_that_nothing_is_there_contradict_each_other(root: Path, frames: list[Path]) -> None:
    strokes, empty = save(root, "00005.strokes.png"), save(root, "00005.empty.png")
    assert contradiction(painted_pictures(root, (), frames)[5]) == (strokes, empty)
    strokes.unlink()
    assert contradiction(painted_pictures(root, (), frames)[5]) is None
    lay_out(root, 5, clean(frames[5]))
    in_place = paint(picture_to_paint_on(root, 5), frames[5])
    assert contradiction(painted_pictures(root, (), frames)[5]) == (in_place, empty)


def test_one_name_in_small_letters_and_in_capitals_is_refused(root: Path, frames: list[Path]) -> None:
    save(root, "00005.strokes.png")
    save(root, "00005.strokes.PNG")
    with pytest.raises(InputError, match=r"found 00005\.strokes\.PNG and 00005\.strokes\.png, expected one"):
        painted_pictures(root, (), frames)


def test_a_painting_that_cannot_be_opened_is_told(root: Path, frames: list[Path]) -> None:
    (root / "requests" / "00005.strokes.png").mkdir()
    with pytest.raises(StageError, match=r"00005\.strokes\.png: what was painted cannot be read: Is a directory"):
        pending(root, "001", [5], frames)


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("00009.strokes.jpg", "00009.strokes.png"),
        ("00009.strokes.png.png", "00009.strokes.png"),
        ("9.strokes.png", "00009.strokes.png"),
        ("000009.strokes.png", "00009.strokes.png"),
        ("00009_strokes.png", "00009.strokes.png"),
        ("00009.stroke.png", "00009.strokes.png"),
        ("00009.strokes (1).png", "00009.strokes.png"),
        ("strokes9.png", "00009.strokes.png"),
        ("00009.strokes", "00009.strokes.png"),
        ("00009-empty.PNG", "00009.empty.png"),
        ("00009.empty.webp", "00009.empty.png"),
        ("00009.jpg", "00009.strokes.png"),
        ("00009.PNG", "00009.strokes.png"),
        ("9.png", "00009.strokes.png"),
        ("00009 copy.png", "00009.strokes.png"),
        ("123.strokes.tif", "00123.strokes.png"),
        ("strokes.png", "<frame>.strokes.png"),
        ("painted.png", "<frame>.strokes.png"),
        ("Copy of 00009.png", "00009.strokes.png"),
        ("walk_00009.png", "00009.strokes.png"),
        ("frame9.png", "00009.strokes.png"),
        ("00009.heic", "00009.strokes.png"),
        ("00009.strokes.jfif", "00009.strokes.png"),
        ("12.mask.png", "00012.mask.png"),
        ("00012.masks.png", "00012.mask.png"),
        ("00012_mask.png", "00012.mask.png"),
        ("00012.mask.jpg", "00012.mask.png"),
        ("00012.mask", "00012.mask.png"),
    ],
)
def test_names_that_are_nearly_right_are_told_with_the_right_one(root: Path, name: str, expected: str) -> None:
    save(root, name)
    with pytest.raises(InputError) as error:
        check_names(root, COUNT)
    assert f"{name} (expected {expected})" in str(error.value)
    assert "00000 to 00011" in str(error.value)


def test_all_of_them_are_told_at_once_but_not_without_end(root: Path) -> None:
    for index in range(9):
        save(root, f"{index}.strokes.png")
    with pytest.raises(InputError, match=r"0\.strokes\.png .*5\.strokes\.png .* and 3 more"):
        check_names(root, COUNT)


def test_other_names_are_left_alone(root: Path, frames: list[Path]) -> None:
    lay_out(root, 5, clean(frames[5]))
    for name in ("00009.strokes.png", "00008.STROKES.PNG", "00007.empty.png", "00009.strokes.xcf", "00009.kra"):
        save(root, name)
    for name in ("00009.strokes.png~", "notes.txt", "overview.jpg", "read.json", ".00009.strokes.jpg", "Thumbs.db"):
        save(root, name)
    (root / "requests" / "00009.strokes").mkdir()
    check_names(root, COUNT)
    check_names(root / "nowhere", COUNT)


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"half")])
def test_a_picture_that_is_half_saved_is_not_clean(
    root: Path, frames: list[Path], change: Callable[[Path], object]
) -> None:
    lay_out(root, 5, clean(frames[5]))
    picture = picture_to_paint_on(root, 5)
    change(picture)
    assert list(pending(root, "001", [], frames)) == ([5] if picture.exists() else [])
    if picture.exists():
        before = sha256(picture)
        assert not lay_out(root, 5, clean(frames[5]))
        assert sha256(picture) == before
