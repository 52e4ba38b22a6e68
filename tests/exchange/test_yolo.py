"""YOLO segmentation, read back as its trainer does: multiplied, cut off, filled with OpenCV."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.core.errors import InputError
from stages.exchange.encodings.border_rings import border_ring
from stages.exchange.outgoing.part import PartReader, PartWriter
from stages.exchange.outgoing.terms import Terms
from stages.exchange.writers.yolo import Yolo, filled
from tests.exchange.adversarial import QUOTES, SAMPLES, Sample, islands, sample, sample_id, tiny, two_objects
from tests.exchange.driver import Shared, export, tree


def _rows(path: Path) -> list[tuple[int, np.ndarray]]:
    rows = [line.split(" ") for line in path.read_text().splitlines()]
    return [(int(row[0]), np.array(row[1:], float).reshape(-1, 2)) for row in rows]


def _label_files(folder: Path, split: str = "train") -> list[Path]:
    return sorted((folder / "labels" / split).iterdir())


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def _parts_and_holes(mask: np.ndarray) -> int:
    return len(cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0])


def test_the_worked_example(tmp_path: Path) -> None:
    files = tree(export(Yolo(), {"train": [tiny()]}, tmp_path / "out"))
    assert files["labels/train/tiny_00000.txt"].decode() == (
        "0 0.233333 0.100000 0.233333 0.600000 0.400000 0.600000 0.400000 0.100000\n"
        "0 0.733333 0.350000 0.733333 0.600000 0.900000 0.850000 0.900000 0.600000\n"
    )
    assert files["data.yaml"].decode().splitlines()[1:] == [
        'train: "images/train"',
        'val: "images/train"',
        "names:",
        '  0: "dog"',
    ]
    assert sorted(files) == ["data.yaml", *(f"labels/train/tiny_{i:05d}.txt" for i in range(3))]


@pytest.mark.parametrize("make", SAMPLES, ids=sample_id)
def test_masks_come_back(make: Callable[[], Sample], tmp_path: Path) -> None:
    """Exactly where there is one part and no hole, else but for bridges."""
    sample = make()
    folder = export(Yolo(), {"train": [sample]}, tmp_path / "out")
    assert len(_label_files(folder)) == len(sample.kept)
    for path, labels in zip(_label_files(folder), sample.kept, strict=True):
        rows = _rows(path)
        present = [each for each in sample.sequence.objects if (labels == each.id).any()]
        assert len(rows) == len(present)
        for each, (category, ring) in zip(present, rows, strict=True):
            mask = labels == each.id
            assert sample.sequence.classes[category] == each.category
            assert len(ring) >= 3
            assert ring.min() >= 0 and ring.max() < 1
            found = filled(ring, sample.sequence.size_wh)
            rounded = np.zeros_like(found, np.uint8)
            cv2.fillPoly(rounded, [np.rint(ring * sample.sequence.size_wh).astype(np.int32)], 1)
            assert np.array_equal(found, rounded.astype(bool)), "cut off and rounded differ"
            assert found[mask].all()
            if _parts_and_holes(mask) == 1:
                assert np.array_equal(found, mask)


def test_holes_and_parts_of_a_usual_size_cost_little() -> None:
    """Holes, a part within a hole, and parts near each other: IoU of 0.99 at least."""
    for labels in islands().kept:
        for mask in (labels == 1, labels == 2):
            assert _parts_and_holes(mask) >= 3
            assert _iou(filled((border_ring(mask) + 0.4) / (320, 240), (320, 240)), mask) >= 0.99


def test_bridges_within_the_object_cost_nothing() -> None:
    """Holes, and holes in holes' parts that touch nothing else."""
    mask = np.ones((60, 80), bool)
    mask[10:20, 10:20] = mask[30:50, 40:70] = mask[5, 75] = False
    assert np.array_equal(filled((border_ring(mask) + 0.4) / (80, 60), (80, 60)), mask)


