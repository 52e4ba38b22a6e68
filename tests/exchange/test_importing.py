import base64
import errno
import io
import json
import multiprocessing
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError, StageError
from stages.core.palette import davis_palette
from stages.exchange.incoming.composing import Objects
from stages.exchange.incoming.formats import guess
from stages.exchange.incoming.importing import Findings, Target, Wishes, for_programs, give, listing, look, outcome
from stages.exchange.incoming.matching import FrameNames
from stages.exchange.outgoing.handed_out import read_handed_out
from stages.exchange.readers.labelme import READER as LABELME
from stages.exchange.readers.png import READER
from stages.formats import files
from stages.formats.given_for import check_given_for
from stages.formats.given_masks import given_frames, masks_folder, read_given
from stages.formats.masks import read_mask, write_mask

T = TypeVar("T")
SIZE_WH = (32, 24)
COUNT = 8


VIDEO = [np.full((*SIZE_WH[::-1], 3), index, np.uint8) for index in range(COUNT)]


def truth(index: int) -> np.ndarray:
    """A square that moves by more than its width, and one that stays."""
    labels = np.zeros(SIZE_WH[::-1], np.uint8)
    labels[4:7, 3 * index : 3 * index + 3] = 1
    labels[12:20, 4:12] = 2
    return labels


def corrected(index: int) -> np.ndarray:
    labels = truth(index)
    labels[20:22, 4:12] = 2
    return labels


@pytest.fixture
def target(tmp_path: Path) -> Target:
    result = tmp_path / "outputs" / "dog" / "masks"
    result.mkdir(parents=True)
    for index in range(COUNT):
        write_mask(result / f"{index:05d}.png", truth(index))
    names = FrameNames("dog", tuple(f"{index:05d}.jpg" for index in range(COUNT)))
    return Target(names, SIZE_WH, tmp_path / "Scribbles" / "dog" / "001.json", result, Objects(frozenset({1, 2})))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the result, with the frames 2 and 5 corrected."""
    folder = tmp_path / "back"
    folder.mkdir()
    for index in range(COUNT):
        write_mask(folder / f"{index:05d}.png", corrected(index) if index in (2, 5) else truth(index))
    return folder


def frames_of(found: Findings) -> list[int]:
    return [each.frame for each in found.arrivals]


def test_a_copy_of_the_result_that_comes_again_brings_what_was_corrected_since_and_no_more(
    target: Target, source: Path
) -> None:
    assert target.result is not None
    give(look(READER, source, target, Wishes()), target, VIDEO)
    for index in (2, 3, 5):  # the run between has changed a frame beside the first ones
        write_mask(target.result / f"{index:05d}.png", corrected(index))
    write_mask(source / "00006.png", corrected(6))
    handed_out = read_handed_out([masks_folder(target.scribble_file)], "dog")
    again = look(READER, source, replace(target, handed_out=handed_out), Wishes())
    assert (frames_of(again), again.untouched) == ([6], [3])


def test_only_what_was_corrected_comes_back(target: Target, source: Path) -> None:
    found = look(READER, source, target, Wishes())
    assert frames_of(found) == [2, 5]
    assert outcome(found) == "2 of 8 frames differ, 2 anchors"
    assert [*listing(found, target)] == [
        "frame 2 (00002.jpg): 16 pixels differ, objects: 1, 2",
        "frame 5 (00005.jpg): 16 pixels differ, objects: 1, 2",
    ]
    assert not target.scribble_file.parent.exists()
    give(found, target, VIDEO)
    given = given_frames(target.scribble_file)
    assert [*given] == [2, 5]
    assert (read_given(given[5], SIZE_WH) == corrected(5)).all()
    assert (source / "00005.png").read_bytes() == given[5].read_bytes()  # canonical
    assert outcome(look(READER, source, target, Wishes())) == (
        "found 8 frames, 2 of them given already as here, no other differs from the masks; nothing imported"
    )
    for index in (2, 5):
        (source / f"{index:05d}.png").write_bytes((target.result / f"{index:05d}.png").read_bytes())
    assert outcome(look(READER, source, target, Wishes())) == (
        "found 8 frames, none differs from the masks; nothing imported"
    )


def test_what_a_killed_run_has_not_given_the_next_one_gives(
    target: Target, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process puts nothing back, and leaves the file that it was writing."""

    class Killed(files.Disk):
        def rename(self, source: Path, target: Path) -> None:
            if target.name == "00005.png":
                os._exit(9)
            super().rename(source, target)

    found = look(READER, source, target, Wishes())
    process = multiprocessing.get_context("fork").Process(target=give, args=(found, target, VIDEO))
    with monkeypatch.context() as patch:
        patch.setattr(files, "disk", Killed())
        process.start()
        process.join()
    folder = masks_folder(target.scribble_file)
    assert process.exitcode == 9
    assert [*given_frames(target.scribble_file)] == [2] and len([*folder.glob(".*")]) == 1
    found = look(READER, source, target, Wishes())
    assert outcome(found) == "1 of 8 frames differs, 1 anchor; 1 more was given before"
    give(found, target, VIDEO)
    assert [*given_frames(target.scribble_file)] == [2, 5] and not [*folder.glob(".*")]


