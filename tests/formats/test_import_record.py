"""Which sources a path stands for, and what they are called."""

from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.formats.import_record import names_of, sources_in


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for name in ("b/1.png", "a.x/1.jpg", ".hidden/1.png", "notes/1.txt", "sub/c/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "readme.txt").touch()
    return tmp_path


def test_a_folder_of_folders_stands_for_those_with_pictures(many: Path) -> None:
    assert sources_in(many) == ([many / "a.x", many / "b"], [many / "notes", many / "sub"])


def test_videos_in_a_folder_without_pictures_are_brought_in_too(many: Path) -> None:
    for name in ("film.MP4", ".hidden.mp4", "b/film.mkv"):
        (many / name).touch()
    assert sources_in(many)[0] == [many / "a.x", many / "b", many / "film.MP4"]


def test_a_file_and_a_folder_of_pictures_stand_for_themselves(many: Path) -> None:
    assert sources_in(many / "b") == ([many / "b"], [])
    assert sources_in(many / "readme.txt") == ([many / "readme.txt"], [])
    assert sources_in(many / "nowhere") == ([many / "nowhere"], [])
    (many / "cover.jpg").touch()
    assert sources_in(many) == ([many], [])


def test_sources_give_their_names(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names_of([many / "a.x", many / "film.v2.mp4"]) == ["a.x", "film.v2"]
    monkeypatch.chdir(many / "b")
    assert names_of([Path(), Path("../a.x")]) == ["b", "a.x"]
    monkeypatch.chdir(many / "sub" / "c")
    assert names_of([Path("..")]) == ["sub"]


def test_two_sources_of_one_name_are_refused(many: Path) -> None:
    with pytest.raises(InputError, match=r"both called 'b', expected names that differ; .* with --seq"):
        names_of([many / "b", many / "other" / "b.mp4"])
    with pytest.raises(InputError, match="begins with a dot"):
        names_of([many / ".hidden"])
