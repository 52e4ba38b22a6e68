"""Which checkpoints lie on this machine, and how to get the others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stages.core.errors import WeightsError
from stages.engines import registry
from stages.engines.registry import Engine
from stages.engines.spec import PLUGS
from stages.formats.checkpoints import file_digest


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
    every = (engine for plug in PLUGS for engine in registry.engines(plug, weights_root))
    return [_look(engine, weights_root) for engine in every if engine.network is not None]


def is_missing(engine: Engine, weights_root: Path) -> bool:
    """Whether the file that holds an engine's weights is not there."""
    try:
        registry.locate(engine, weights_root)
    except WeightsError:
        return True
    return False


def _look(engine: Engine, weights_root: Path) -> Status:
    assert engine.network is not None
    wanted = engine.network.checkpoint
    download = registry.download_command(engine, weights_root)
    try:
        path = registry.locate(engine, weights_root)
    except WeightsError:
        missing = weights_root / wanted.file
        return Status(engine, "missing", missing, wanted.size_mib, wanted.licence, "", download)
    size_mib = path.stat().st_size / 2**20
    try:
        registry.load_network(engine.name, weights_root)
    except WeightsError as error:
        return Status(engine, "wrong", path, size_mib, wanted.licence, str(error), download)
    return Status(engine, "present", path, size_mib, wanted.licence, worth_knowing(engine, path), download)


def worth_knowing(engine: Engine, path: Path) -> str:
    """What is to be said of a file that holds an engine's network; empty if nothing is."""
    published = engine.network.checkpoint.md5 if engine.network else None
    if published and file_digest(path, "md5") != published:
        return "fits the network, but is not the published file (another model, or a damaged download)"
    return ""