def test_what_came_of_it_is_counted_and_how_far_it_is_is_told(target: Target, source: Path) -> None:
    labels = corrected(2)
    labels[:2] = 255
    indexed = Image.frombytes("P", SIZE_WH, labels.tobytes())
    indexed.putpalette(davis_palette().tobytes())
    indexed.save(source / "00002.png")
    passed: list[int] = []

    def progress(items: Iterable[T], total: int) -> Iterator[T]:
        passed.append(total)
        yield from items

    found = look(READER, source, target, Wishes(), progress)
    give(found, target, VIDEO, progress)
    assert passed == [COUNT, 2]
    assert for_programs(found, target, 2) == {
        "frames": {
            "looked_at": 8, "differing": 2, "imported": 2, "given_before": 0, "untouched": 0, "silent": 0
        },
        "pixels": {"claimed_twice": 0, "cut_off": 0, "unknown": 64},
        "masks": [
            {"frame": each.frame, "name": f"{each.frame:05d}.jpg", "changed_px": each.changed_px, "objects": [1, 2]}
            for each in found.arrivals
        ],
    }  # fmt: skip
    assert [each.frame for each in found.arrivals] == [2, 5]


def test_frames_and_all_take_what_does_not_differ(target: Target, source: Path) -> None:
    assert frames_of(look(READER, source, target, Wishes(frames=frozenset({1, 5})))) == [1, 5]
    found = look(READER, source, target, Wishes(everything=True))
    assert (frames_of(found), outcome(found)) == (
        [*range(COUNT)], "8 of 8 frames taken, of which 2 differ, 8 anchors"
    )  # fmt: skip
    with pytest.raises(InputError, match=r"found no mask of the frames 40, 41, expected one, .* it has 0, 1, 2"):
        look(READER, source, target, Wishes(frames=frozenset({40, 41, 1})))


def test_without_a_result_everything_comes_in(target: Target, source: Path) -> None:
    for path in (target.result or source).iterdir():
        path.unlink()
    found = look(READER, source, target, Wishes())
    assert len(found.arrivals) == COUNT
    assert found.arrivals[0].changed_px == 9 + 64


def test_what_was_given_before_is_kept_and_the_same_is_not_given_twice(target: Target, source: Path) -> None:
    give(look(READER, source, target, Wishes()), target, VIDEO)
    former = given_frames(target.scribble_file)[2].read_bytes()
    write_mask(source / "00002.png", truth(3))
    found = look(READER, source, target, Wishes())
    assert (frames_of(found), found.given) == ([2], [5])
    give(found, target, VIDEO)
    kept = [*(target.scribble_file.parent / "removed").rglob("*.png")]
    assert [path.read_bytes() for path in kept] == [former]


def test_a_new_object_without_an_id_is_the_same_when_it_comes_in_again(target: Target, tmp_path: Path) -> None:
    folder = tmp_path / "labelme"
    folder.mkdir()
    for index in (2, 5):
        shapes = [_shape("dog", truth(index) == 1, 1), _shape("", truth(index) == 2, 2), _shape("cat", CAT, None)]
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{index:05d}.jpg"}
        size = {"imageData": None, "imageHeight": SIZE_WH[1], "imageWidth": SIZE_WH[0]}
        (folder / f"{index:05d}.json").write_text(json.dumps({**document, **size}))

    def found() -> tuple[Findings, Target]:
        given = (read_mask(path) for path in given_frames(target.scribble_file).values())
        known = frozenset({1, 2}.union(*(np.unique(each).tolist() for each in given)) - {0})
        now = replace(target, objects=Objects(known, takes_new=True))
        return look(LABELME, folder, now, Wishes()), now

    first, now = found()
    assert (frames_of(first), "new: object 3 (cat)" in first.said) == ([2, 5], True)
    give(first, now, VIDEO)
    again, _ = found()
    assert (frames_of(again), again.given) == ([], [2, 5])
    assert not [line for line in again.said if line.startswith("new")]
    write_mask(masks_folder(target.scribble_file) / "00002.png", truth(2))
    other, _ = found()
    assert (frames_of(other), other.arrivals[0].object_ids) == ([2, 5], (1, 2, 4)), "another one than was given"


