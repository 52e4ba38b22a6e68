"""Taking back, renaming, joining: what depends on the change changes, the rest stays, and everything has a copy."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.core.strokes import FrameScribbles, Line
from stages.formats.given_for import given_for, note_given_for
from stages.formats.given_masks import given_frames, keep_seen, read_given, write_given
from stages.formats.masks import encoded_mask
from stages.formats.objects_json import read_objects
from stages.formats.paintings import note_read, pending
from stages.formats.requests import declined_frames
from stages.formats.scribbles import ScribbleSet, read_scribbles, write_scribbles
from stages.steps.amend import (
    Amendment,
    Drawn,
    call_absent,
    merge_objects,
    remove_frames,
    remove_object,
    rename,
)
from stages.steps.carry_out import carry_out

COUNT, WIDTH, HEIGHT = 6, 8, 6
TERMS = {"scribbles": "001", "requests": 2, "placement": "eq1", "frame_count": COUNT}


def line(object_id: int, y: float = 0.5, end_ms: float = 0) -> Line:
    return Line(object_id, ((0.2, y), (0.6, y)), 0, end_ms)


def labels(*ids: int) -> np.ndarray:
    """One column an id."""
    picture = np.zeros((HEIGHT, WIDTH), np.uint8)
    picture[:, : len(ids)] = ids
    return picture


class Scene:
    """A sequence of six frames, annotated by strokes (0 and 1), strokes that correct (2) and a given mask (3)."""

    def __init__(self, folder: Path) -> None:
        self.root, self.file = folder / "outputs", folder / "scribbles" / "001.json"
        self.frames = [folder / "frames" / f"{index:05d}.png" for index in range(COUNT)]
        self.frames[0].parent.mkdir()
        for index, path in enumerate(self.frames):
            Image.new("RGB", (WIDTH, HEIGHT), (40 * index, 90, 60)).save(path)
        seen = bytes(encoded_mask(self.file, labels(1, 2, 2, 3)))
        digest = hashlib.sha256(seen).hexdigest()
        keep_seen(self.file, 2, seen, digest)
        drawn = {0: (line(1), line(2, 0.7, 900), line(0, 0.9)), 1: (line(1),), 2: (line(2),)}
        write_scribbles(
            self.file,
            ScribbleSet(
                "toy",
                COUNT,
                {index: FrameScribbles(lines) for index, lines in drawn.items()},
                frame_digests={0: "a" * 64, 1: "b" * 64},
                corrects={2: digest},
                absent={2: (3,)},
                from_boxes={1: (1,)},
                other_keys={"author": "anna"},
            ),
        )
        write_given(self.file, 3, labels(1, 1, 2))
        (self.root / "requests").mkdir(parents=True)

    def drawn(self) -> Drawn:
        scribbles = read_scribbles(self.file, "toy", COUNT)
        painted = {
            index: sorted((self.root / "requests").glob(f"{index:05d}.*png"))
            for index in range(COUNT)
            if list((self.root / "requests").glob(f"{index:05d}.*png"))
        }
        return Drawn(self.file, scribbles, read_objects(self.file.parent, "toy", COUNT), self.frames, painted)

    def do(self, change: Amendment) -> Path:
        return carry_out(self.root, TERMS, self.drawn(), change)

    def digests(self) -> dict[int, str]:
        scribbles = self.drawn().scribbles
        return {index: scribbles.strokes_digest(index) for index in range(COUNT)}

    def name_objects(self, *objects: dict[str, object]) -> None:
        content = {"schema": 1, "sequence": "toy", "objects": objects}
        (self.file.parent / "objects.json").write_text(json.dumps(content))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def moved(before: dict[int, str], after: dict[int, str]) -> list[int]:
    return [index for index in before if before[index] != after[index]]


# Taking back


def test_a_frame_is_taken_back_whole_and_only_it_changes(scene: Scene) -> None:
    painted = scene.root / "requests" / "00000.strokes.png"
    painted.write_bytes(b"painted")
    note_read(scene.root, "001", {painted.name: "its digest"})
    before, file_before = scene.digests(), scene.file.read_bytes()
    change = remove_frames(scene.drawn(), [0])
    assert change.said == (
        "frame 0: takes back 1 stroke of background, 1 stroke of object 1, 1 stroke of object 2, 00000.strokes.png",
    )
    assert scene.file.read_bytes() == file_before, "nothing changes before it is carried out"
    copies = scene.do(change)
    assert moved(before, scene.digests()) == [0]
    after = scene.drawn().scribbles
    assert after.annotated == (1, 2)
    assert after.frame_digests == {1: "b" * 64}
    assert (after.absent, after.from_boxes, after.other_keys) == ({2: (3,)}, {1: (1,)}, {"author": "anna"})
    assert not painted.exists()
    assert declined_frames(scene.root, TERMS) == {0}
    assert copies.parent == scene.file.parent / "removed"
    assert (copies / "001.json").read_bytes() == file_before
    assert (copies / "requests" / painted.name).read_bytes() == b"painted"
    assert "frame 0: takes back" in (copies / "why.txt").read_text()


def test_a_correction_and_a_given_mask_are_taken_back_with_their_frames(scene: Scene) -> None:
    given = given_frames(scene.file)[3]
    content = given.read_bytes()
    copies = scene.do(remove_frames(scene.drawn(), [2, 3]))
    after = scene.drawn()
    assert (after.annotated, after.scribbles.corrects, after.scribbles.absent) == ((0, 1), {}, {})
    assert (copies / "001.masks" / given.name).read_bytes() == content


def test_what_was_painted_and_not_read_yet_is_taken_back_too(scene: Scene) -> None:
    painted = scene.root / "requests" / "00005.empty.png"
    Image.new("RGB", (1, 1)).save(painted)
    before = scene.file.read_bytes()
    copies = scene.do(remove_frames(scene.drawn(), [5]))
    assert pending(scene.root, "001", (0, 1, 2), scene.frames) == {}
    assert (copies / "requests" / painted.name).exists()
    assert scene.file.read_bytes() == before
    Image.new("RGB", (1, 1)).save(painted)
    assert list(pending(scene.root, "001", (0, 1, 2), scene.frames)) == [5], "painted anew"


def test_two_changes_in_one_second_have_a_folder_each(scene: Scene) -> None:
    assert len({scene.do(remove_frames(scene.drawn(), [index])) for index in (0, 1)}) == 2


def test_an_object_is_taken_back_on_one_frame_or_on_all(scene: Scene) -> None:
    before = scene.digests()
    scene.do(remove_object(scene.drawn(), 2, [0]))
    assert moved(before, scene.digests()) == [0]
    assert scene.drawn().scribbles.frame(0).lines == (line(1), line(0, 0.9))
    scene.do(remove_object(scene.drawn(), 2))
    after = scene.drawn()
    assert 2 not in after.object_ids
    assert after.scribbles.frame(2).lines == ()
    assert (after.seen[2] == labels(1, 0, 0, 3)).all()
    assert (after.masks[3] == labels(1, 1, 0)).all()


def test_on_a_corrected_frame_strokes_are_taken_back_and_the_mask_stays(scene: Scene) -> None:
    before = scene.drawn().scribbles.corrects
    scene.do(remove_object(scene.drawn(), 2, [2]))
    assert scene.drawn().scribbles.corrects == before
    assert scene.drawn().scribbles.frame(2).lines == ()


def test_a_frame_that_loses_its_last_stroke_says_that_nothing_is_there(scene: Scene) -> None:
    scene.do(remove_object(scene.drawn(), 1, [1]))
    after = scene.drawn().scribbles
    assert (after.frames[1].lines, after.from_boxes) == ((), {})
    assert declined_frames(scene.root, TERMS) == frozenset()


# Renaming and joining


def test_an_object_gets_another_id_everywhere(scene: Scene) -> None:
    scene.name_objects({"id": 1, "name": "Rex", "class": "dog"}, {"id": 2, "class": "cat"})
    before = scene.digests()
    scene.do(rename(scene.drawn(), 2, 9))
    after = scene.drawn()
    assert moved(before, scene.digests()) == [0, 2]
    assert [each.object_id for each in after.scribbles.frame(0).lines] == [1, 9, 0]
    assert after.scribbles.drawn_s == pytest.approx(0.9)
    assert (after.masks[3] == labels(1, 1, 9)).all()
    assert (after.seen[2][:, :3] == labels(1, 9, 9)[:, :3]).all()
    assert {key: each.name for key, each in after.objects.listed.items()} == {1: "Rex", 9: "cat 9"}
    assert after.scribbles.absent == {2: (3,)}
    scene.do(rename(scene.drawn(), 3, 4))
    assert scene.drawn().scribbles.absent == {2: (4,)}


def test_sets_that_share_the_list_of_objects_and_keep_an_id_are_named(scene: Scene) -> None:
    scene.name_objects({"id": 1, "name": "Rex"}, {"id": 2, "name": "Tom"})
    other = ScribbleSet("toy", COUNT, {0: FrameScribbles((line(2),))})
    write_scribbles(scene.file.with_name("002.json"), other)
    write_scribbles(scene.file.with_name("003.json"), replace(other, frames={0: FrameScribbles((line(1),))}))
    write_given(scene.file.with_name("004.json"), 3, labels(2))
    scene.file.with_name("005.json").write_text("{")
    scene.file.with_name("001.review.json").write_text("{")
    for change in (rename(scene.drawn(), 2, 9), merge_objects(scene.drawn(), 2, 1)):
        told = change.said[-1]
        assert "lists object 2 no more; it stays in the scribble sets 002, 004, 005 (which cannot be read): " in told
        assert "lis scribbles merge toy --scribbles 002 --object 2 --to" in told and "\n" not in told
    assert "scribble set" not in " ".join(rename(scene.drawn(), 3, 9).said), "the list does not have it"

    scene.do(rename(scene.drawn(), 2, 9))
    scene.file.with_name("005.json").unlink()
    there = replace(scene.drawn(), file=scene.file.with_name("002.json"), scribbles=other)
    assert [each.object_id for each in merge_objects(there, 2, 9).scribbles.frame(0).lines] == [9], "as it is advised"


def test_two_objects_become_one(scene: Scene) -> None:
    scene.name_objects({"id": 1, "name": "front"}, {"id": 2, "name": "back"})
    before = scene.digests()
    copies = scene.do(merge_objects(scene.drawn(), 2, 1))
    after = scene.drawn()
    assert moved(before, scene.digests()) == [0, 2]
    assert after.object_ids == (1, 3)
    assert (after.masks[3] == labels(1, 1, 1)).all()
    assert (after.seen[2][:, :3] == 1).all()
    assert list(after.objects.listed) == [1]
    assert {*read_objects(copies, "toy", COUNT).listed} == {1, 2}


def test_an_object_that_is_absent_brings_no_pixels_and_no_mark_to_the_other(scene: Scene) -> None:
    scene.do(merge_objects(scene.drawn(), 3, 1))
    after = scene.drawn()
    assert after.scribbles.absent == {}, "object 1 is there"
    assert (after.seen[2] == labels(1, 2, 2, 0)).all()


def test_the_rest_of_a_given_mask_stays_to_the_byte(scene: Scene) -> None:
    write_given(scene.file, 4, labels(1, 1))
    before = given_frames(scene.file)[4].read_bytes()
    scene.do(rename(scene.drawn(), 2, 9))
    assert given_frames(scene.file)[4].read_bytes() == before
    assert (read_given(given_frames(scene.file)[3], (WIDTH, HEIGHT)) == labels(1, 1, 9)).all()


# Absent


def test_an_object_is_marked_absent_and_the_mark_is_taken_back(scene: Scene) -> None:
    scene.do(call_absent(scene.drawn(), 1, [2]))
    assert scene.drawn().scribbles.absent == {2: (1, 3)}
    scene.do(remove_object(scene.drawn(), 1, [2]))
    assert scene.drawn().scribbles.absent == {2: (3,)}


# What cannot be


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda drawn: remove_frames(drawn, [4]), "frame 4: found nothing .* lis scribbles decline"),
        (lambda drawn: remove_frames(drawn, [6]), "found the frame 6, expected one of 0 to 5"),
        (lambda drawn: remove_object(drawn, 7), "found no object 7 .* expected one of: 1, 2, 3"),
        (lambda drawn: remove_object(drawn, 2, [1]), "frame 1: found no stroke and no given mask of object 2"),
        (lambda drawn: remove_object(drawn, 0), r"found the object 0, expected a number in 1\.\.254"),
        (lambda drawn: rename(drawn, 1, 3), "found object 3 in use, expected a free id, such as 4; .* scribbles merge"),
        (lambda drawn: rename(drawn, 1, 255), r"found the object 255, expected a number in 1\.\.254"),
        (lambda drawn: merge_objects(drawn, 1, 1), "found object 1 twice"),
        (lambda drawn: merge_objects(drawn, 1, 9), "found no object 9"),
        (lambda drawn: call_absent(drawn, 1, [0]), "frame 0: found strokes of object 1.* remove toy --frame 0"),
        (lambda drawn: call_absent(drawn, 1, [3]), "frame 3: found a given mask, .*/00003.mask.png"),
        (lambda drawn: call_absent(drawn, 1, [4]), "frame 4: found no annotation.*00004.empty.png"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(scene: Scene, change: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        change(scene.drawn())  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_masks_with_other_ids_are_for_the_same_pictures(scene: Scene) -> None:
    note_given_for(scene.file, {3: "a" * 64})
    scene.do(rename(scene.drawn(), 2, 9))
    assert given_for(scene.file) == {3: "a" * 64}
    scene.do(remove_frames(scene.drawn(), [3]))
    assert given_for(scene.file) == {}


def test_what_goes_is_one_thing_or_several(scene: Scene) -> None:
    said = {line.partition(":")[0]: line for line in remove_object(scene.drawn(), 2).said}
    assert said["frame 3"] == "frame 3: the given mask of object 2 goes"
    assert rename(scene.drawn(), 2, 9).said[-1] == "frame 3: the given mask of object 2 becomes that of object 9"
    assert all(
        line.endswith((" go", " goes")) and ("strokes" not in line or line.endswith(" go")) for line in said.values()
    )
