"""Files of tensors from anywhere: no code runs, and none claims more than it holds."""

import json
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stages.core.errors import WeightsError
from stages.formats.checkpoints import read_checkpoint


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_one_number_is_not_stretched_to_a_terabyte(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "net.pth"
    torch.save({"a": torch.zeros(1).expand(2**20, 2**20)}, path, _use_new_zipfile_serialization=zipped)
    assert path.stat().st_size < 10_000
    with pytest.raises(WeightsError, match="claims the shape"):
        read_checkpoint(path)


def test_packed_entries_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(4)}, tmp_path / "stored.pth")
    with (
        zipfile.ZipFile(tmp_path / "stored.pth") as stored,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    assert set(read_checkpoint(tmp_path / "stored.pth")) == {"a"}
    with pytest.raises(WeightsError, match="BadZipFile"):
        read_checkpoint(tmp_path / "packed.pth")


@pytest.mark.parametrize("length", [2**63, 2**40, 2**31, 5_000, 3])
def test_an_absurd_head_of_safetensors_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.zeros(4)}, path)
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with pytest.raises(WeightsError, match="cannot be read"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "head",
    [
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 2**62]}},
        {"a": {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 16]}},
    ],
)
def test_tensors_that_the_file_cannot_hold_are_refused(tmp_path: Path, head: dict[str, object]) -> None:
    text = json.dumps(head).encode()
    (tmp_path / "net.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    with pytest.raises(WeightsError, match="cannot be read"):
        read_checkpoint(tmp_path / "net.safetensors")