CAT = np.zeros(SIZE_WH[::-1], bool)
CAT[17:22, 9:20] = True
"""Over a part of object 2."""


def _shape(label: str, mask: np.ndarray, group: int | None) -> dict[str, object]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    png = io.BytesIO()
    Image.fromarray(box.astype(np.uint8) * 255).save(png, "PNG")
    corners = [[int(columns[0]), int(rows[0])], [int(columns[-1]), int(rows[-1])]]
    packed = base64.b64encode(png.getvalue()).decode()
    said = {"label": label, "points": corners, "group_id": group, "shape_type": "mask", "mask": packed}
    return {**said, "description": "", "flags": {}}


def test_the_result_itself_is_no_source_since_nothing_differs_from_itself(target: Target) -> None:
    with pytest.raises(InputError, match="found the result itself, expected masks in another folder"):
        look(READER, target.result or Path(), target, Wishes())


def test_where_nobody_has_said_which_objects_there_are_those_that_come_are_told(target: Target, source: Path) -> None:
    unnamed = replace(target, objects=Objects(frozenset()))
    assert "objects that come in, of which nobody has said what they are: 1, 2" in (
        look(READER, source, unnamed, Wishes()).said
    )


def test_an_object_that_goes_is_told(target: Target, source: Path) -> None:
    write_mask(source / "00002.png", np.where(truth(2) == 1, 0, truth(2)).astype(np.uint8))
    assert "object 1 is gone from the frame 2" in look(READER, source, target, Wishes()).said


@pytest.mark.parametrize("step", [1, -1])
def test_masks_that_are_those_of_their_neighbours_are_refused(target: Target, source: Path, step: int) -> None:
    """A folder numbered from another number, of which the last ones are missing: every name is a frame's."""
    for path in source.iterdir():
        path.unlink()
    for index in range(1, COUNT - 1):
        labels = truth(index + step)
        if index == 3:
            labels[20:24, 4:12] = 2
        write_mask(source / f"{index:05d}.png", labels)
    where = "before" if step < 0 else "behind"
    with pytest.raises(InputError, match=rf"those of the frames {where} \(5 of 6\), .*--frames 1,2,3,\.\.\."):
        look(READER, source, target, Wishes())
    assert len(look(READER, source, target, Wishes(frames=frozenset(range(1, COUNT - 1)))).arrivals) == 6


def test_objects_that_were_lost_and_found_again_are_no_shift(target: Target, source: Path) -> None:
    for index in (3, 4, 6):
        write_mask((target.result or source) / f"{index:05d}.png", np.zeros(SIZE_WH[::-1], np.uint8))
        write_mask(source / f"{index:05d}.png", truth(index - 1))
    assert frames_of(look(READER, source, target, Wishes())) == [2, 3, 4, 5, 6]


def test_masks_of_neighbours_are_refused_though_they_are_better_than_the_result(target: Target, source: Path) -> None:
    for index in range(COUNT):
        for folder, moved in ((target.result or source, 2 * index), (source, 2 * index - 2)):
            labels = np.zeros(SIZE_WH[::-1], np.uint8)
            labels[12:20, 4 + moved : 12 + moved] = 2
            if folder != source:
                labels[0:2, 0:6] = 2
            write_mask(folder / f"{index:05d}.png", labels)
    with pytest.raises(InputError, match=r"those of the frames before"):
        look(READER, source, target, Wishes())


def test_corrections_of_single_frames_are_no_shift_though_nothing_moves(target: Target, source: Path) -> None:
    for index in range(COUNT):
        write_mask(source / f"{index:05d}.png", truth(0))
        shown = truth(0)
        if index in (2, 4, 6):
            shown[12:15, 4:12] = 0
        write_mask((target.result or source) / f"{index:05d}.png", shown)
    assert frames_of(look(READER, source, target, Wishes())) == [2, 4, 6]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "cam0/00000.png",
            r"PNGs in the folders cam0, which may be objects \(binary\) or cameras \(png\), .*--format png",
        ),
        ("00000.jpg", r"no PNG, but pictures such as 00000\.jpg, expected masks of one format"),
        ("notes.txt", "no format that is known, expected masks of one format"),
    ],
)
def test_what_no_reader_takes_for_its_own_is_said(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "in" / name).parent.mkdir(parents=True)
    (tmp_path / "in" / name).touch()
    with pytest.raises(InputError, match=rf"in: found {words}"):
        guess(tmp_path / "in")
    with pytest.raises(InputError, match="nowhere: found no such file or folder, expected masks; check the path"):
        guess(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["back.json", "back.zip"])
