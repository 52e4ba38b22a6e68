"""HDF5 from anywhere: what LIS never writes is refused before it takes memory or leads elsewhere."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from stages.core.errors import StageError
from stages.formats.anchor_masks import PROBABILITIES, AnchorMasks
from stages.formats.hdf5 import read_hdf5
from stages.formats.tracks import TRACKS, read_tracks


def external_link(file: h5py.File) -> None:
    file["probability"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file: h5py.File) -> None:
    file["probability"] = h5py.SoftLink("/object_ids")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("probability", (1, 2, 2), np.uint8, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((1, 2, 2), np.uint8)
    layout[:] = h5py.VirtualSource("other.h5", "probability", (1, 2, 2))
    file.create_virtual_dataset("probability", layout)


def huge(file: h5py.File) -> None:
    file.create_dataset("probability", (1, 200_000, 200_000), np.uint8, chunks=(1, 1024, 1024), compression="gzip")


def bomb(file: h5py.File) -> None:
    file.create_dataset("probability", (1, 8192, 8192), np.uint8, chunks=(1, 64, 64), compression="gzip")


def huge_chunks(file: h5py.File) -> None:
    file.create_dataset("pad", data=np.random.default_rng(0).integers(0, 255, 1 << 19).astype(np.uint8))
    file.create_dataset("probability", (1, 20_000, 20_000), np.uint8, chunks=(1, 20_000, 20_000), compression="gzip")


def other_filter(file: h5py.File) -> None:
    file.create_dataset("probability", (1, 2, 2), np.uint8, chunks=(1, 2, 2), compression="lzf")


def other_type(file: h5py.File) -> None:
    file["probability"] = np.zeros((1, 2, 2), dtype=[("a", "u1")])


def of_floats(file: h5py.File) -> None:
    file["probability"] = np.zeros((1, 2, 2), np.float64)


def too_flat(file: h5py.File) -> None:
    file["probability"] = np.zeros((2, 2), np.uint8)


def named_type(file: h5py.File) -> None:
    file["probability"] = np.dtype("u1")


def a_loop(file: h5py.File) -> None:
    file["probability"] = np.zeros((1, 2, 2), np.uint8)
    file["again"] = file["/"]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (external_link, "link to another place"),
        (soft_link, "link to another place"),
        (external_storage, "lies in another file"),
        (virtual, "lies in another file"),
        (huge, "claims a shape"),
        (bomb, "claims a shape"),
        (huge_chunks, "claims chunks"),
        (other_filter, "packed in a way"),
        (other_type, "holds"),
        (of_floats, "float64"),
        (too_flat, "of shape"),
        (named_type, "neither a group nor a dataset"),
        (a_loop, "deep"),
    ],
)
def test_what_lis_never_writes_is_refused(tmp_path: Path, spoil: Callable[[h5py.File], None], told: str) -> None:
    with h5py.File(tmp_path / PROBABILITIES, "w") as file:
        file["object_ids"] = np.array([1], np.int32)
        spoil(file)
    with pytest.raises(StageError, match=told):
        AnchorMasks.read(tmp_path)


@pytest.mark.parametrize("ids", [[0], [255], [1, 1], [[1]], [1.5], list(range(1, 255)) * 2])
def test_object_ids_are_ids(tmp_path: Path, ids: list[object]) -> None:
    with h5py.File(tmp_path / PROBABILITIES, "w") as file:
        file["object_ids"] = np.array(ids)
        file["probability"] = np.zeros((len(ids), 2, 2), np.uint8)
    with pytest.raises(StageError, match="object ids"):
        AnchorMasks.read(tmp_path)


@pytest.mark.parametrize(
    ("size", "box", "offset", "told"),
    [
        ((4, 4), (0, 0, 5, 1), (0, 5), "a box"),
        ((4, 4), (-1, 0, 1, 1), (0, 2), "a box"),
        ((4, 4), (0, 0, 2, 2), (0, 5), "5 values for a box of 2x2"),
        ((2**31, 2**31), (0, 0, 2, 2), (0, 4), "pictures of"),
    ],
)
def test_boxes_lie_in_their_pictures(
    tmp_path: Path, size: tuple[int, int], box: tuple[int, ...], offset: tuple[int, int], told: str
) -> None:
    with h5py.File(tmp_path / TRACKS, "w") as file:
        file.attrs["schema"], file.attrs["size_wh"] = 2, size
        file["frames"], file["object_ids"] = np.array([3]), np.array([1])
        group = file.create_group("objects/1")
        group.attrs["source"] = "both"
        group["box_xyxy"], group["offset"] = np.array([box]), np.array(offset)
        group["values"] = np.ones(8, np.uint8)
        group["score"] = group["agreement"] = np.ones(1, np.float32)
        for name in ("gone", "detail"):
            group.create_dataset(name, data=[""], dtype=h5py.string_dtype())
    with pytest.raises(StageError, match=told):
        list(read_tracks(tmp_path))


def test_a_file_that_is_missing_or_no_hdf5_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"x" * 1000)
    for name in ("a.h5", "gone.h5"):
        with pytest.raises(StageError, match=f"{name}: found no file as LIS writes it"), read_hdf5(tmp_path / name):
            pass
