"""Checkpoints as data: which file an engine needs, where it comes from, and how it is read and checked.

The list is `weights.json`. Nothing is downloaded here: a missing file is an error that says how to get it. Importing
this module costs nothing; torch is imported when a network is built or a file is read.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import shlex
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stages.errors import InputError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

WITHOUT_WEIGHTS = frozenset({"grabcut", "flow", "guided", "none"})
"""Engines that need no file."""

_PACKAGES = {
    # How a network's name begins: the package that builds it, and what its NETWORKS leaves out of the name.
    "fbrs": ("stages.segmenters.fbrs", "fbrs_"),
    "siammask": ("stages.propagators.siammask", ""),
    "match": ("stages.propagators.match", "match_"),
    "cascadepsp": ("stages.refiners.cascadepsp", ""),
}
SHIPPED = Path(__file__).parents[1] / "data" / "weights"
"""Where the small networks lie: they are found from any folder."""
_LISTED_KEYS = 20


@dataclass(frozen=True)
class Entry:
    """One engine's checkpoint."""

    engine: str
    """As in luigi.cfg: `fbrs:resnet50_dh128`."""
    network: str
    """What `build_network` calls it."""
    file: str
    """Name below data/weights/."""
    url: str | None
    """Where it is published; None where nobody does."""
    size_mib: float | None
    """As published, or as its tensors take (MiB); None where unknown."""
    sha256: str | None
    """Checked if known: the authors of the large networks publish none."""
    licence: str
    md5: str | None = None
    """Of the published file. Not enforced: authors' later models of the same network are as good."""
    substitutes: Sequence[str] = ()
    """Other files that hold the same network; used if `file` is not there."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the engine has to know of this checkpoint, as keyword arguments."""
    ignored: Sequence[str] = ()
    """Patterns of entries that the file may hold and the network does not use."""


@dataclass(frozen=True)
class Status:
    """What lies under data/weights/ for one engine."""

    entry: Entry
    state: Literal["present", "missing", "wrong"]
    path: Path
    """The file found, or where it is expected."""
    size_mib: float | None
    """Of the file found, or to be expected (MiB)."""
    detail: str
    """What is wrong, or worth knowing; empty if nothing is."""
    download: str
    """A shell command, or why there is none."""


# ---------------------------------------------------------------------------------------------- the list


