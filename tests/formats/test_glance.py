"""`.glance.json`: what overviews show, remembered as long as the result is the same."""

from pathlib import Path

import pytest

from stages.formats.glance import Doubt, Glance

GLANCE = Glance("a1", Doubt(0.08, 0.61, 57), b"\xff\xd8 a picture")


def test_it_holds_for_the_result_that_it_was_made_from(tmp_path: Path) -> None:
    assert Glance.read(tmp_path, "a1") is None
    GLANCE.write(tmp_path)
    assert Glance.read(tmp_path, "a1") == GLANCE
    assert Glance.read(tmp_path, "b2") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": 2}', "[" * 100_000])
def test_what_cannot_be_read_is_made_again(tmp_path: Path, content: str) -> None:
    (tmp_path / ".glance.json").write_text(content)
    assert Glance.read(tmp_path, "a1") is None


def test_a_disk_that_refuses_it_does_no_harm(tmp_path: Path) -> None:
    GLANCE.write(tmp_path / "gone")
