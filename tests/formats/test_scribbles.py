"""Scribble files: what can be is read and comes back the same, what cannot is refused with its place."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.core.errors import InputError, StageError
from stages.core.strokes import FrameScribbles, Line
from stages.formats.frames import pixel_digest
from stages.formats.scribbles import (
    MAX_FILE_BYTES,
    MAX_POINTS,
    ScribbleSet,
    check_video,
    merge,
    read_scribbles,
    write_scribbles,
)
from stages.steps.demo import demo_scribbles

DEMO = demo_scribbles()
LINE: dict[str, Any] = {"path": [[0.1, 0.2], [0.3, 0.4]], "object_id": 1, "start_time": 5, "end_time": 9}


def document(*frames: list[Any], **keys: Any) -> dict[str, Any]:
    return {"scribbles": list(frames), "sequence": "gym", **keys}


def with_line(**keys: Any) -> dict[str, Any]:
    return document([], [{**LINE, **keys}])


def save(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "001.json"


def read(path: Path, content: Any) -> ScribbleSet:
    return read_scribbles(save(path, content), "gym", 2)


# Reading


def test_what_a_file_says_counts_whatever_its_size_time_and_path(file: Path, tmp_path: Path) -> None:
    first = read(file, with_line(object_id=1))
    os.utime(file, ns=(7, 7))
    copy = tmp_path / "copy.json"
    copy.write_bytes(file.read_bytes())
    assert read_scribbles(copy, "gym", 2) == first
    second = read(file, with_line(object_id=2))
    os.utime(file, ns=(7, 7))
    assert (first.object_ids, second.object_ids) == ((1,), (2,))
    with pytest.raises(InputError, match=r"copy\.json: found scribbles of the sequence 'gym', expected 'swim'"):
        read_scribbles(copy, "swim", 2)


def test_a_file_of_the_challenge_is_read(file: Path) -> None:
    scribbles = read(file, document([], [LINE, {**LINE, "object_id": 3}, {**LINE, "object_id": 0}]))
    assert scribbles.annotated == (1,)
    assert scribbles.object_ids == (1, 3)
    assert scribbles.frame(1).lines[0] == Line(1, ((0.1, 0.2), (0.3, 0.4)))
    assert scribbles.frame(0).lines == ()


@pytest.mark.parametrize(
    ("keys", "annotated"),
    [
        ({}, (1,)),
        ({"annotated_frames": [0]}, (0, 1)),
        ({"annotated_frames": [1]}, (1,)),
        ({"annotated_frame": 0}, (0, 1)),
        ({"annotated_frame": None, "annotated_frames": []}, (1,)),
    ],
)
def test_annotated_are_frames_that_are_named_or_have_a_line(
    file: Path, keys: dict[str, Any], annotated: tuple[int, ...]
) -> None:
    assert read(file, document([], [LINE], **keys)).annotated == annotated


def test_rounding_errors_outside_the_picture_are_clipped(file: Path) -> None:
    scribbles = read(file, with_line(path=[[-1e-7, 1.0000005]]))
    assert scribbles.frame(1).lines[0].path == ((0.0, 1.0),)


def test_coordinates_are_kept_to_a_millionth(file: Path) -> None:
    scribbles = read(file, with_line(path=[[0.12345649, 0.1234567]]))
    assert scribbles.frame(1).lines[0].path == ((0.123456, 0.123457),)


@pytest.mark.parametrize("value", [-2e-6, 1.000002])
def test_more_than_a_rounding_error_outside_is_refused(file: Path, value: float) -> None:
    with pytest.raises(InputError, match=r"frame 1, line 0, point 0, coordinate 0 \(counted from 0\): found"):
        read(file, with_line(path=[[value, 0.5]]))


def test_a_byte_order_mark_does_no_harm(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(with_line()).encode())
    assert read_scribbles(file, "gym", 2).annotated == (1,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["EOF"]),
        ("[" * 200_000, ["recursion limit"]),
        ("[]", ["'scribbles' and 'sequence'"]),
        ('{"scribbles": [[], [{"path": [[NaN, 0.1]], "object_id": 1}]], "sequence": "gym"}', ["point 0", "nan"]),
        ('{"scribbles": [[], [{"path": [[0.1, 1e999]], "object_id": 1}]], "sequence": "gym"}', ["coordinate 1", "inf"]),
        ({"scribbles": [[], []]}, ["nothing as 'sequence'"]),
        ({**with_line(), "sequence": "dog"}, ["'dog'", "'gym'"]),
        (document([LINE]), ["1 frames", "expected 2"]),
        (document([], [], []), ["3 frames", "expected 2"]),
        (document([], [5]), ["frame 1, line 0", "5"]),
        (with_line(path=[]), ["frame 1, line 0", "[]", "at least one"]),
        (with_line(path=[[0.1, 0.2], [0.3]]), ["frame 1, line 0, point 1", "nothing"]),
        (with_line(path=[[0.1, 0.2, 0.3]]), ["point 0", "[0.1, 0.2, 0.3]"]),
        (with_line(path=[[0.1, 1.01]]), ["point 0, coordinate 1", "1.01", "[0, 1]"]),
        (with_line(path=[[-0.5, 0.1]]), ["point 0, coordinate 0", "-0.5"]),
        (with_line(path=[["a", 0.1]]), ["'a'"]),
        (with_line(object_id=255), ["255", "0..254"]),
        (with_line(object_id=-1), ["-1", "0..254"]),
        (with_line(object_id=1.5), ["1.5"]),
        (with_line(object_id="1"), ["'1'"]),
        (with_line(object_id=True), ["True"]),
        (document([], [{"path": [[0.1, 0.1]]}]), ["nothing as 'object_id'"]),
        (document([], [], annotated_frames=[2]), ["annotated frame 2", "0..1"]),
        (document([], [], annotated_frames=[-1]), ["-1"]),
        (document([], [], annotated_frame="0"), ["'0'"]),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(file: Path, content: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        read(file, content)
    message = str(error.value)
    assert str(file) in message and "found" in message and "expected" in message
    assert all(word in message for word in words), message


def test_the_limits_are_those_of_the_documents() -> None:
    assert (MAX_FILE_BYTES, MAX_POINTS) == (32 * 1024**2, 500_000)


def test_what_has_no_place_in_a_frame_is_told_without_one(file: Path) -> None:
    with pytest.raises(InputError, match=r"001\.json: found nothing as 'sequence'"):
        read(file, {"scribbles": [[], []]})


def test_a_file_at_the_limit_is_read(file: Path) -> None:
    text = json.dumps(with_line())
    file.write_text(text + " " * (MAX_FILE_BYTES - len(text)))
    assert read_scribbles(file, "gym", 2).annotated == (1,)


def test_files_that_would_fill_the_memory_are_refused_before_they_are_parsed(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(InputError, match="bytes"):
        read_scribbles(file, "gym", 2)
    points = ",".join(["[0,0]"] * (MAX_POINTS + 1))
    with pytest.raises(InputError, match="points"):
        read(file, f'{{"scribbles":[[],[{{"path":[{points}],"object_id":1}}]],"sequence":"gym"}}')


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_file_that_cannot_be_opened_is_named(file: Path, make: Any) -> None:
    make(file)
    with pytest.raises(InputError, match=r"001\.json"):
        read_scribbles(file, "gym", 2)


# Digests


def test_a_digest_sees_the_strokes_and_nothing_else(file: Path) -> None:
    digest = read(file, document([], [LINE])).strokes_digest(1)
    same = [
        document([], [{"object_id": 1, "path": LINE["path"]}]),
        document([], [{**LINE, "start_time": 77}]),
        document([LINE], [LINE]),
        document([], [LINE], annotated_frames=[0, 1]),
        '{"sequence":"gym", "scribbles": [[],\n[{"path":[[1e-1,0.20],[3.0e-1,0.4000000001]],"object_id":1}]]}',
    ]
    assert [read(file, content).strokes_digest(1) for content in same] == [digest] * len(same)
    other = [
        document([], [{**LINE, "object_id": 2}]),
        document([], [{**LINE, "path": [[0.1, 0.2], [0.3, 0.41]]}]),
        document([], [LINE, LINE]),
        document([], [], annotated_frames=[1]),
        document([], []),
    ]
    digests = [read(file, content).strokes_digest(1) for content in other]
    assert len({digest, *digests}) == len(other) + 1


def test_the_digests_of_version_0_1_are_todays(file: Path) -> None:
    """Anchor masks are recognised by them."""
    scribbles = read(file, with_line())
    assert [scribbles.strokes_digest(index) for index in (0, 1)] == [
        "9190a6d68244376aee68ea6ccb912b0c1af7083e4b0a4349c92f37f177d3a58f",
        "f24c0c24438a98065e54610c9e1b777869f1a206672c8a573ab026591860d156",
    ]


# Writing and merging


def test_a_written_set_reads_back_the_same_to_the_byte(file: Path, tmp_path: Path) -> None:
    scribbles = read(file, document([LINE], [], annotated_frames=[1]))
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    write_scribbles(first, scribbles)
    again = read_scribbles(first, "gym", 2)
    write_scribbles(second, again)
    assert again == scribbles
    assert first.read_bytes() == second.read_bytes()
    assert json.loads(first.read_text()) == {
        "sequence": "gym",
        "annotated_frames": [0, 1],
        "scribbles": [[LINE], []],
    }


def test_unrounded_lines_keep_their_digest_through_a_file(file: Path) -> None:
    lines = [Line(1, ((1 / 3, 2 / 3), (1.0000001, 0.1)))]
    scribbles = merge(ScribbleSet("gym", 2), 0, lines)
    write_scribbles(file, scribbles)
    assert read_scribbles(file, "gym", 2).strokes_digest(0) == scribbles.strokes_digest(0)
    assert replace(scribbles, frames={0: FrameScribbles(tuple(lines))}).strokes_digest(0) == scribbles.strokes_digest(0)


def test_a_failed_write_leaves_the_old_file_and_no_litter(file: Path) -> None:
    file.mkdir()
    with pytest.raises(StageError, match=r"001\.json"):
        write_scribbles(file, ScribbleSet("gym", 1))
    assert [path.name for path in file.parent.iterdir()] == ["001.json"]


def test_the_folder_is_made_and_one_that_cannot_be_is_told(tmp_path: Path) -> None:
    write_scribbles(tmp_path / "new" / "001.json", ScribbleSet("gym", 2))
    (tmp_path / "file").touch()
    with pytest.raises(StageError, match=r"001\.json: the scribbles cannot be written: .*--scribbles-root"):
        write_scribbles(tmp_path / "file" / "001.json", ScribbleSet("gym", 2))


def test_merging_replaces_one_frame_and_leaves_the_set_alone() -> None:
    line, other = Line(1, ((0.5, 0.5),)), Line(2, ((0.25, 0.5),))
    before = merge(ScribbleSet("gym", 3), 2, [line])
    after = merge(merge(before, 0, [other]), 2, [])
    assert (before.annotated, after.annotated) == ((2,), (0, 2))
    assert after.frame(2).lines == () and before.frame(2).lines == (line,)
    assert merge(merge(before, 2, [other]), 2, [other]) == merge(before, 2, [other])


@pytest.mark.parametrize("frame", [-1, 3])
def test_a_frame_that_does_not_exist_takes_no_lines(frame: int) -> None:
    with pytest.raises(InputError, match=r"0\.\.2"):
        merge(ScribbleSet("gym", 3), frame, [])


# The pictures that were drawn on

DIGEST = "0123456789abcdef" * 4


def video(*greys: int) -> list[np.ndarray]:
    return [np.full((3, 4, 3), grey, np.uint8) for grey in greys]


def test_the_digest_of_a_picture_is_that_of_its_size_and_pixels() -> None:
    (frame,) = video(7)
    assert pixel_digest(frame) == hashlib.sha256(b"3x4x3\n" + bytes([7] * 36)).hexdigest()
    assert pixel_digest(frame[::2]) == pixel_digest(frame[:2]) != pixel_digest(frame)


def test_digests_of_frames_and_keys_that_nobody_knows_are_kept(file: Path, tmp_path: Path) -> None:
    keys = {"frame_digests": {"1": DIGEST}, "author": "anna", "seen_by": {"1": [2]}, "score": None}
    scribbles = read(file, document([], [LINE], **keys))
    assert scribbles.frame_digests == {1: DIGEST}
    write_scribbles(tmp_path / "again.json", merge(scribbles, 0, [], "f" * 64))
    written = json.loads((tmp_path / "again.json").read_text())
    assert written["frame_digests"] == {"0": "f" * 64, "1": DIGEST}
    assert {name: written[name] for name in ("author", "seen_by", "score")} == {
        "author": "anna", "seen_by": {"1": [2]}, "score": None
    }  # fmt: skip
    assert merge(scribbles, 1, []).frame_digests == {}, "other strokes, drawn on who knows what"
    assert scribbles.strokes_digest(1) == read(file, document([], [LINE])).strokes_digest(1)


@pytest.mark.parametrize(
    ("digests", "words"),
    [({"2": DIGEST}, "a frame 2"), ({"1": "abc"}, "abc"), ({"one": DIGEST}, "one"), ({"-1": DIGEST}, "-1"), (3, "3")],
)
def test_digests_that_cannot_be_are_refused(file: Path, digests: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(file, document([], [LINE], frame_digests=digests))


def test_strokes_of_another_video_are_told_with_the_frames(file: Path) -> None:
    frames = video(7, 8)
    scribbles = merge(ScribbleSet("gym", 2), 0, [], pixel_digest(frames[0]))
    scribbles = merge(scribbles, 1, [], pixel_digest(frames[1]))
    check_video(file, scribbles, frames, [0, 1])
    with pytest.raises(InputError, match=r"001\.json: found strokes of another video: on the frames 0, 1 they"):
        check_video(file, scribbles, video(8, 7), [1])
    check_video(file, scribbles, video(7, 9), [0])
    check_video(file, merge(scribbles, 1, []), video(7, 9), [0, 1])


# The project around it


def test_reading_scribbles_needs_no_heavy_library() -> None:
    heavy = "{'cv2', 'torch', 'skimage', 'scipy', 'PIL', 'av'}"
    code = (
        f"import sys, stages.scribbles, stages.formats.frames, stages.formats.layout; print({heavy} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_demo_has_two_objects_on_the_frames_that_equation_1_asks_for() -> None:
    scribbles = read_scribbles(DEMO, "bunny", 132)
    assert scribbles.annotated == tuple(132 * i // 8 - 1 for i in range(1, 9))
    assert all(scribbles.frame(index).object_ids == (1, 2) for index in scribbles.annotated)


@pytest.mark.skipif("LIS_DAVIS_ROOT" not in os.environ, reason="LIS_DAVIS_ROOT does not name a DAVIS folder")
def test_the_scribbles_of_the_dataset_are_accepted() -> None:
    root = Path(os.environ["LIS_DAVIS_ROOT"])
    files = sorted((root / "Scribbles").glob("*/*.json"))
    assert files
    for file in files:
        frame_count = len(list((root / "JPEGImages" / "480p" / file.parent.name).glob("*.jpg")))
        assert read_scribbles(file, file.parent.name, frame_count).object_ids == (1,)


# How long people drew


def test_times_are_kept_and_change_no_digest(file: Path) -> None:
    scribbles = read(file, document([{**LINE, "start_time": 100, "end_time": 1500.25}], [LINE]))
    assert scribbles.drawn_s == pytest.approx(1.40025 + 0.004)
    write_scribbles(file, merge(scribbles, 1, scribbles.frame(1).lines))
    rows = json.loads(file.read_text())["scribbles"]
    assert [(line["start_time"], line["end_time"]) for row in rows for line in row] == [(100, 1500.25), (5, 9)]
    untimed = read(file, document([{**LINE, "start_time": 0, "end_time": 0}], [LINE]))
    assert untimed.strokes_digest(0) == scribbles.strokes_digest(0)
    assert untimed.frame(0) == scribbles.frame(0)


@pytest.mark.parametrize("nonsense", [None, "noon", [3], True, 1e300, -1e300])
def test_a_time_that_is_none_refuses_no_stroke(file: Path, nonsense: Any) -> None:
    scribbles = read(file, with_line(start_time=nonsense, end_time=nonsense))
    assert scribbles.drawn_s == 0
    write_scribbles(file, scribbles)
    assert json.loads(file.read_text())["scribbles"][1][0]["end_time"] == 0


# Corrections, and objects called absent


SEEN = "0123456789abcdef" * 4


def test_a_corrected_frame_is_annotated_and_comes_back(file: Path) -> None:
    scribbles = read(file, document([], [], corrects={"1": SEEN}, absent={"1": [3, 2, 3]}))
    assert scribbles.annotated == (1,)
    assert (scribbles.corrects, scribbles.absent) == ({1: SEEN}, {1: (2, 3)})
    assert scribbles.other_keys == {}
    write_scribbles(file, scribbles)
    assert read_scribbles(file, "gym", 2) == scribbles


def test_strokes_are_none_of_the_absent_and_end_a_correction_that_they_are_not(file: Path) -> None:
    before = read(file, document([], [], corrects={"1": SEEN}, absent={"1": [2, 3]}))
    corrected = merge(before, 1, [Line(2, ((0.1, 0.1),))], corrects=SEEN[::-1])
    assert (corrected.corrects, corrected.absent) == ({1: SEEN[::-1]}, {1: (3,)})
    drawn_anew = merge(corrected, 1, [Line(2, ((0.1, 0.1),))])
    assert (drawn_anew.corrects, drawn_anew.absent) == ({}, {})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"corrects": {"2": SEEN}}, "found the corrected frame 2, expected frames in 0..1; correct the key 'corrects'"),
        ({"corrects": {"1": "x"}}, "found 'x' as 'corrects', expected digests of masks"),
        ({"absent": {"0": [1]}}, "found absent objects of frame 0, which is not annotated"),
        ({"absent": {"1": [1]}}, "found strokes of object 1 on frame 1, which calls it absent"),
        ({"absent": {"1": [0]}}, r"found 0 as 'absent', expected ids of objects \(1..254\)"),
    ],
)
def test_corrections_that_cannot_be_are_refused(file: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(file, document([], [LINE], **keys))
