"""COCO instances, read by pycocotools."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from stages.core.errors import InputError
from stages.exchange.outgoing import formats
from stages.exchange.outgoing.format import UNKNOWN
from stages.exchange.outgoing.part import PartReader
from stages.exchange.outgoing.terms import Terms
from stages.exchange.writers.coco import Coco
from tests.exchange.adversarial import SAMPLES, Sample, one_object, sample_id, tiny
from tests.exchange.driver import export

FORMS = {
    "rle": Terms(),
    "counts": Terms(segmentation="counts"),
    "polygon": Terms(segmentation="polygon"),
}


def _read(folder: Path, split: str = "train") -> COCO:
    return COCO(folder / f"annotations/instances_{split}.json")


def _label_maps(found: COCO, sample: Sample) -> list[np.ndarray]:
    """What pycocotools makes of each picture, as a label map."""
    width, height = sample.sequence.size_wh
    maps = []
    for picture in found.dataset["images"]:
        labels = np.zeros((height, width), np.uint8)
        for annotation in found.imgToAnns[picture["id"]]:
            mask = found.annToMask(annotation).astype(bool)
            assert annotation["area"] == np.count_nonzero(mask)
            rows, columns = np.nonzero(mask)
            least = [int(columns.min()), int(rows.min())]
            assert annotation["bbox"] == [*least, *(np.array([columns.max(), rows.max()]) - least + 1).tolist()]
            assert not labels[mask].any()
            labels[mask] = annotation["instance_id"]
        maps.append(labels)
    return maps


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", SAMPLES, ids=sample_id)
def test_every_mask_comes_back_exactly(tmp_path: Path, make: Callable[[], Sample], form: str) -> None:
    sample = make()
    folder = export(Coco(), {"train": [sample]}, tmp_path / "export", FORMS[form])
    found = _read(folder)
    assert len(found.dataset["images"]) == sample.sequence.kept_count
    for read, written in zip(_label_maps(found, sample), sample.kept, strict=True):
        assert np.array_equal(read, written)
    assert {each["iscrowd"] for each in found.dataset["annotations"]} <= {0}


def test_the_worked_example_to_the_letter(tmp_path: Path) -> None:
    folder = export(Coco(), {"train": [tiny()]}, tmp_path / "export")
    first, second = _read(folder).dataset["annotations"][:2]
    assert first["segmentation"] == {"size": [4, 6], "counts": "4310<"}
    assert (first["bbox"], first["area"], first["category_id"]) == ([1, 0, 2, 3], 6, 1)
    assert (second["segmentation"]["counts"], second["bbox"], second["area"]) == ("a0230", [4, 1, 2, 3], 4)
    assert [each["id"] for each in (first, second)] == [1, 2]
    lines = (folder / "annotations/instances_train.json").read_text().splitlines()
    assert json.loads(lines[1]) == {"id": 1, "name": "tiny"}
    assert set(first) >= {"instance_id", "track_id", "score", "source"}


def test_numbers_count_through_the_sequences_of_a_split(tmp_path: Path) -> None:
    one, two = one_object(), tiny()
    found = _read(export(Coco(), {"train": [two, one], "val": [one_object()]}, tmp_path / "export"))
    pictures = found.dataset["images"]
    assert [each["id"] for each in pictures] == [*range(1, len(pictures) + 1)]
    numbers = [each["id"] for each in found.dataset["annotations"]]
    assert numbers == [*range(1, len(numbers) + 1)]
    names = {each["id"]: each["name"] for each in found.dataset["videos"]}
    for each in pictures:
        assert each["file_name"].startswith(f"{names[each['video_id']]}/")
        assert each["frame_id"] == int(each["file_name"][-9:-4])


def test_what_nobody_knows_is_a_crowd_for_evaluation(tmp_path: Path) -> None:
    found = _read(export(Coco(), {"train": [tiny(unknown=True)]}, tmp_path / "export", Terms(unknown="crowd")))
    crowds = [each for each in found.dataset["annotations"] if each["iscrowd"]]
    assert [each["segmentation"]["counts"] for each in crowds] == [[3, 1, 20]] * len(crowds)
    assert np.array_equal(found.annToMask(crowds[0]), tiny(unknown=True).kept[0] == UNKNOWN)
    with pytest.raises(InputError, match="--unknown crowd"):
        formats.check(Coco(), Terms(unknown_band=2))


def test_the_file_against_itself_is_perfect(tmp_path: Path) -> None:
    found = _read(export(Coco(), {"train": [one_object()]}, tmp_path / "export"))
    results = found.loadRes([{**each, "score": each["score"]} for each in found.dataset["annotations"]])
    judge = COCOeval(found, results, "segm")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    assert judge.stats[0] == 1.0


def test_simplified_polygons_say_how_well_they_come_back(tmp_path: Path) -> None:
    export(Coco(), {"train": [one_object()]}, tmp_path / "export", Terms(segmentation="polygon", tolerance=0.5))
    parts = [PartReader(each) for each in (tmp_path / "export.parts/train").iterdir()]
    assert parts[0].measured.count > 0
    assert 0.98 < parts[0].measured.worst <= 1
    with pytest.raises(InputError, match="--segmentation polygon"):
        formats.check(Coco(), Terms(tolerance=0.5))
