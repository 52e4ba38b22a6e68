"""What was asked for is remembered under its terms, and a painted picture is read once."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import StageError
from stages.core.plan import Plan
from stages.formats.objects_json import NamedObject
from stages.formats.paintings import lay_out
from stages.formats.requests import (
    ask_again,
    asked_by,
    decline,
    declined_frames,
    frames_asked_for,
    has_asked_for,
    issued_anchors,
    note_requests,
    note_suggestions,
    settle_requests,
    suggested_frames,
)

TERMS: dict[str, Any] = {"scribbles": "001", "requests": 3, "placement": "eq1", "frame_count": 12}
OTHER = {**TERMS, "requests": 5}
NAMES = [f"shot_{index}.jpg" for index in range(12)]


def waiting(root: Path) -> list[dict[str, Any]]:
    return json.loads((root / "requests.json").read_text())["waiting"]


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
                "or_the_mask_itself": "requests/00005.mask.png",
            }
        ],
        "issued": [{"terms": TERMS, "anchors": [2, 5, 11], "asked": [5], "waiting": [5]}],
    }


def test_objects_are_told_with_the_colour_to_paint_in_as_long_as_somebody_is_asked(tmp_path: Path) -> None:
    rex = NamedObject(1, "Rex", "dog", "#00ff00")
    note_requests(tmp_path, TERMS, Plan(12, (2, 5), (2, 5)), NAMES, [rex])
    decline(tmp_path, TERMS, [2])
    said = json.loads((tmp_path / "requests.json").read_text())
    assert said["objects"] == [{"id": 1, "name": "Rex", "class": "dog", "paint_in": "#800000"}]
    settle_requests(tmp_path, "001")
    assert "objects" not in json.loads((tmp_path / "requests.json").read_text())


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
    settle_requests(tmp_path, "001")
    assert not (tmp_path / "requests.json").exists(), "nothing was asked, nothing is noted"
    note_requests(tmp_path, TERMS, Plan(12, (2, 5), (5,)), NAMES)
    settle_requests(tmp_path, "001")
    assert waiting(tmp_path) == []
    assert issued_anchors(tmp_path, TERMS) == (2, 5)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"issued": 3}', '{"issued": [{"terms": 1}]}', '{"schema": 0}']
)
def test_a_damaged_file_is_told_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    """Taken for none, anchors that people work on would move."""
    path = tmp_path / "requests.json"
    path.write_text(content)
    for act in (
        lambda: issued_anchors(tmp_path, TERMS),
        lambda: note_requests(tmp_path, TERMS, Plan(12, (2,), (2,)), NAMES),
        lambda: settle_requests(tmp_path, "001"),
    ):
        with pytest.raises(StageError, match=r"requests\.json: found no readable list .* delete it to be asked anew"):
            act()
    assert path.read_text() == content


def test_a_set_is_known_once_it_was_asked_for(tmp_path: Path) -> None:
    assert not has_asked_for(tmp_path, "001")
    note_requests(tmp_path, TERMS, Plan(12, (2, 5), (2,)), NAMES)
    assert (has_asked_for(tmp_path, "001"), has_asked_for(tmp_path, "002")) == (True, False)


def test_each_set_waits_for_what_it_asked_last_until_it_is_settled(tmp_path: Path) -> None:
    """Else what was painted for one of them would be read into another."""
    assert asked_by(tmp_path) == {}
    note_requests(tmp_path, TERMS, Plan(12, (2, 5, 8), (2, 8)), NAMES)
    note_requests(tmp_path, {**TERMS, "scribbles": "002"}, Plan(12, (2, 5), (2, 5)), NAMES)
    assert asked_by(tmp_path) == {2: "002", 5: "002", 8: "001"}
    settle_requests(tmp_path, "001")
    assert asked_by(tmp_path) == {2: "002", 5: "002"}
    assert waiting(tmp_path) == [], "the last run asked for nothing"
    settle_requests(tmp_path, "002")
    assert asked_by(tmp_path) == {}


def test_former_requests_say_what_the_last_issue_waits_for(tmp_path: Path) -> None:
    issued = [{"terms": {**TERMS, "scribbles": name}, "anchors": [2, 5]} for name in ("002", "001")]
    (tmp_path / "requests.json").write_text(json.dumps({"waiting": [{"frame": 5}], "issued": issued}))
    assert asked_by(tmp_path) == {5: "002"}


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
        lambda: settle_requests(tmp_path, "001"),
    ):
        with pytest.raises(StageError, match=r"requests\.json: found version 2 .* newer version of LIS"):
            act()
    assert path.read_text() == '{"schema": 2, "issued": []}'


# Frames that nobody is to be asked for


def test_a_declined_frame_waits_no_more_and_its_clean_picture_goes(tmp_path: Path) -> None:
    note_requests(tmp_path, TERMS, Plan(12, (2, 5, 8), (2, 5)), NAMES)
    note_requests(tmp_path, {**TERMS, "scribbles": "002"}, Plan(12, (5, 6), (5, 6)), NAMES)
    for index in (2, 5):
        lay_out(tmp_path, index, b"picture")
    decline(tmp_path, TERMS, [2])
    assert declined_frames(tmp_path, OTHER) == {2}, "of the set, whatever else was asked for"
    assert issued_anchors(tmp_path, TERMS) == (5, 8)
    assert asked_by(tmp_path) == {5: "002", 6: "002"}
    assert sorted(path.name for path in tmp_path.glob("requests/0*")) == ["00005.png"]
    decline(tmp_path, TERMS, [8])
    assert declined_frames(tmp_path, TERMS) == {2, 8}
    for others in ({"scribbles": "002"}, {"frame_count": 13}):
        assert declined_frames(tmp_path, {**TERMS, **others}) == frozenset(), "of another set, another video"
    settle_requests(tmp_path, "001")
    note_requests(tmp_path, TERMS, Plan(12, (5,), ()), NAMES)
    assert declined_frames(tmp_path, TERMS) == {2, 8}, "requests come and go"


def test_a_declined_picture_that_was_painted_on_stays(tmp_path: Path) -> None:
    lay_out(tmp_path, 5, b"picture")
    (tmp_path / "requests" / "00005.png").write_bytes(b"painted")
    decline(tmp_path, TERMS, [5])
    assert (tmp_path / "requests" / "00005.png").read_bytes() == b"painted"


def test_a_declined_frame_can_be_asked_for_again(tmp_path: Path) -> None:
    note_requests(tmp_path, TERMS, Plan(12, (2, 5, 8), (5,)), NAMES)
    decline(tmp_path, TERMS, [5, 8])
    ask_again(tmp_path, OTHER, [5], Plan(12, (2, 6), ()))
    assert declined_frames(tmp_path, TERMS) == {8}
    assert issued_anchors(tmp_path, TERMS) == (2, 5)
    assert issued_anchors(tmp_path, OTHER) == (2, 5, 6), "nobody was asked under these terms yet"
    ask_again(tmp_path, TERMS, [8], Plan(12, (2, 5), ()))
    assert "declined" not in json.loads((tmp_path / "requests.json").read_text())


def test_suggested_pictures_stay_and_nothing_waits_for_them(tmp_path: Path) -> None:
    note_requests(tmp_path, TERMS, Plan(12, (2, 5), (5,)), NAMES)
    note_suggestions(tmp_path, "001", [3, 7])
    for index in (3, 5, 7):
        lay_out(tmp_path, index, b"picture")
    assert asked_by(tmp_path) == {3: "001", 5: "001", 7: "001"}, "what is painted there is for the set"
    assert [each["frame"] for each in waiting(tmp_path)] == [5]
    settle_requests(tmp_path, "001")
    assert sorted(path.name for path in tmp_path.glob("requests/0*")) == ["00003.png", "00007.png"]
    note_suggestions(tmp_path, "002", [])
    assert (suggested_frames(tmp_path), asked_by(tmp_path)) == (frozenset(), {})


@pytest.mark.parametrize("key", ["declined", "suggested"])
def test_what_was_declined_or_suggested_can_be_damaged_too(tmp_path: Path, key: str) -> None:
    (tmp_path / "requests.json").write_text(json.dumps({"issued": [], key: [{"frames": ["x"]}]}))
    with pytest.raises(StageError, match=r"requests\.json: found no readable list"):
        declined_frames(tmp_path, TERMS)


def test_anchors_that_were_annotated_unasked_are_none_that_were_asked_for(tmp_path: Path) -> None:
    note_requests(tmp_path, TERMS, Plan(12, (2, 5, 11), (5, 11)), NAMES)
    note_requests(tmp_path, TERMS, Plan(12, (2, 5, 6, 11), (11,)), NAMES)
    note_requests(tmp_path, OTHER, Plan(12, (1, 6), (1,)), NAMES)
    assert frames_asked_for(tmp_path, "001") == {1, 5, 11}
    settle_requests(tmp_path, "001")
    decline(tmp_path, TERMS, [11])
    assert frames_asked_for(tmp_path, "001") == {1, 5}
    (tmp_path / "requests.json").write_text(json.dumps({"waiting": [], "issued": [{"terms": TERMS, "anchors": [4]}]}))
    assert frames_asked_for(tmp_path, "001") == {4}, "former files do not tell"
