"""COCO's run lengths: the examples worked out by hand, and pycocotools on everything else."""

from collections.abc import Callable

import numpy as np
import pycocotools.mask as coco
import pytest

from stages.exchange.encodings.run_lengths import compress, run_lengths
from stages.exchange.outgoing.format import UNKNOWN
from tests.exchange.adversarial import SAMPLES, Sample, sample_id, tiny


def test_the_worked_example() -> None:
    runs = run_lengths(tiny(unknown=True).kept[0])
    assert {i: each.counts.tolist() for i, each in runs.items()} == {
        1: [4, 3, 1, 3, 13],
        2: [17, 2, 3, 2],
        UNKNOWN: [3, 1, 20],
    }
    assert [each.compressed["counts"] for each in runs.values()] == ["4310<", "a0230", "31d0"]
    assert [each.box for each in runs.values()] == [(1, 0, 2, 3), (4, 1, 2, 3), (0, 3, 1, 1)]
    assert [each.area for each in runs.values()] == [6, 4, 1]


def test_a_full_mask_and_an_empty_one() -> None:
    assert run_lengths(np.ones((4, 6), np.uint8))[1].compressed["counts"] == "0h0"
    assert run_lengths(np.zeros((4, 6), np.uint8)) == {}
    assert compress((4, 6), np.array([24])) == "h0"


@pytest.mark.parametrize("make", SAMPLES, ids=sample_id)
def test_pycocotools_reads_every_mask_as_it_is(make: Callable[[], Sample]) -> None:
    for labels in make().kept:
        runs = run_lengths(labels)
        assert set(runs) == set(np.unique(labels).tolist()) - {0}
        for object_id, each in runs.items():
            mask = labels == object_id
            assert np.array_equal(coco.decode(each.compressed), mask)
            assert np.array_equal(coco.decode(coco.frPyObjects(each.listed, *mask.shape)), mask)
            rows, columns = np.nonzero(mask)
            x, y, width, height = each.box
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width - 1, y + height - 1) == (columns.max(), rows.max())
            assert each.area == mask.sum()
