"""JSON that would take the memory, the stack or the meaning."""

from pathlib import Path

import pytest

from stages.formats.json_files import read_json


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 200_000, "inside one another"),
        ('{"a":' * 200_000, "inside one another"),
        ("[NaN]", "found NaN"),
        ("[-Infinity]", "found -Infinity"),
        ("[1e999]", "found 1e999"),
        ("9" * 5000, "4300 digits"),
        ('{"a": 1, "a": 2}', "key 'a' twice"),
        ("[1, 2", "Expecting"),
        ("", "Expecting"),
    ],
)
def test_what_is_wrong_is_a_value_error(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=told):
        read_json(tmp_path / "a.json")


def test_bytes_that_are_no_text_and_files_that_are_too_large_are_value_errors(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'"\xff"')
    with pytest.raises(ValueError, match="utf-8"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match="found 3 bytes, expected at most 2"):
        read_json(tmp_path / "a.json", most_bytes=2)


def test_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, -2.5, null, true, "\\u00e9"]}')
    assert read_json(tmp_path / "a.json") == {"a": [1, -2.5, None, True, "é"]}
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "a.json") == [1]
