"""What was asked for is remembered under its terms, and a painted picture is read once."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import StageError
from stages.core.plan import Plan
from stages.formats.requests import (
    contradiction,
    is_declared_empty,
    issued_anchors,
    note_read,
    note_requests,
    pending_strokes,
    picture_to_paint_on,
    settle_requests,
)

TERMS: dict[str, Any] = {"scribbles": "001", "requests": 3, "placement": "eq1", "frame_count": 12}
OTHER = {**TERMS, "requests": 5}
NAMES = [f"shot_{index}.jpg" for index in range(12)]


def waiting(root: Path) -> list[dict[str, Any]]:
    return json.loads((root / "requests.json").read_text())["waiting"]


def paint(root: Path, name: str, content: str = "a stroke") -> Path:
    (root / "requests").mkdir(exist_ok=True)
    (root / "requests" / name).write_text(content)
    return root / "requests" / name


def test_a_request_says_which_frame_where_to_paint_and_how_to_save(tmp_path: Path) -> None:
    note_requests(tmp_path, TERMS, Plan(12, (2, 5, 11), (5,)), NAMES)
    assert json.loads((tmp_path / "requests.json").read_text()) == {
        "schema": 1,
        "waiting": [
            {
                "frame": 5,
                "name": "shot_5.jpg",
                "why": "an anchor of the plan without scribbles",
                "paint_on": "requests/00005.png",
                "save_as": "requests/00005.strokes.png",
                "or_if_nothing_is_there": "requests/00005.empty.png",
            }
        ],
        "issued": [{"terms": TERMS, "anchors": [2, 5, 11]}],
    }
    assert picture_to_paint_on(tmp_path, 5) == tmp_path / "requests" / "00005.png"


def test_what_was_asked_for_is_remembered_under_its_terms(tmp_path: Path) -> None:
    assert issued_anchors(tmp_path, TERMS) == ()
    note_requests(tmp_path, TERMS, Plan(12, (2, 5, 8, 11), (5,)), NAMES)
    note_requests(tmp_path, OTHER, Plan(12, (1, 3), (1, 3)), NAMES)
    assert issued_anchors(tmp_path, TERMS) == (2, 5, 8, 11)
    assert issued_anchors(tmp_path, OTHER) == (1, 3)
    assert issued_anchors(tmp_path, {**TERMS, "frame_count": 13}) == ()
    assert [each["frame"] for each in waiting(tmp_path)] == [1, 3]
    note_requests(tmp_path, TERMS, Plan(12, (2, 5), (2,)), NAMES)
    assert issued_anchors(tmp_path, TERMS) == (2, 5), "the last word counts"
    assert issued_anchors(tmp_path, OTHER) == (1, 3)


def test_settled_requests_wait_no_more_and_are_remembered(tmp_path: Path) -> None:
    settle_requests(tmp_path)
    assert not (tmp_path / "requests.json").exists(), "nothing was asked, nothing is noted"
    note_requests(tmp_path, TERMS, Plan(12, (2, 5), (5,)), NAMES)
    settle_requests(tmp_path)
    assert waiting(tmp_path) == []
    assert issued_anchors(tmp_path, TERMS) == (2, 5)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"issued": 3}', '{"issued": [{"terms": 1}]}', '{"schema": 0}']
)
def test_a_damaged_file_asked_for_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "requests.json").write_text(content)
    assert issued_anchors(tmp_path, TERMS) == ()


def test_requests_of_version_0_1_are_read(tmp_path: Path) -> None:
    """They have no version number."""
    (tmp_path / "requests.json").write_text(json.dumps({"waiting": [], "issued": [{"terms": TERMS, "anchors": [4]}]}))
    assert issued_anchors(tmp_path, TERMS) == (4,)


def test_requests_of_a_newer_version_are_neither_read_nor_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "requests.json"
    path.write_text('{"schema": 2, "issued": []}')
    for act in (
        lambda: issued_anchors(tmp_path, TERMS),
        lambda: note_requests(tmp_path, TERMS, Plan(12, (2,), (2,)), NAMES),
        lambda: settle_requests(tmp_path),
    ):
        with pytest.raises(StageError, match=r"requests\.json: found version 2 .* newer version of LIS"):
            act()
    assert path.read_text() == '{"schema": 2, "issued": []}'


def test_painted_pictures_are_known_by_their_names(tmp_path: Path) -> None:
    assert pending_strokes(tmp_path, "001", []) == {}
    strokes, empty = paint(tmp_path, "00005.strokes.png"), paint(tmp_path, "123456.empty.png")
    for name in ("00005.png", "00006.strokes.jpg", "6.strokes.png", "00007.stroke.png", "00008.strokes.png.png"):
        paint(tmp_path, name)
    assert pending_strokes(tmp_path, "001", []) == {5: strokes, 123456: empty}
    assert is_declared_empty(empty)
    assert not is_declared_empty(strokes)


def test_a_picture_is_read_once_for_each_set_and_again_when_it_changes(tmp_path: Path) -> None:
    strokes, empty = paint(tmp_path, "00005.strokes.png"), paint(tmp_path, "00006.empty.png")
    note_read(tmp_path, "001", [strokes])
    assert pending_strokes(tmp_path, "001", [5, 6]) == {6: empty}
    note_read(tmp_path, "001", [empty])
    assert pending_strokes(tmp_path, "001", [5, 6]) == {}
    assert pending_strokes(tmp_path, "002", [5, 6]) == {5: strokes, 6: empty}
    assert pending_strokes(tmp_path, "001", [6]) == {5: strokes}, "the set has lost the frame"
    paint(tmp_path, "00005.strokes.png", "another stroke")
    assert pending_strokes(tmp_path, "001", [5, 6]) == {5: strokes}


@pytest.mark.parametrize("content", ["", "[]", '{"001": 3}', "{"])
def test_a_damaged_note_of_what_was_read_costs_one_more_reading(tmp_path: Path, content: str) -> None:
    strokes = paint(tmp_path, "00005.strokes.png")
    paint(tmp_path, "read.json", content)
    assert pending_strokes(tmp_path, "001", [5]) == {5: strokes}
    note_read(tmp_path, "001", [strokes])
    assert pending_strokes(tmp_path, "001", [5]) == {}


def test_strokes_and_the_word_that_nothing_is_there_contradict_each_other(tmp_path: Path) -> None:
    strokes = paint(tmp_path, "00005.strokes.png")
    paint(tmp_path, "00006.empty.png")
    assert contradiction(strokes) is None
    empty = paint(tmp_path, "00005.empty.png")
    assert contradiction(strokes) == empty
    assert contradiction(empty) == strokes