@cache
def entries() -> tuple[Entry, ...]:
    """All checkpoints, in the order of `weights.json`."""
    rows: list[dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return tuple(Entry(**row) for row in rows)


def small_networks() -> list[str]:
    """The networks that the project trains itself."""
    return [each.network for each in entries() if each.network.endswith("_lite")]


def entry(engine: str) -> Entry | None:
    """The checkpoint that an engine needs; None for engines without weights.

    Raises:
        InputError: there is no such engine.
    """
    if engine in WITHOUT_WEIGHTS:
        return None
    by_engine = {each.engine: each for each in entries()}
    if engine not in by_engine:
        raise InputError(_unknown("engine", engine, [*by_engine, *WITHOUT_WEIGHTS]))
    return by_engine[engine]


def register(engine: str, sha256: str) -> None:
    """Enter the digest of an engine's new checkpoint into `weights.json`."""
    path = Path(__file__).with_suffix(".json")
    head, mark, row = path.read_text(encoding="utf-8").partition(f'"engine": "{engine}"')
    known = re.sub(r'"sha256": ("\w+"|null)', f'"sha256": "{sha256}"', row, count=1)
    path.write_text(head + mark + known, encoding="utf-8")
    entries.cache_clear()


def locate(engine: str, weights_root: Path) -> Path:
    """The file that holds an engine's weights, in `weights_root` or among those that come with the project.

    Raises:
        InputError: the engine is unknown, or has no weights.
        WeightsError: the file is missing; the message has the command that downloads it.
    """
    wanted = _needed(engine)
    for folder in (weights_root, SHIPPED):
        for name in (wanted.file, *wanted.substitutes):
            if (folder / name).is_file():
                return folder / name
    instead = f" (or {', '.join(wanted.substitutes)})" if wanted.substitutes else ""
    raise WeightsError(
        f"{engine}: the checkpoint {wanted.file}{instead} is missing; it was expected in {weights_root}. "
        f"To get it: {download_command(wanted, weights_root)}"
    )


def download_command(wanted: Entry, weights_root: Path) -> str:
    """The shell command that puts a checkpoint where it belongs, or why there is none."""
    source = wanted
    if source.url is None and source.substitutes:
        source = next(each for each in entries() if each.file == wanted.substitutes[0])
    if source.url is None:
        return f"nobody publishes this checkpoint: train one and save it as {weights_root / wanted.file}"
    path = weights_root / source.file
    return shlex.join(["curl", "--fail", "--location", "--create-dirs", "--output", str(path), source.url])


def status(weights_root: Path) -> list[Status]:
    """Look at every checkpoint of the list: is it there, and does it hold the network that it should?"""
    return [_look(each, weights_root) for each in entries()]


def _look(wanted: Entry, weights_root: Path) -> Status:
    download = download_command(wanted, weights_root)
    try:
        path = locate(wanted.engine, weights_root)
    except WeightsError:
        return Status(wanted, "missing", weights_root / wanted.file, wanted.size_mib, "", download)
    size_mib = path.stat().st_size / 2**20
    try:
        load_network(wanted.engine, weights_root)
    except WeightsError as error:
        return Status(wanted, "wrong", path, size_mib, str(error), download)
    detail = ""
    if wanted.md5 and _digest(path, "md5") != wanted.md5:
        detail = "fits the network, but is not the published file (another model, or a damaged download)"
    return Status(wanted, "present", path, size_mib, detail, download)


# ---------------------------------------------------------------------------------------------- networks


def build_network(name: str) -> nn.Module:
    """Build a network by its name, without any file.

    Args:
        name: `fbrs_resnet50_dh128`, `siammask_sharp`, `cascadepsp`, ... (the column `network` of `weights.json`).

    Returns:
        The network as its authors wrote it: float32, unfused, in eval mode, with the published parameter names. It is
        frozen (no parameter requires a gradient) and its values are arbitrary until a state dict is loaded.

    Raises:
        InputError: there is no such network.
    """
    family = name.partition("_")[0]
    builders = _builders([family]) if family in _PACKAGES else {}
    if name not in builders:
        raise InputError(_unknown("network", name, _builders(_PACKAGES)))
    return builders[name]().float().eval().requires_grad_(False)


def _builders(families: Iterable[str]) -> dict[str, Callable[[], nn.Module]]:
    builders: dict[str, Callable[[], nn.Module]] = {}
    for package, prefix in (_PACKAGES[family] for family in families):
        builders |= {prefix + name: build for name, build in import_module(package).NETWORKS.items()}
    return builders


def load_network(engine: str, weights_root: Path, device: str = "cpu") -> nn.Module:
    """Build an engine's network and fill it from its checkpoint.

    Args:
        engine: as in luigi.cfg, `fbrs:resnet50_dh128`.
        weights_root: the folder of the checkpoints, data/weights.
        device: where the network goes ("cpu", "cuda", "cuda:1").

    Returns:
        The network of `build_network`, filled, on `device`.

    Raises:
        InputError: the engine is unknown, or has no weights.
        WeightsError: the file is missing, damaged, not the one that is listed, holds more than tensors, or belongs to
            another network.
    """
    wanted = _needed(engine)
    path = locate(engine, weights_root)
    remedy = f"To replace it: {download_command(wanted, weights_root)}"
    if wanted.sha256 and (found := _digest(path, "sha256")) != wanted.sha256:
        raise WeightsError(f"{path} has the sha256 {found}, expected {wanted.sha256}. {remedy}")
    network = build_network(wanted.network)
    state = normalise(read_checkpoint(path), wanted.ignored)
    problems = misfits(network, state)
    if problems:
        raise WeightsError(f"{path} does not fit the network {wanted.network}: {'; '.join(problems)}. {remedy}")
    # Not strict, because num_batches_tracked is absent on purpose; all else has just been compared.
    network.load_state_dict(state, strict=False)
    return network.to(device)


# ---------------------------------------------------------------------------------------------- files


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint without running code from it.

    Args:
        path: a `.safetensors` file, or what `torch.save` wrote (of any age): a state dict, bare or as the entry
            "state_dict" of a training's dict.

    Returns:
        The state dict with the names as stored, on the CPU.

    Raises:
        WeightsError: the file is damaged or truncated, holds more than tensors, or no state dict.
    """
    try:
        content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)
    except Exception as error:  # a damaged file makes the readers raise whatever its bytes lead them to
        raise WeightsError(
            f"{path} cannot be read ({type(error).__name__}): it is damaged, incomplete, no checkpoint, or holds "
            "something other than tensors. Nothing in it was executed. Download it again from its source."
        ) from error
    if isinstance(content, Mapping) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds {_describe(content)}, no state dict; expected names with tensors.")
    for name, value in content.items():
        _check_tensor(path, name, value)
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
    return [f"{len(names)} {kind}: {_shorten(names)}" for kind, names in kinds.items() if names]


def _read_safetensors(path: Path) -> object:
    from safetensors.torch import load_file  # noqa: PLC0415 - torch comes with it

    return load_file(path)


def _read_pickled(path: Path) -> object:
    import torch  # noqa: PLC0415 - knowing the list costs no torch

    zipped = zipfile.is_zipfile(path)  # torch < 1.6 wrote another format, which cannot be mapped
    if zipped:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch reads over a wrong checksum
        if damaged:
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the file, to torch's developers
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)


def _check_tensor(path: Path, name: object, value: object) -> None:
    import torch  # noqa: PLC0415

    if not isinstance(name, str) or not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
        raise WeightsError(f"{path}: the entry {name!r} is {_describe(value)}; expected a name with a dense tensor.")
    if value.is_complex() or value.is_quantized or value.is_meta:
        raise WeightsError(f"{path}: the entry {name} has the type {value.dtype}; expected real numbers.")
    if not torch.isfinite(value).all():
        raise WeightsError(f"{path}: the entry {name} holds infinite or undefined numbers: the file is damaged.")


def _needed(engine: str) -> Entry:
    wanted = entry(engine)
    if wanted is None:
        raise InputError(f"the engine {engine} has no weights; expected one of {[each.engine for each in entries()]}")
    return wanted


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    advice = f"did you mean {' or '.join(near)}?" if near else f"expected one of: {', '.join(names)}"
    return f"there is no {kind} called {name!r}; {advice}"


def _form(value: Tensor) -> str:
    return f"{'floating' if value.is_floating_point() else 'integer'} {tuple(value.shape)}"


def _describe(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def _shorten(names: list[str]) -> str:
    rest = f", and {len(names) - _LISTED_KEYS} more" if len(names) > _LISTED_KEYS else ""
    return ", ".join(names[:_LISTED_KEYS]) + rest
