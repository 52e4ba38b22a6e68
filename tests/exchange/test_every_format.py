"""What holds of every format in the list, through the exporter itself."""

import csv
from pathlib import Path

import pytest

from stages.exchange.outgoing import formats
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