def test_simplifying_leaves_fewer_points() -> None:
    mask = islands().kept[0] == 1
    exact, coarse = border_ring(mask), border_ring(mask, 1.0)
    assert len(coarse) < len(exact) / 2
    assert _iou(filled((coarse + 0.4) / (320, 240), (320, 240)), mask) > 0.95


def test_no_row_is_another_ones_duplicate(tmp_path: Path) -> None:
    """The trainer drops one of two rows with one class and one box, such as those of crossing objects."""
    labels = np.zeros((20, 30), np.uint8)
    labels[:] = 1
    labels[0, 3:9] = labels[-1, 3:9] = labels[4:9, 0] = labels[4:9, -1] = 3
    labels[0, 12:14] = labels[-1, 12:14] = labels[12:14, 0] = labels[12:14, -1] = 5
    folder = export(Yolo(), {"train": [sample("a", [labels])]}, tmp_path / "out")
    rows = _rows(_label_files(folder)[0])
    boxes = np.array([np.concatenate([ring.min(axis=0), ring.max(axis=0)]) for _, ring in rows], np.float32)
    assert [category for category, _ in rows] == [0, 0, 0]
    assert len(np.unique(boxes, axis=0)) == 3
    assert all(filled(ring, (30, 20))[labels == i].all() for i, (_, ring) in zip((1, 3, 5), rows, strict=True))


def test_frames_without_objects_have_empty_files_and_dropped_ones_none(tmp_path: Path) -> None:
    maps = [np.zeros((12, 12), np.uint8), None, np.ones((12, 12), np.uint8)]
    files = tree(export(Yolo(), {"train": [sample("a", maps)]}, tmp_path / "out", pictures=True))
    assert files["labels/train/a_00000.txt"] == b""
    assert sorted(files)[1:] == [
        *("images/train/a_00000.jpg", "images/train/a_00002.jpg"),
        *("labels/train/a_00000.txt", "labels/train/a_00002.txt"),
    ]


def test_names_are_quoted_and_splits_named(tmp_path: Path) -> None:
    splits = {"train": [two_objects()], "val": [tiny()], "test": [tiny()]}
    lines = tree(export(Yolo(), splits, tmp_path / "out"))["data.yaml"].decode().splitlines()
    assert lines[:4] == ['train: "images/train"', 'val: "images/val"', 'test: "images/test"', "names:"]
    assert lines[5] == f'  1: "ball: {QUOTES} #1"'.replace('&"', '&\\"')
    assert not re.search("path|download", "\n".join(lines))


def test_two_sequences_whose_files_would_have_one_name_are_refused(tmp_path: Path) -> None:
    labels = np.ones((12, 12), np.uint8)
    first, second = sample("a", [labels]), sample("a_b", [labels])
    export(Yolo(), {"train": [first, second]}, tmp_path / "apart")
    frame = replace(next(first.frames()), name="b_00000.jpg")
    parts = []
    for each, frames in ((first, [frame]), (second, second.frames())):
        folder = tmp_path / each.sequence.name
        folder.mkdir()
        with PartWriter(folder) as part:
            Yolo().encode(each.sequence, iter(frames), part, Terms())
        parts.append(PartReader(folder))
    with pytest.raises(InputError, match="the picture 'a_b_00000' in the sequences 'a' and 'a_b'"):
        Yolo().join({"train": parts}, Shared(tmp_path), Terms())


def test_bytes_repeat(tmp_path: Path) -> None:
    first, second = (tree(export(Yolo(), {"train": [two_objects()]}, tmp_path / name)) for name in "ab")
    assert first == second


def test_terms_are_heeded(tmp_path: Path) -> None:
    exact, coarse = (
        tree(export(Yolo(), {"train": [two_objects()]}, tmp_path / str(t), Terms(tolerance=t))) for t in (0.0, 3.0)
    )
    assert sum(map(len, coarse.values())) < sum(map(len, exact.values()))
