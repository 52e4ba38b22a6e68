"""YouTube-VIS, read back with pycocotools."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycocotools.mask as coco
import pytest

from stages.exchange.outgoing.terms import Terms
from stages.exchange.writers.youtube_vis import YoutubeVis
from tests.exchange.adversarial import (
    QUOTES,
    SAMPLES,
    SCRIPTS,
    Sample,
    come_and_go,
    dropped,
    sample_id,
    tiny,
    two_objects,
)
from tests.exchange.driver import export, tree

RESULTS = Terms(results=True)


def _written(folder: Path, splits: dict[str, list[Sample]], terms: Terms = RESULTS) -> dict:
    files = tree(export(YoutubeVis(), splits, folder, terms))
    return {path.removesuffix(".json"): json.loads(content) for path, content in files.items()}


def test_the_worked_example(tmp_path: Path) -> None:
    written = _written(tmp_path / "out", {"train": [tiny()]})
    one, two = ({"size": [4, 6], "counts": counts} for counts in ([4, 3, 1, 3, 13], [17, 2, 3, 2]))
    about = {"video_id": 1, "category_id": 1, "iscrowd": 0, "width": 6, "height": 4, "length": 3}
    assert written["train"] == {
        "info": {},
        "licenses": [],
        "videos": [
            {"id": 1, "width": 6, "height": 4, "length": 3, "file_names": [f"tiny/{i:05d}.jpg" for i in range(3)]}
        ],
        "annotations": [
            {"id": 1, **about, "segmentations": [one] * 3, "bboxes": [[1, 0, 2, 3]] * 3, "areas": [6] * 3},
            {
                **{"id": 2, **about, "segmentations": [two, two, None]},
                **{"bboxes": [[4, 1, 2, 3]] * 2 + [None], "areas": [4, 4, None]},
            },
        ],
        "categories": [{"id": 1, "name": "dog", "supercategory": ""}],
    }
    one, two = ({"size": [4, 6], "counts": counts} for counts in ("4310<", "a0230"))
    about = {"video_id": 1, "category_id": 1, "score": 0.5}
    assert written["train_results"] == [
        {**about, "segmentations": [one] * 3},
        {**about, "segmentations": [two, two, None]},
    ]


@pytest.mark.parametrize("make", SAMPLES, ids=sample_id)
def test_masks_come_back_exactly(make: Callable[[], Sample], tmp_path: Path) -> None:
    """Of the ground truth and of the results; absent is null in all lists."""
    sample = make()
    written = _written(tmp_path / "out", {"val": [sample]})
    video = written["val"]["videos"][0]
    assert len(video["file_names"]) == video["length"] == len(sample.kept)
    seen = [o for o in sample.sequence.objects if any((labels == o.id).any() for labels in sample.kept)]
    tracks = written["val"]["annotations"]
    assert [track["category_id"] for track in tracks] == [each.category.id for each in seen]
    assert len(written["val_results"]) == len(tracks)
    for each, track, result in zip(seen, tracks, written["val_results"], strict=True):
        lists = (*(track[key] for key in ("segmentations", "bboxes", "areas")), result["segmentations"])
        for labels, counts, box, area, compressed in zip(sample.kept, *lists, strict=True):
            mask = labels == each.id
            if not mask.any():
                assert (counts, box, area, compressed) == (None, None, None, None)
                continue
            runs = coco.frPyObjects(counts, *mask.shape)
            assert np.array_equal(coco.decode(runs), mask)
            assert np.array_equal(coco.decode(compressed), mask)
            assert box == coco.toBbox(runs).tolist()
            assert area == mask.sum()


def test_dropped_frames_are_in_no_list(tmp_path: Path) -> None:
    written = _written(tmp_path / "out", {"train": [dropped()]}, Terms())
    assert list(written) == ["train"]
    assert written["train"]["videos"][0]["file_names"] == [f"dropped/{i:05d}.jpg" for i in (1, 2, 4, 5, 6)]


def test_ids_are_unique_over_sequences_and_begin_anew_in_each_split(tmp_path: Path) -> None:
    samples = [come_and_go(), tiny(), two_objects()]
    written = _written(tmp_path / "out", {"train": samples, "val": [tiny()]})
    assert [video["id"] for video in written["train"]["videos"]] == [1, 2, 3]
    tracks = written["train"]["annotations"]
    assert [track["id"] for track in tracks] == [*range(1, 8)]
    assert [track["video_id"] for track in tracks] == [1, 1, 1, 2, 2, 3, 3]
    assert [video["id"] for video in written["val"]["videos"]] == [1]


def test_names_of_every_script_come_back(tmp_path: Path) -> None:
    written = _written(tmp_path / "out", {"train": [two_objects()]})
    assert written["train"]["categories"][1]["name"] == f"ball: {QUOTES} #1"
    assert written["train"]["videos"][0]["file_names"][0] == f"mein Hund {SCRIPTS}/00000.jpg"


def test_bytes_repeat_and_a_record_is_a_line(tmp_path: Path) -> None:
    first, second = (tree(export(YoutubeVis(), {"train": [two_objects()]}, tmp_path / name, RESULTS)) for name in "ab")
    assert first == second
    assert [len(text.splitlines()) for text in first.values()] in ([9, 4], [4, 9])


def test_pictures_lie_where_the_names_say(tmp_path: Path) -> None:
    files = tree(export(YoutubeVis(), {"train": [dropped()]}, tmp_path / "out", pictures=True))
    names = json.loads(files["train.json"])["videos"][0]["file_names"]
    assert sorted(f"train/JPEGImages/{name}" for name in names) == sorted(set(files) - {"train.json"})
