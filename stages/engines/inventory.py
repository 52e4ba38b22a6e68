"""Which checkpoints lie on this machine, and how to get the others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stages.core.errors import InputError, StageError, WeightsError
from stages.engines import registry, weight_files
from stages.engines.engine import Engine
from stages.engines.spec import PLUGS
from stages.formats import files
from stages.formats.checkpoints import file_digest, normalise


@dataclass(frozen=True)
class Status:
    """What lies there for one engine."""

    engine: Engine
    state: Literal["present", "missing", "wrong"]
    path: Path
    """The file found, or where it is expected."""
    size_mib: float | None
    """Of the file found, or to be expected (MiB)."""
    licence: str
    detail: str
    """What is wrong, or worth knowing; empty if nothing is."""
    download: str
    """A shell command, or why there is none."""


def status(weights_root: Path) -> list[Status]:
    """Look at every checkpoint: is it there, and does it hold the network that it should?"""
    every = {engine.name: engine for plug in PLUGS for engine in registry.engines(plug, weights_root)}
    return [_look(engine, weights_root) for engine in every.values() if engine.network is not None]


def is_missing(engine: Engine, weights_root: Path) -> bool:
    """Whether the file that holds an engine's weights is not there."""
    try:
        weight_files.locate(engine, weights_root)
    except WeightsError:
        return True
    return False


def convert(name: str, published: Path, weights_root: Path) -> Path:
    """Make the file that an engine's network is filled from of the one that its authors publish.

    Args:
        name: as in luigi.cfg, `pointrend:coco_r50`.
        published: the authors' file; it is read without running what may hide in it.
        weights_root: where the engine's file goes.

    Returns:
        The engine's file.

    Raises:
        InputError: there is no such engine, it takes the published file as it is, or there is no such file.
        WeightsError: the file cannot be read, or belongs to another network.
    """
    from safetensors.torch import save  # noqa: PLC0415 - torch comes with it

    engine = registry.find_anywhere(name, weights_root)
    wanted = engine.network.checkpoint if engine.network else None
    if wanted is None or not wanted.converted_from:
        raise InputError(f"{name}: found an engine that takes its weights as they are; nothing is to be converted")
    if not published.is_file():
        raise InputError(f"{published}: found no such file, expected the published {wanted.converted_from}")
    state = normalise(registry.filled(engine, published, weights_root).state_dict())
    target = weights_root / wanted.file
    files.make_folder(weights_root)
    files.replace(target, save({entry: value.contiguous() for entry, value in state.items()}))
    return target


def _look(engine: Engine, weights_root: Path) -> Status:
    assert engine.network is not None
    wanted = engine.network.checkpoint
    download = weight_files.download_command(engine, weights_root)
    try:
        path = weight_files.locate(engine, weights_root)
    except WeightsError:
        missing = weights_root / wanted.file
        return Status(engine, "missing", missing, wanted.size_mib, wanted.licence, "", download)
    size_mib = path.stat().st_size / 2**20
    try:
        registry.load_network(engine.name, weights_root)
    except (StageError, WeightsError) as error:
        return Status(engine, "wrong", path, size_mib, wanted.licence, str(error), download)
    return Status(engine, "present", path, size_mib, wanted.licence, worth_knowing(engine, path), download)


def worth_knowing(engine: Engine, path: Path) -> str:
    """What is to be said of a file that holds an engine's network; empty if nothing is."""
    published = engine.network.checkpoint.md5 if engine.network else None
    if published and file_digest(path, "md5") != published:
        return "fits the network, but is not the published file (another model, or a damaged download)"
    return ""
