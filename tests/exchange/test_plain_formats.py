"""The formats that need no library to be read: tables, black-and-white PNG, cut-outs."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.exchange.readers.binary import READER
from stages.exchange.writers.binary import Binary
from stages.exchange.writers.csv_tables import CsvTables
from stages.exchange.writers.cutouts import Cutouts
from tests.exchange.adversarial import (
    QUOTES,
    SAMPLES,
    SCRIPTS,
    Sample,
    come_and_go,
    dropped,
    filling,
    picture,
    sample_id,
    tiny,
    two_objects,
)
from tests.exchange.driver import export, tree
from tests.exchange.reading import check_equal, maps


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("make", SAMPLES, ids=sample_id)
def test_boxes_and_areas(make: Callable[[], Sample], tmp_path: Path) -> None:
    sample = make()
    rows = _table(export(CsvTables(), {"train": [sample]}, tmp_path / "out") / "boxes.csv")
    expected = []
    for index, labels in enumerate(sample.maps):
        for object_id in [] if labels is None else np.unique(labels[labels > 0]).tolist():
            at = np.nonzero(labels == object_id)
            (y, x), (bottom, right) = (int(a.min()) for a in at), (int(a.max()) for a in at)
            expected.append([index, object_id, x, y, right - x + 1, bottom - y + 1, len(at[0])])
    columns = ("frame", "object", "x", "y", "width", "height", "area")
    assert [[int(row[column]) for column in columns] for row in rows] == expected
    assert {(row["score"], row["agreement"], row["source"]) for row in rows} <= {("0.5", "0.75", "anchor")}


def test_tracks_tell_when_objects_come_and_go(tmp_path: Path) -> None:
    """A frame that is dropped ends no stretch."""
    rows = _table(export(CsvTables(), {"train": [dropped()], "val": [two_objects()]}, tmp_path / "out") / "tracks.csv")
    columns = ("sequence", "split", "object", "frames", "first", "last", "stretches", "mean_area")
    name = f"mein Hund {SCRIPTS}"
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("dropped", "train", "1", "2", "2", "6", "2", "80.0"),
        ("dropped", "train", "2", "2", "5", "6", "1", "80.0"),
        ("dropped", "train", "3", "2", "1", "2", "1", "80.0"),
        (name, "val", "1", "4", "0", "4", "2", "464.0"),
        (name, "val", "2", "5", "0", "4", "1", "600.0"),
        (name, "val", "3", "0", "", "", "0", ""),
    ]
    assert [row["object_name"] for row in rows[3:]] == [QUOTES, SCRIPTS, "never seen"]


@pytest.mark.parametrize("make", [tiny, two_objects, dropped], ids=sample_id)
def test_a_black_and_white_picture_an_object_and_frame(make: Callable[[], Sample], tmp_path: Path) -> None:
    """Also of objects that are absent: missing and absent differ."""
    sample = make()
    folder = export(Binary(), {"train": [sample]}, tmp_path / "out") / sample.sequence.name
    assert sorted(path.name for path in folder.iterdir()) == sorted(str(each.id) for each in sample.sequence.objects)
    for each in sample.sequence.objects:
        kept = [f"{index:05d}.png" for index, labels in enumerate(sample.maps) if labels is not None]
        assert sorted(path.name for path in (folder / str(each.id)).iterdir()) == kept
        for name, labels in zip(kept, sample.kept, strict=True):
            with Image.open(folder / str(each.id) / name) as mask:
                assert mask.mode == "L"
                assert np.array_equal(np.array(mask), 255 * (labels == each.id))


@pytest.mark.parametrize("make", [two_objects, filling, come_and_go], ids=sample_id)
def test_black_and_white_pictures_come_back_as_import_masks_reads_them(
    make: Callable[[], Sample], tmp_path: Path
) -> None:
    sample = make()
    folder = export(Binary(), {"train": [sample]}, tmp_path / "out") / sample.sequence.name
    names = [f"{index:05d}.png" for index in range(len(sample.maps))]
    check_equal(maps(READER, folder), names, sample.kept)


@pytest.mark.parametrize("make", SAMPLES, ids=sample_id)
def test_cutouts_laid_where_the_table_says_give_picture_and_masks(make: Callable[[], Sample], tmp_path: Path) -> None:
    sample = make()
    folder = export(Cutouts(), {"train": [sample]}, tmp_path / "out")
    laid = {
        index: np.zeros((*labels.shape, 4), np.uint8) for index, labels in enumerate(sample.maps) if labels is not None
    }
    ids = {index: np.zeros_like(layers[..., 3]) for index, layers in laid.items()}
    rows = _table(folder / "cutouts.csv")
    for row in rows:
        index, object_id, x, y, width, height = (
            int(row[column]) for column in ("frame", "object", "x", "y", "width", "height")
        )
        with Image.open(folder / row["file"]) as cutout:
            assert (cutout.mode, cutout.size) == ("RGBA", (width, height))
            pixels = np.array(cutout)
        seen = pixels[..., 3] == 255
        assert (pixels[~seen] == 0).all(), "something of the picture is left where it is transparent"
        laid[index][y : y + height, x : x + width][seen] = pixels[seen]
        ids[index][y : y + height, x : x + width][seen] = object_id
    for index, layers in laid.items():
        labels = sample.maps[index]
        assert np.array_equal(ids[index], labels)
        frame = picture(sample.sequence.size_wh, index)
        assert np.array_equal(layers[..., :3], np.where((labels > 0)[..., None], frame, 0))
    assert len(rows) == len(list(folder.rglob("*.png")))


@pytest.mark.parametrize("form", [CsvTables(), Binary(), Cutouts()], ids=lambda form: form.name)
def test_bytes_repeat(form: CsvTables | Binary | Cutouts, tmp_path: Path) -> None:
    first, second = (tree(export(form, {"train": [two_objects()]}, tmp_path / name)) for name in "ab")
    assert first == second
