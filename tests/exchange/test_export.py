"""Sequences out: what is kept, what is written down of it, and the pictures."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from stages.core.errors import InputError
from stages.exchange.outgoing.export import verdicts_of
from stages.exchange.outgoing.sheet import write_sheet
from stages.exchange.outgoing.terms import Terms
from stages.exchange.writers.coco import Coco
from stages.exchange.writers.png import Png
from stages.exchange.writers.yolo import Yolo
from stages.formats.masks import read_mask
from stages.formats.objects_json import NamedObject
from stages.formats.review_json import Approval
from tests.exchange.disk import BALL, DOG, export, material, squares


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "frames.csv").open() as file:
        return [*csv.DictReader(file)]


def test_every_frame_is_listed_and_says_where_it_went(tmp_path: Path) -> None:
    folder, counts = export(tmp_path, Coco(), [material(tmp_path, lost=[2])], Terms(max_doubt=0.2))
    rows = _rows(folder)
    assert [row["kept"] for row in rows] == ["1", "1", "0", "1"]
    assert rows[1]["exported_as"] == "images/dog/00001.jpg"
    assert (rows[2]["exported_as"], rows[2]["why"][:15]) == ("", "object 1: doubt")
    assert float(rows[2]["doubt"]) > 0.2
    assert (counts.kept, dict(counts.dropped)) == (3, {"doubt": 1})
    assert sorted(path.name for path in (folder / "images" / "dog").iterdir()) == [
        "00000.jpg",
        "00001.jpg",
        "00003.jpg",
    ]


def test_only_what_is_approved_is_exported_and_the_list_says_by_whom(tmp_path: Path) -> None:
    approved = {index: Approval("0" * 64, "anna", "2030-01-31T12:00:00Z") for index in (1, 2)}
    dog = replace(material(tmp_path, lost=[2]), approved=approved)
    folder, counts = export(tmp_path, Coco(), [dog], Terms(only_reviewed=True))
    rows = _rows(folder)
    assert [row["kept"] for row in rows] == ["0", "1", "1", "0"] and rows[0]["why"] == "not approved"
    assert [row["approved_by"] for row in rows] == ["", "anna", "anna", ""]
    assert rows[1]["approved_at"] == "2030-01-31T12:00:00Z" and dict(counts.dropped) == {"not approved": 2}
    _, counts = export(tmp_path / "both", Coco(), [dog], Terms(only_reviewed=True, max_doubt=0.2))
    assert counts.kept == 1, "other rules leave out what they leave out"


def test_an_export_of_nothing_is_an_error(tmp_path: Path) -> None:
    dog = material(tmp_path)
    with pytest.raises(InputError, match="found no frame to keep among 4 of 1 sequences"):
        export(tmp_path, Png(), [dog], Terms(unknown_band=1, unknown="none"))


def test_an_object_has_no_pixel_where_a_person_says_that_it_is_not(tmp_path: Path) -> None:
    gone = NamedObject(2, "ball 2", "ball", "#008000", first=0, last=0)
    folder, counts = export(tmp_path, Png(), [material(tmp_path, objects=(DOG, gone))])
    maps = squares()
    written = [read_mask(folder / f"train/masks/dog/{index:05d}.png") for index in range(4)]
    assert np.array_equal(written[0], maps[0])
    assert all(np.array_equal(written[index], np.where(maps[index] == 2, 0, maps[index])) for index in (1, 2, 3))
    assert counts.cut_px == sum(np.count_nonzero(maps[index] == 2) for index in (1, 2, 3))
    assert json.loads((folder / "export.json").read_text())["counts"]["cut_px"] == counts.cut_px


def test_an_export_states_the_terms_in_force_and_what_to_know_of_it(tmp_path: Path) -> None:
    gone = NamedObject(2, "ball 2", "ball", "#008000", first=0, last=0)
    folder, counts = export(tmp_path, Yolo(), [material(tmp_path, objects=(DOG, gone))])
    said = json.loads((folder / "export.json").read_text())
    assert said["terms"] == {
        "size": "frames", "pictures": "copy", "only_reviewed": False, "max_doubt": None, "unknown_objects": None,
        "unknown_band": 0, "unknown_soft": None, "band": 3, "unknown": "", "tolerance": 0.0,
    }  # fmt: skip
    val, cut = said["notes"]
    assert val.startswith("no split is called val: data.yaml names the pictures of train for it")
    px = counts.cut_px
    assert cut == f"cut: {px} pixels of objects on frames on which they cannot be, by objects.json (dog: {px})"
    assert all(f"  {note}\n" in (folder / "README.txt").read_text() for note in (val, cut))
    folder, _ = export(tmp_path / "coco", Coco(), [material(tmp_path / "coco")], Terms(segmentation="polygon"))
    said = json.loads((folder / "export.json").read_text())
    assert (said["terms"]["segmentation"], said["terms"]["unknown"], said["notes"]) == ("polygon", "crowd", [])


def test_unknown_pixels_reach_a_format_that_can_say_them(tmp_path: Path) -> None:
    folder, counts = export(tmp_path, Png(), [material(tmp_path)], Terms(unknown_band=1))
    first = read_mask(folder / "train/masks/dog/00000.png")
    assert np.count_nonzero(first == 255) > 0
    assert set(np.unique(first[squares()[0] == 0])) == {0, 255}
    assert counts.unknown_px > np.count_nonzero(first == 255)


def test_splits_are_folders_or_files_of_their_own(tmp_path: Path) -> None:
    one, two = material(tmp_path, "b"), material(tmp_path, "a")
    folder, _ = export(tmp_path, Coco(), [one, two], splits={"a": "val"})
    names = {
        split: [each["file_name"] for each in COCO(folder / f"annotations/instances_{split}.json").dataset["images"]]
        for split in ("train", "val")
    }
    assert names["train"] == [f"b/{index:05d}.jpg" for index in range(4)]
    assert names["val"] == [f"a/{index:05d}.jpg" for index in range(4)]
    assert json.loads((folder / "export.json").read_text())["splits"] == {"train": ["b"], "val": ["a"]}


def test_links_lead_to_the_pictures_and_copies_are_files(tmp_path: Path) -> None:
    dog = material(tmp_path)
    linked, _ = export(tmp_path / "one", Coco(), [dog])
    copied, _ = export(tmp_path / "two", Coco(), [dog], Terms(pictures="copy"))
    link, copy = (folder / "images/dog/00002.jpg" for folder in (linked, copied))
    assert link.is_symlink() and not link.readlink().is_absolute()
    assert not copy.is_symlink()
    assert link.read_bytes() == copy.read_bytes() == (dog.pictures / "00002.jpg").read_bytes()


def test_a_turned_picture_is_written_upright(tmp_path: Path) -> None:
    dog = material(tmp_path)
    source = dog.pictures / "00001.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.tile(np.arange(20, dtype=np.uint8), (30, 1))).convert("RGB").save(source, exif=exif)
    folder, _ = export(tmp_path, Coco(), [dog])
    written = folder / "images/dog/00001.jpg"
    assert not written.is_symlink()
    with Image.open(written) as picture:
        assert picture.size == (30, 20)
        assert picture.getexif().get(0x0112, 1) == 1


def test_pictures_are_converted_where_that_is_asked_for(tmp_path: Path) -> None:
    folder, _ = export(tmp_path, Coco(), [material(tmp_path, suffix=".png")], Terms(pictures="convert"))
    with Image.open(folder / "images/dog/00003.jpg") as picture:
        assert picture.format == "JPEG"
    assert _rows(folder)[3]["exported_as"] == "images/dog/00003.jpg"
    assert COCO(folder / "annotations/instances_train.json").dataset["images"][3]["file_name"] == "dog/00003.jpg"


def test_a_sheet_shows_sequences_of_any_size(tmp_path: Path) -> None:
    tall = [np.pad(labels, ((0, 400), (0, 0))) for labels in squares()]
    materials = [material(tmp_path, "tall", tall), material(tmp_path, "small", lost=[2])]
    terms = Terms(max_doubt=0.2, unknown_band=2)
    export(tmp_path, Png(), materials, terms)
    write_sheet(tmp_path, [(each, verdicts_of(tmp_path / "parts" / each.name)) for each in materials], terms)
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {colour for _, colour in sheet.getcolors(1 << 24)}
        assert (255, 0, 255) in colours  # pixels that are unknown
        assert sheet.size == (10 + 5 * 250, 10 + 2 * 222)


def test_a_sheet_shows_what_was_kept_and_what_was_not(tmp_path: Path) -> None:
    maps = [*squares()[:2], np.zeros((20, 30), np.uint8)]
    dog, terms = material(tmp_path, maps=maps), Terms(unknown_band=2, unknown="none")
    export(tmp_path, Png(), [dog], terms)
    write_sheet(tmp_path, [(dog, verdicts_of(tmp_path / "parts" / "dog"))], terms)
    with Image.open(tmp_path / "sheet.png") as sheet:
        shown = np.array(sheet)
    assert shown.shape[1] == 10 + 4 * 250, "all three frames"
    pictures = [shown[10:190, 10 + 250 * column : 250 * column + 250] for column in (1, 2, 3)]
    darkest = [picture[picture.min(axis=2) < 255].min() for picture in pictures]
    assert [value >= 150 for value in darkest] == [True, True, False], "frames with unknown pixels are pale"


def test_a_sheet_has_both_frames_of_two(tmp_path: Path) -> None:
    dog = material(tmp_path, maps=squares()[:2])
    export(tmp_path, Png(), [dog])
    write_sheet(tmp_path, [(dog, verdicts_of(tmp_path / "parts" / "dog"))], Terms())
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 10 + 3 * 250


def test_bytes_repeat_whatever_the_order(tmp_path: Path) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    one, two = material(tmp_path, "ä 2"), material(tmp_path, "b", objects=(BALL, DOG)[::-1])
    first, _ = export(tmp_path / "one", Coco(), [one, two])
    second, _ = export(tmp_path / "two", Coco(), [two, one])
    assert contents(first) == contents(second)
