"""MOTS, read back with pycocotools and Pillow."""

import configparser
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycocotools.mask as coco
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.exchange.outgoing.format import UNKNOWN, ExportedClass
from stages.exchange.outgoing.terms import Terms
from stages.exchange.writers.mots import Mots
from tests.exchange.adversarial import SAMPLES, Sample, dropped, sample, sample_id, tiny, two_objects
from tests.exchange.driver import export, tree


def test_the_worked_example(tmp_path: Path) -> None:
    """Of a class called 2, as `other` before it would have it; the unknown is class 10."""
    files = tree(export(Mots(), {"train": [tiny(unknown=True)]}, tmp_path / "out", Terms(mots_class="dog")))
    place = "MOTS-train/tiny"
    assert files[f"{place}/gt/gt.txt"].decode().splitlines() == [
        *("1 2001 2 4 6 4310<", "1 2002 2 4 6 a0230", "1 10000 10 4 6 31d0"),
        *("2 2001 2 4 6 4310<", "2 2002 2 4 6 a0230", "2 10000 10 4 6 31d0"),
        *("3 2001 2 4 6 4310<", "3 10000 10 4 6 31d0"),
    ]
    assert files[f"{place}/instances/labels.txt"] == b"other\ndog\n"
    assert files["seqmaps/MOTS-train.txt"] == b"name\ntiny\n"
    assert files[f"{place}/seqinfo.ini"].decode().splitlines() == [
        *("[Sequence]", "name=tiny", "imDir=img1", "frameRate=24", "seqLength=3"),
        *("imWidth=6", "imHeight=4", "imExt=.jpg"),
    ]
    with Image.open(tmp_path / "out" / place / "instances/000001.png") as picture:
        assert picture.mode == "I;16"
        labels = tiny(unknown=True).kept[0]
        table = np.array([0, 2001, 2002, *[0] * 252, 10000], np.uint16)
        assert np.array_equal(np.array(picture), table[labels])


@pytest.mark.parametrize("make", SAMPLES, ids=sample_id)
def test_text_and_pictures_come_back_exactly(make: Callable[[], Sample], tmp_path: Path) -> None:
    sample = make()
    folder = export(Mots(), {"val": [sample]}, tmp_path / "out", pictures=True) / "MOTS-val" / sample.sequence.name
    read: defaultdict[int, np.ndarray] = defaultdict(lambda: np.zeros(sample.kept[0].shape, np.uint16))
    lines = [line.split(" ") for line in (folder / "gt/gt.txt").read_text().splitlines()]
    for number, value, category, height, width, counts in lines:
        mask = coco.decode({"size": [int(height), int(width)], "counts": counts}).astype(bool)
        assert not read[int(number)][mask].any(), "masks of a frame overlap"
        assert int(value) // 1000 == int(category)
        read[int(number)][mask] = int(value)
    names = [f"{number:06d}" for number in range(1, len(sample.kept) + 1)]
    assert sorted(path.stem for path in (folder / "instances").glob("*.png")) == names
    assert sorted(path.name for path in (folder / "img1").iterdir()) == [f"{name}.jpg" for name in names]
    for number, labels in enumerate(sample.kept, 1):
        with Image.open(folder / f"instances/{number:06d}.png") as picture:
            values = np.array(picture)
        assert np.array_equal(values, read[number])
        assert np.array_equal(values % 1000, labels)
    found = [(int(line[0]), int(line[1])) for line in lines]
    assert found == sorted(found)
    assert sorted((number, value % 1000) for number, value in found) == sorted(
        (number, int(i)) for number, labels in enumerate(sample.kept, 1) for i in np.unique(labels) if i
    )


def test_frames_are_counted_without_those_dropped(tmp_path: Path) -> None:
    folder = export(Mots(), {"train": [dropped()]}, tmp_path / "out") / "MOTS-train/dropped"
    about = configparser.ConfigParser()
    about.read(folder / "seqinfo.ini", encoding="utf-8")
    assert about["Sequence"]["seqLength"] == "5"
    assert {line.split(" ")[0] for line in (folder / "gt/gt.txt").read_text().splitlines()} == {"1", "2", "4", "5"}


def test_lines_of_a_frame_are_sorted_by_their_numbers(tmp_path: Path) -> None:
    """By class, then object: what a tool that reads them in one go expects."""
    mixed = sample("mixed", [np.array([[2, 3, UNKNOWN, 0]], np.uint8)])
    files = tree(export(Mots(), {"train": [mixed]}, tmp_path / "out"))
    lines = files["MOTS-train/mixed/gt/gt.txt"].decode().splitlines()
    assert [line.split(" ")[1] for line in lines] == ["1003", "2002", "10000"]


def test_no_class_is_10_and_the_one_that_is_judged_is_2(tmp_path: Path) -> None:
    classes = [ExportedClass(3 * i, f"class {i}") for i in range(1, 13)]
    labels = np.array([[1, 2, UNKNOWN]], np.uint8)
    terms = Terms(mots_class="class 12")
    folder = export(Mots(), {"train": [sample("a", [labels], classes=classes)]}, tmp_path / "out", terms)
    names = (folder / "MOTS-train/a/instances/labels.txt").read_text().splitlines()
    assert names[:3] == ["class 1", "class 12", "class 2"]
    assert names[8:] == ["class 8", "ignored", "class 9", "class 10", "class 11"]
    values = [line.split(" ")[1] for line in (folder / "MOTS-train/a/gt/gt.txt").read_text().splitlines()]
    assert values == ["1001", "2002", "10000"]


def test_a_class_that_is_none_of_the_exports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found the class 'dgo' for --mots-class.*did you mean 'dog'\?"):
        export(Mots(), {"train": [tiny()]}, tmp_path / "a", Terms(mots_class="dgo"))
    classes = [ExportedClass(i, f"{i}") for i in range(1, 66)]
    with pytest.raises(InputError, match="found 65 classes, expected 64 at most"):
        export(Mots(), {"train": [sample("a", [np.ones((2, 2), np.uint8)], classes=classes)]}, tmp_path / "b")
    biggest = sample("a", [np.full((2, 2), 254, np.uint8)], classes=classes[:64])
    folder = export(Mots(), {"train": [biggest]}, tmp_path / "c")
    assert (folder / "MOTS-train/a/gt/gt.txt").read_text().startswith("1 65254 65 ")


def test_bytes_repeat(tmp_path: Path) -> None:
    first, second = (tree(export(Mots(), {"train": [two_objects()]}, tmp_path / name)) for name in "ab")
    assert first == second
