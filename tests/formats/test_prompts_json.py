"""Clicks and boxes: what can be is read, what cannot is refused in one line, with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import InputError
from stages.formats.prompts_json import Prompt, read_prompts

CLICKED: dict[str, Any] = {"id": 1, "points": [[0.41, 0.52, 1], [0.1, 0.1, 0], [1, 0, 1]], "box": [0.3, 0.2, 0.6, 0.9]}


def save(path: Path, *objects: dict[str, Any], **keys: Any) -> Path:
    content = {"schema": 1, "sequence": "dog", "frames": [{"frame": 12, "objects": list(objects)}], **keys}
    path.write_text(json.dumps(content))
    return path


def test_points_and_boxes_are_read(tmp_path: Path) -> None:
    path = save(tmp_path / "p.json", CLICKED, {"id": 3, "box": [0, 0, 1, 1]})
    assert read_prompts(path, "dog", 60) == {
        12: (
            Prompt(1, ((0.41, 0.52), (1.0, 0.0)), ((0.1, 0.1),), (0.3, 0.2, 0.6, 0.9)),
            Prompt(3, (), (), (0.0, 0.0, 1.0, 1.0)),
        )
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": [[0.4, 0.5, 2]]}, r"frames\[0\]\.objects\[0\]\.points\[0\]\[2\]: found 2, expected points"),
        ({"points": [[1.4, 0.5, 1]]}, r"points\[0\]\[0\]: found 1\.4, expected points \[x, y, 1 or 0\]"),
        ({"points": [[0.4, 0.5]]}, r"points\[0\]\[2\]: found nothing"),
        ({"points": [[0.1, 0.1, 0]], "box": None}, "object 1: found neither a point on the object nor a box"),
        ({"box": [0.6, 0.2, 0.3, 0.9]}, r"object 1: found the box \[0\.6, 0\.2, 0\.3, 0\.9\], expected left < right"),
        ({"box": "all"}, r"box: found 'all', expected \[left, top, right, bottom\]"),
        ({"id": 0}, r"id: found 0, expected a whole number in 1\.\.254"),
        ({"label": 1}, r"found the key frames\[0\]\.objects\[0\]\.label, expected one of id, points"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_prompts(save(tmp_path / "p.json", {**CLICKED, **changes}), "dog", 60)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"schema": 2}, "found schema 2, expected 1; update the program"),
        ({"sequence": "cat"}, "found prompts of the sequence 'cat', expected 'dog'"),
        ({"frames": [{"frame": 60, "objects": []}]}, r"found the frame 60, expected frames in 0\.\.59"),
        ({"frames": [{"frame": 1, "objects": []}] * 2}, "found the frame 1 twice"),
        ({"frames": [{"frame": 1, "objects": [CLICKED, CLICKED]}]}, "found the object on frame 1, 1 twice"),
        ({"frames": 3}, "frames: found 3, expected a list"),
    ],
)
def test_files_that_cannot_be_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_prompts(save(tmp_path / "p.json", **keys), "dog", 60)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": 1}', '{"a": 1, "a": 2}'])
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"p\.json: .*expected"):
        read_prompts(path, "dog", 60)
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts(tmp_path / "missing.json", "dog", 60)
