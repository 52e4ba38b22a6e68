"""SA-V, read back as its loader does: a list of masks a frame, decoded by pycocotools."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycocotools.mask as coco
import pytest

from stages.exchange.writers.sa_v import SaV
from tests.exchange.adversarial import SAMPLES, Sample, dropped, sample_id, tiny, two_objects
from tests.exchange.driver import export, tree


def _written(folder: Path, sample: Sample) -> dict:
    folder = export(SaV(), {"train": [sample]}, folder)
    return json.loads((folder / f"train/gt/{sample.sequence.name}_manual.json").read_text(encoding="utf-8"))


def test_the_worked_example(tmp_path: Path) -> None:
    one, two, nothing = ({"size": [4, 6], "counts": counts} for counts in ("4310<", "a0230", "h0"))
    written = _written(tmp_path / "out", tiny())
    assert written == {
        **{"video_id": "tiny", "video_frame_count": 3, "video_height": 4, "video_width": 6},
        **{"masklet_id": [0, 1], "masklet_num": 2, "masklet": [[one, two], [one, two], [one, nothing]]},
    }


@pytest.mark.parametrize("make", SAMPLES, ids=sample_id)
def test_masks_come_back_exactly_by_their_place_in_the_video(make: Callable[[], Sample], tmp_path: Path) -> None:
    sample = make()
    rows = _written(tmp_path / "out", sample)["masklet"]
    for row, labels in zip(rows, sample.maps, strict=True):
        if labels is None:
            assert row == [None] * len(sample.sequence.objects)
            continue
        masks = coco.decode(row)
        for index, each in enumerate(sample.sequence.objects):
            assert np.array_equal(masks[..., index], labels == each.id)


def test_pictures_have_the_numbers_of_the_video(tmp_path: Path) -> None:
    files = tree(export(SaV(), {"val": [dropped()]}, tmp_path / "out", pictures=True))
    assert sorted(files) == [
        "val/gt/dropped_manual.json",
        *(f"val/img/dropped/{i:05d}.jpg" for i in (1, 2, 4, 5, 6)),
    ]


def test_bytes_repeat_and_a_frame_is_a_line(tmp_path: Path) -> None:
    first, second = (tree(export(SaV(), {"train": [two_objects()]}, tmp_path / name)) for name in "ab")
    assert first == second
    assert [len(text.splitlines()) for text in first.values()] == [7]
