"""Checkpoints: files of tensors by name, read without running code that may hide in them."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from stages.core.errors import WeightsError
from stages.core.words import and_more

if TYPE_CHECKING:
    from torch import Tensor, nn

_LISTED_KEYS = 20


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint without running code from it.

    Args:
        path: a `.safetensors` file, a `.pkl` of NumPy's arrays, or what `torch.save` wrote (of any age): a state dict,
            bare or as the entry "state_dict" or "model" of a training's dict.

    Returns:
        The state dict with the names as stored, on the CPU.

    Raises:
        WeightsError: the file is damaged or truncated, holds more than tensors, or no state dict.
    """
    try:
        content = _READERS.get(path.suffix, _read_pickled)(path)
    except Exception as error:  # a damaged file makes the readers raise whatever its bytes lead them to
        raise WeightsError(
            f"{path} cannot be read ({type(error).__name__}): it is damaged, incomplete, no checkpoint, or holds "
            "something other than tensors. Nothing in it was executed. Download it again from its source."
        ) from error
    for entry in ("state_dict", "model"):
        if isinstance(content, Mapping) and entry in content:
            content = content[entry]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds {_describe(content)}, no state dict; expected names with tensors.")
    size = path.stat().st_size
    for name, value in content.items():
        _check_tensor(path, name, value, size)
    return dict(content)


def normalise(state: Mapping[str, Tensor], ignored: Iterable[str] = ()) -> dict[str, Tensor]:
    """Bring the names of a stored state dict to those of the network.

    Takes away the prefix `module.` of a network that was saved inside `DataParallel`, the counters
    `num_batches_tracked` (older files have none, and eval mode does not read them), and the entries that match one of
    the patterns in `ignored`.
    """
    prefix = "module." if all(name.startswith("module.") for name in state) else ""
    bare = {name.removeprefix(prefix): value for name, value in state.items()}
    unused = ("*.num_batches_tracked", *ignored)
    return {name: value for name, value in bare.items() if not any(fnmatchcase(name, each) for each in unused)}


def misfits(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """How a normalised state dict differs from what a network expects: one sentence a kind, none if it fits."""
    expected = normalise(network.state_dict())
    kinds = {
        "missing": [name for name in expected if name not in state],
        "unexpected": [name for name in state if name not in expected],
        "of another shape or type": [
            f"{name} {_form(state[name])} for {_form(value)}"
            for name, value in expected.items()
            if name in state and _form(state[name]) != _form(value)
        ],
    }
    return [f"{len(names)} {kind}: {and_more(names, _LISTED_KEYS)}" for kind, names in kinds.items() if names]


def _read_safetensors(path: Path) -> object:
    from safetensors.torch import load_file  # noqa: PLC0415 - torch comes with it

    return load_file(path)


def _read_arrays(path: Path) -> object:
    import torch  # noqa: PLC0415 - knowing the list costs no torch

    from stages.formats.pickled_arrays import read_pickled_arrays  # noqa: PLC0415 - wanted once in a while

    def as_tensors(value: object) -> object:
        if isinstance(value, dict):
            return {name: as_tensors(each) for name, each in value.items()}
        return torch.from_numpy(value) if isinstance(value, np.ndarray) else value

    return as_tensors(read_pickled_arrays(path))


def _read_pickled(path: Path) -> object:
    import torch  # noqa: PLC0415 - knowing the list costs no torch

    zipped = zipfile.is_zipfile(path)  # torch < 1.6 wrote another format, which cannot be mapped
    if zipped:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise zipfile.BadZipFile("packed entries, which torch never writes")
            damaged = archive.testzip()  # torch reads over a wrong checksum
        if damaged:
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the file, to torch's developers
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


_READERS: Final = {".safetensors": _read_safetensors, ".pkl": _read_arrays}
"""By the name's ending; all others are torch's."""


def _check_tensor(path: Path, name: object, value: object, file_bytes: int) -> None:
    import torch  # noqa: PLC0415

    if not isinstance(name, str) or not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
        raise WeightsError(f"{path}: the entry {name!r} is {_describe(value)}; expected a name with a dense tensor.")
    if value.is_complex() or value.is_quantized or value.is_meta:
        raise WeightsError(f"{path}: the entry {name} has the type {value.dtype}; expected real numbers.")
    if value.numel() * value.element_size() > file_bytes:  # one number can be stretched to any shape
        raise WeightsError(
            f"{path}: the entry {name} claims the shape {tuple(value.shape)}; the file is smaller than that."
        )
    if not torch.isfinite(value).all():
        raise WeightsError(f"{path}: the entry {name} holds infinite or undefined numbers: the file is damaged.")


def file_digest(path: Path, algorithm: str) -> str:
    """Hex digest of a file's bytes, by any algorithm of hashlib."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _form(value: Tensor) -> str:
    return f"{'floating' if value.is_floating_point() else 'integer'} {tuple(value.shape)}"


def _describe(value: object) -> str:
    return f"a value of type {type(value).__name__}"