def test_a_file_that_was_cut_off_is_called_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".json"):
        path.write_text('{"version": "5.4.1", "shapes": [{"label": "x"')
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("annotations.xml", "<annotations>" * 100)
        path.write_bytes(path.read_bytes()[:-40])
    for source in (path, tmp_path):
        with pytest.raises(InputError, match=rf"{name}: found it damaged \(.*\), expected masks; export it again"):
            guess(source)


Damage = Callable[[Path], object]


def smaller(path: Path) -> None:
    Image.open(path).resize((16, 12)).save(path)


def coloured(path: Path) -> None:
    Image.open(path).convert("RGB").save(path)


def odd_ids(path: Path) -> None:
    labels = read_mask(path)
    labels[0, :3] = (7, 9, 9)
    write_mask(path, labels)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (smaller, r"00006\.png: found 16x12 pixels, expected 32x24 as in 00006\.jpg; export it without scaling"),
        (coloured, r"00006\.png: found a picture of mode RGB, whose colours would have to be guessed"),
        (odd_ids, r"00006\.png: found the ids 7, 9 on 3 pixels, expected objects 1, 2 \(objects\.json\)"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), r"00006\.png: found no readable picture"),
        (lambda path: path.rename(path.with_name("f_12.png")), r"found the picture 'f_12\.png', expected a frame"),
    ],
)
def test_one_mask_that_cannot_be_used_keeps_all_of_them_out(
    target: Target, source: Path, damage: Damage, words: str
) -> None:
    damage(source / "00006.png")
    with pytest.raises(InputError, match=words):
        look(READER, source, target, Wishes())


def test_a_disk_that_refuses_leaves_what_was_there(
    target: Target, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(look(READER, source, target, Wishes(frames=frozenset({2}))), target, VIDEO)
    before = {path: path.read_bytes() for path in target.scribble_file.parent.rglob("*.png")}
    write_mask(source / "00002.png", truth(3))
    found = look(READER, source, target, Wishes())
    assert frames_of(found) == [2, 5]

    class Full(files.Disk):
        def rename(self, source: Path, target: Path) -> None:
            if target.name == "00005.png":
                raise OSError(errno.ENOSPC, "No space left on device")
            super().rename(source, target)

    monkeypatch.setattr(files, "disk", Full())
    with pytest.raises(StageError, match="No space left"):
        give(found, target, VIDEO)
    monkeypatch.undo()
    after = {
        path: path.read_bytes() for path in target.scribble_file.parent.rglob("*.png") if "removed" not in path.parts
    }
    assert after == before


def test_a_folder_without_masks_is_told(target: Target, source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found no mask of 'dog', expected a folder of indexed masks"):
        look(READER, tmp_path / "empty", target, Wishes())
    with pytest.raises(InputError, match="found no such file or folder"):
        look(READER, tmp_path / "gone", target, Wishes())
    (source / ".hidden").mkdir()
    (source / "._00001.png").write_bytes(b"x")
    (source / "__MACOSX").mkdir()
    (source / "__MACOSX" / "._00001.png").write_bytes(b"x")
    (source / "frames.csv").write_text("frame\n")
    assert frames_of(look(READER, source, target, Wishes())) == [2, 5]


def test_jpegs_are_refused_and_a_palette_in_another_order_is_understood(target: Target, tmp_path: Path) -> None:
    jpegs, turned = tmp_path / "jpegs", tmp_path / "turned"
    jpegs.mkdir(), turned.mkdir()
    Image.fromarray(corrected(2)).save(jpegs / "00002.jpg")
    with pytest.raises(InputError, match=r"00002\.jpg: found a JPEG, whose compression invents ids; save as PNG"):
        look(READER, jpegs, target, Wishes())
    swapped = np.array([0, 2, 1], np.uint8)[corrected(2)]
    picture = Image.frombytes("P", SIZE_WH, swapped.tobytes())
    picture.putpalette([0, 0, 0, 0, 128, 0, 128, 0, 0])
    picture.save(turned / "00002.png")
    (only,) = look(READER, turned, target, Wishes()).arrivals
    assert (only.labels(SIZE_WH) == corrected(2)).all()


def test_what_is_given_remembers_its_pictures(target: Target, source: Path) -> None:
    file = target.scribble_file
    give(look(READER, source, target, Wishes()), target, VIDEO)
    check_given_for(file, "dog", VIDEO, [2, 5])
    other = [*VIDEO[:5], VIDEO[0], *VIDEO[6:]]
    with pytest.raises(InputError, match=r"001\.masks: found masks of another video: on the frames 5 they were given"):
        check_given_for(file, "dog", other, [5])
    check_given_for(file, "dog", other, [2])
    give(look(READER, source, target, Wishes()), target, other)
    check_given_for(file, "dog", other, [2, 5])
