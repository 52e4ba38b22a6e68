"""What holds of every format in the list, through the exporter itself."""

import csv
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.exchange.incoming.formats import READERS, guess
from stages.exchange.outgoing import formats
from stages.exchange.outgoing.joining import check_called
from stages.exchange.outgoing.terms import Terms
from tests.exchange.disk import export, material
from tests.exchange.driver import tree


@pytest.mark.parametrize("name", formats.names())
def test_pictures_lie_where_it_says_and_bytes_repeat(name: str, tmp_path: Path) -> None:
    form = formats.find(name)
    assert form.name == name
    trees = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        terms = Terms(max_doubt=0.2, pictures="copy" if form.has_pictures else "")
        folder, counts = export(tmp_path / place, form, [material(tmp_path / place, lost=[2])], terms)
        trees.append(tree(folder))
        with (folder / "frames.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["kept"] for row in rows] == ["1", "1", "0", "1"]
        pictures = [row["exported_as"] for row in rows if row["exported_as"]]
        assert len(pictures) == (counts.kept if form.has_pictures else 0)
        assert all(picture in trees[-1] for picture in pictures)
    assert trees[0] == trees[1]


@pytest.mark.parametrize("name", READERS)
def test_an_export_is_known_when_it_comes_back_whole(name: str, tmp_path: Path) -> None:
    form = formats.find(name)
    folder, _ = export(tmp_path, form, [material(tmp_path)], Terms(pictures="copy" if form.has_pictures else ""))
    (folder / "sheet.png").touch()
    assert guess(folder).name == name
    assert len([*guess(folder).pictures(folder)]) == 4


def test_an_export_that_cannot_come_back_is_called_by_its_format(tmp_path: Path) -> None:
    folder, _ = export(tmp_path, formats.find("yolo"), [material(tmp_path)], Terms(pictures="copy"))
    with pytest.raises(InputError, match="found an export in the format yolo, expected masks of one format"):
        guess(folder)


@pytest.mark.parametrize("name", formats.names())
def test_no_name_of_a_sequence_is_taken_for_the_place_of_the_split(name: str, tmp_path: Path) -> None:
    folder, _ = export(tmp_path, formats.find(name), [material(tmp_path, "{split}"), material(tmp_path, "part.json")])
    with (folder / "frames.csv").open() as file:
        paths = [row["exported_as"] for row in csv.DictReader(file)]
    assert not formats.find(name).has_pictures or all("{split}" in path for path in paths[4:])
    assert all((folder / path).exists() for path in paths)
    assert sum(path.count("{split}") for path in tree(folder)) or name in ("coco", "youtube-vis", "csv")


@pytest.mark.parametrize(
    "called", ["frames.csv", "export.json", "labels.txt", "manifest.json", "readme.TXT", "sheet.png"]
)
def test_a_sequence_that_is_called_like_a_file_of_the_export_is_refused(called: str) -> None:
    with pytest.raises(InputError, match=f"found a sequence called '{called}', expected no name of a file"):
        check_called(called)
    check_called("frames")


def test_a_file_whose_name_is_too_long_is_told_before_the_disk_refuses_it(tmp_path: Path) -> None:
    long = material(tmp_path, "a" * 250)
    export(tmp_path / "one", formats.find("coco"), [long])
    with pytest.raises(InputError, match=r"found the name 'a{40}\.\.\.' of 260 bytes .*, expected 255 at most"):
        export(tmp_path / "two", formats.find("yolo"), [long])
