"""Soft masks on disk."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from stages.core.soft import from_uint8, to_uint8
from stages.formats.hdf5 import write_hdf5
from stages.formats.soft_masks import SoftMaskWriter, read_soft_mask


def test_masks_come_back_rounded_to_one_in_255_and_empty_ones_stay_empty(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    masks = np.zeros((4, 30, 40), np.float32)
    masks[0, 3:9, 20:40] = rng.uniform(0, 1, (6, 20))
    masks[2] = rng.uniform(0, 1, (30, 40))
    masks[3, 29, 39] = 1
    with write_hdf5(tmp_path / "soft.h5") as file:
        writer = SoftMaskWriter(file.create_group("objects/1"))
        for mask in masks:
            writer.append(mask)
        writer.close()
    with h5py.File(tmp_path / "soft.h5") as file:
        group = file["objects/1"]
        for number, mask in enumerate(masks):
            np.testing.assert_allclose(read_soft_mask(group, number, 30, 40), mask, atol=0.5 / 255 + 1e-6)
        assert len(group["values"]) < masks.size / 2  # cropped: the empty ones take nothing


def test_nothing_is_written_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), write_hdf5(tmp_path / "soft.h5") as file:
        file.create_dataset("x", data=[1])
        raise RuntimeError
    assert not (tmp_path / "soft.h5").exists()


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        with write_hdf5(tmp_path / name) as file:
            writer = SoftMaskWriter(file)
            writer.append(np.full((5, 5), 0.5, np.float32))
            writer.close()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rounding_never_moves_a_pixel_across_one_half() -> None:
    values = np.array([0, 0.25, 0.499, 0.5, np.nextafter(np.float32(0.5), np.float32(1)), 0.501, 1], np.float32)
    assert ((from_uint8(to_uint8(values)) > 0.5) == (values > 0.5)).all()
    assert from_uint8(to_uint8(values))[[0, -1]].tolist() == [0, 1]
