"""Masks that people gave remember the pictures that they were given for."""

import json
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import InputError
from stages.formats.given_for import PICTURES_JSON, check_given_for, given_for, note_given_for
from stages.formats.given_masks import given_frames, masks_folder, write_given

IDS = np.ones((6, 8), np.uint8)


@pytest.fixture
def scribble_file(tmp_path: Path) -> Path:
    for index in (1, 2, 3):
        write_given(tmp_path / "001.json", index, IDS)
    return tmp_path / "001.json"


def test_what_is_noted_comes_back_and_is_no_mask(scribble_file: Path) -> None:
    assert given_for(scribble_file) == {}
    note_given_for(scribble_file, {2: "a" * 64})
    note_given_for(scribble_file, {1: "b" * 64})
    assert given_for(scribble_file) == {1: "b" * 64, 2: "a" * 64}
    assert [*given_frames(scribble_file)] == [1, 2, 3]


def test_of_another_mask_nobody_knows_the_picture(scribble_file: Path) -> None:
    note_given_for(scribble_file, {1: "a" * 64, 2: "b" * 64, 3: "c" * 64})
    write_given(scribble_file, 1, IDS * 2)
    given_frames(scribble_file)[2].unlink()
    assert given_for(scribble_file) == {3: "c" * 64}
    note_given_for(scribble_file, {1: "d" * 64})
    assert given_for(scribble_file) == {1: "d" * 64, 3: "c" * 64}


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "masks": {"x": {}}}',
                json.dumps({"schema": 1, "masks": {"1": {"mask": "x", "frame_digest": "y"}}})]
)  # fmt: skip
def test_a_damaged_note_is_told(scribble_file: Path, content: str) -> None:
    (masks_folder(scribble_file) / PICTURES_JSON).write_text(content)
    with pytest.raises(InputError, match=r"pictures\.json: it cannot be used: .* remove it"):
        check_given_for(scribble_file, "dog", [], [1])
