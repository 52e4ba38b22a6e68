"""The folder of an anchor's masks: soft masks come back, the label map and the clicks are there to look at."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from stages.core.errors import StageError
from stages.core.strokes import Clicks
from stages.formats.anchor_masks import AnchorMasks, mask_file
from stages.formats.masks import read_mask

PROBABILITY = np.random.default_rng(0).integers(0, 256, (2, 9, 14)).astype(np.float32) / 255


def test_soft_masks_come_back(tmp_path: Path) -> None:
    AnchorMasks((3, 8), PROBABILITY).write(tmp_path)
    back = AnchorMasks.read(tmp_path)
    assert back.object_ids == (3, 8)
    assert back.probability.dtype == np.float32
    np.testing.assert_allclose(back.probability, PROBABILITY, atol=1e-6)
    first, second = PROBABILITY
    labels = np.where(second > first, 8, 3) * (np.maximum(first, second) > 0.5)
    np.testing.assert_array_equal(read_mask(mask_file(tmp_path)), labels)


def test_a_frame_without_objects_has_a_folder_too(tmp_path: Path) -> None:
    AnchorMasks((), np.zeros((0, 9, 14), np.float32)).write(tmp_path)
    back = AnchorMasks.read(tmp_path)
    assert (back.object_ids, back.probability.shape) == ((), (0, 9, 14))
    assert read_mask(mask_file(tmp_path)).shape == (9, 14)


def test_which_objects_are_given_comes_back_and_others_leave_the_form_as_it_was(tmp_path: Path) -> None:
    AnchorMasks((3, 8), PROBABILITY).write(tmp_path)
    with h5py.File(tmp_path / "probabilities.h5") as file:
        assert "schema" not in file.attrs and sorted(file) == ["object_ids", "probability"]
    labels = np.kron(np.array([[0, 8], [3, 8]], np.uint8), np.ones((4, 5), np.uint8))
    AnchorMasks.of_given(labels).write(tmp_path)
    back = AnchorMasks.read(tmp_path)
    assert (back.object_ids, back.given) == ((3, 8), (3, 8))
    np.testing.assert_array_equal(back.probability, [labels == 3, labels == 8])
    np.testing.assert_array_equal(back.given_labels, labels)
    np.testing.assert_array_equal(read_mask(mask_file(tmp_path)), labels)
    with h5py.File(tmp_path / "probabilities.h5", "r+") as file:
        file["given"][0] = 4
    with pytest.raises(StageError, match="given masks of the objects"):
        AnchorMasks.read(tmp_path)


def test_clicks_are_written_as_an_engine_used_them(tmp_path: Path) -> None:
    AnchorMasks((3, 8), PROBABILITY).write(tmp_path)
    assert json.loads((tmp_path / "clicks.json").read_text()) == {"used": "strokes"}
    points = Clicks(np.array([[1.234, 2.0]], np.float32), np.zeros((0, 2), np.float32))
    AnchorMasks((3, 8), PROBABILITY).write(tmp_path, {3: points})
    written = json.loads((tmp_path / "clicks.json").read_text())
    assert written["used"] == "clicks"
    assert written["objects"]["3"]["negative_yx"] == []
    np.testing.assert_allclose(written["objects"]["3"]["positive_yx"], [[1.23, 2.0]], atol=1e-6)


def test_a_newer_form_is_refused(tmp_path: Path) -> None:
    AnchorMasks((3, 8), PROBABILITY).write(tmp_path)
    with h5py.File(tmp_path / "probabilities.h5", "r+") as file:
        file.attrs["schema"] = 3
    with pytest.raises(StageError, match=r"probabilities\.h5: found version 3 .* newer version of LIS"):
        AnchorMasks.read(tmp_path)
