"""Which engine a name stands for, and how it and the file that it needs become something that works.

A name is `engine` or `engine:network` (`grabcut`, `fbrs:lite`). Engines are found in the packages beside this module,
and among the entry points `lis.segmenters`, `lis.propagators` and `lis.refiners` of whatever else is installed, which
name a `SPEC`; networks are those that a SPEC names, and those that a user trained (`stages.formats.own_network`).
Knowing all of them imports no torch.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, cast

from stages.core.errors import InputError, StageError, WeightsError
from stages.engines.engine import Engine, Options
from stages.engines.protocols import AdaptsCheckpoints
from stages.engines.spec import PLUGS, Checkpoint, Plug, Spec
from stages.engines.weight_files import download_command, locate, network_of
from stages.formats.checkpoints import file_digest, misfits, normalise, read_checkpoint
from stages.formats.own_network import WEIGHTS, own_folder, own_networks, read_own_network

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stages.engines.protocols import Propagator, Refiner, Segmenter

logger = logging.getLogger("lis")


# ---------------------------------------------------------------------------------------------- finding


@cache
def specs(plug: Plug) -> Mapping[str, Spec]:
    """The engines of a plug point, by name: those that come with the project, then those of other distributions."""
    found: dict[str, Spec] = {}
    package = import_module(f"stages.engines.{plug}s")
    for module in iter_modules(package.__path__):
        if module.ispkg:
            spec = import_module(f"{package.__name__}.{module.name}").SPEC
            found[spec.name] = spec
    for entry in _of_other_distributions()[plug]:
        try:
            spec = entry.load()
        except Exception as error:  # of somebody else's code, whatever it is; the other engines work all the same
            logger.warning("the engine `%s` (%s) cannot be imported: %r", entry.name, entry.value, error)
            continue
        if not isinstance(spec, Spec) or spec.plug != plug or spec.name in found:
            logger.warning(
                "the entry point `%s` (%s) of lis.%ss is passed over: expected a Spec of this plug point with a name "
                "that no other engine has",
                *(entry.name, entry.value, plug),
            )
            continue
        found[spec.name] = spec
    return found


@cache
def _of_other_distributions() -> Mapping[Plug, EntryPoints]:
    """What they offer for each plug point; to find that of one, every distribution is read."""
    everything = entry_points()
    return {plug: everything.select(group=f"lis.{plug}s") for plug in PLUGS}


@cache
def _of_specs(plug: Plug) -> Mapping[str, Engine]:
    """The engines of a plug point with the networks that their SPECs name, by name."""
    found = [
        Engine(spec, network)
        for spec in specs(plug).values()
        for network in (spec.networks if spec.networks else [None])
    ]
    return {engine.name: engine for engine in found}


def _of_users(plug: Plug, weights_root: Path) -> Iterator[Engine]:
    """The engines of a plug point with networks that users trained."""
    for spec in specs(plug).values():
        for own in own_networks(weights_root, spec.name) if spec.needs_weights else ():
            base = next((each for each in spec.networks if each.name == own.base), None)
            if base is not None:
                checkpoint = Checkpoint(WEIGHTS, own.licence, sha256=own.sha256)
                network = replace(base, name=own.engine.partition(":")[2], checkpoint=checkpoint, is_small=False)
                yield Engine(spec, network, own_folder(weights_root, own.engine))


def engines(plug: Plug, weights_root: Path | None = None) -> Iterator[Engine]:
    """Every engine of a plug point with each of its networks; with a folder of checkpoints, those of users, too."""
    yield from _of_specs(plug).values()
    if weights_root is not None:
        yield from _of_users(plug, weights_root)


def names(plug: Plug, weights_root: Path | None = None) -> tuple[str, ...]:
    """What users may write, in the order of `engines`."""
    return tuple(engine.name for engine in engines(plug, weights_root))


def find(plug: Plug, name: str, weights_root: Path | None = None) -> Engine:
    """The engine that a name stands for.

    Raises:
        InputError: there is none; the message has the nearest name.
    """
    if name in (known := _of_specs(plug)):  # asked for by every task: users' networks cost a look at the disk
        return known[name]
    every = {engine.name: engine for engine in engines(plug, weights_root)}
    if name not in every:
        family = name.partition(":")[0]
        if weights_root is not None and family in specs(plug) and (own := _own_folder(weights_root, name)):
            read_own_network(own)  # says what is wrong with it
        raise InputError(_unknown(plug, name, every))
    return every[name]


def _own_folder(weights_root: Path, name: str) -> Path | None:
    """The folder of a user's network of this name, if there is one."""
    try:
        folder = own_folder(weights_root, name)
    except InputError:
        return None
    return folder if folder.is_dir() else None


def find_anywhere(name: str, weights_root: Path | None = None) -> Engine:
    """The same, at whichever plug point."""
    known = {engine.name: engine for plug in PLUGS for engine in engines(plug, weights_root)}
    if name not in known:
        raise InputError(_unknown("engine", name, known))
    return known[name]


def small_networks() -> Mapping[str, Engine]:
    """The engines whose networks the project trains itself, by the networks' keys."""
    every = (engine for plug in PLUGS for engine in engines(plug))
    return {engine.network.key: engine for engine in every if engine.network is not None and engine.network.is_small}


def small_network(key: str) -> Engine:
    """The engine of a network that the project trains itself.

    Raises:
        InputError: there is none; the message has the nearest name.
    """
    known = small_networks()
    if key not in known:
        raise InputError(_unknown("network to train", key, known))
    return known[key]


# ---------------------------------------------------------------------------------------------- building


def segmenter(name: str, weights_root: Path, device: str, options: Options) -> Segmenter:
    """Build the engine for anchor masks; see `build`."""
    return cast("Segmenter", build("segmenter", name, weights_root, device, options))


def propagator(name: str, weights_root: Path, device: str, options: Options) -> Propagator:
    """Build the engine that carries masks along; see `build`."""
    return cast("Propagator", build("propagator", name, weights_root, device, options))


def refiner(name: str, weights_root: Path, device: str, options: Options) -> Refiner:
    """Build the engine that sharpens boundaries; see `build`."""
    return cast("Refiner", build("refiner", name, weights_root, device, options))


def build(plug: Plug, name: str, weights_root: Path, device: str, options: Options) -> object:
    """Build an engine by name; the last ones are kept, networks included, and given again.

    Args:
        plug: the plug point.
        name: `engine` or `engine:network`.
        weights_root: folder of the checkpoints.
        device: `auto`, `cpu` or `cuda`; for networks only.
        options: the run's, by their names on the command line.

    Raises:
        InputError: no such engine.
        StageError: its code cannot be imported.
        WeightsError: its checkpoint is missing, damaged, or belongs to another network.
    """
    engine = find(plug, name, weights_root)
    chosen = tuple(sorted(engine.arguments(options).items()))
    if engine.network is None:
        return _built(plug, name, weights_root, device, chosen, None)
    stat = locate(engine, weights_root).stat()
    return _built(plug, name, weights_root, device, chosen, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=4)
def _built(
    plug: Plug,
    name: str,
    weights_root: Path,
    device: str,
    arguments: tuple[tuple[str, Any], ...],
    _checkpoint: tuple[int, ...] | None,
) -> object:
    engine = find(plug, name, weights_root)
    make = _imported(engine.spec, engine.spec.build)
    if engine.network is None:
        return make(**dict(arguments))
    network = load_network(name, weights_root)
    return make(network, device=device, **engine.network.arguments, **dict(arguments))


def build_network(key: str, state: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Build a network by its key, without any file.

    Args:
        key: `fbrs_resnet50_dh128`, `siammask_sharp`, `cascadepsp`, ...
        state: what it will be filled with; networks that are chosen by it (`Network.by_keys`) look at it.

    Returns:
        The network as its authors wrote it: float32, unfused, in eval mode, with the published parameter names. It is
        frozen (no parameter requires a gradient) and its values are arbitrary until a state dict is loaded.

    Raises:
        InputError: there is no such network.
        StageError: its code cannot be imported.
    """
    known = {
        network.key: (spec, network) for plug in PLUGS for spec in specs(plug).values() for network in spec.networks
    }
    if key not in known:
        raise InputError(_unknown("network", key, known))
    spec, network = known[key]
    make = _imported(spec, network.build)
    built: nn.Module = make(state) if network.by_keys and state is not None else make()
    return built.float().eval().requires_grad_(False)


def _imported(spec: Spec, reference: str) -> Callable[..., Any]:
    """What a SPEC names."""
    try:
        return spec.resolve(reference)
    except (ImportError, AttributeError) as error:
        raise StageError(
            f"the engine {spec.name} cannot be built: {spec.package} has no {reference} ({error}). "
            "Install what it needs, or choose another engine"
        ) from error


def load_network(name: str, weights_root: Path | None) -> nn.Module:
    """Build an engine's network and fill it from its checkpoint.

    Args:
        name: as in luigi.cfg, `fbrs:resnet50_dh128`.
        weights_root: the folder of the checkpoints, data/weights; None: those that come with the project.

    Returns:
        The network of `build_network`, filled.

    Raises:
        InputError: the engine is unknown, or has no weights.
        StageError: its code cannot be imported.
        WeightsError: the file is missing, damaged, not the one that is listed, holds more than tensors, or belongs to
            another network.
    """
    engine = find_anywhere(name, weights_root)
    path, wanted = locate(engine, weights_root), network_of(engine).checkpoint
    if wanted.sha256 and (found := file_digest(path, "sha256")) != wanted.sha256:
        raise WeightsError(
            f"{path} has the sha256 {found}, expected {wanted.sha256}. {_to_replace(engine, path, weights_root)}"
        )
    return filled(engine, path, weights_root)


def filled(engine: Engine, path: Path, weights_root: Path | None) -> nn.Module:
    """An engine's network with what a file holds.

    Raises:
        WeightsError: the file is damaged, holds more than tensors, or belongs to another network.
    """
    network = network_of(engine)
    state = normalise(read_checkpoint(path), network.checkpoint.ignored)
    built = build_network(network.key, state)
    if isinstance(built, AdaptsCheckpoints):
        state = built.adapted(state)
    if problems := misfits(built, state):
        raise WeightsError(
            f"{path} does not fit the network {network.key}: {'; '.join(problems)}. "
            f"{_to_replace(engine, path, weights_root)}"
        )
    # Not strict, because num_batches_tracked is absent on purpose; all else has just been compared.
    built.load_state_dict(state, strict=False)
    return built


def _to_replace(engine: Engine, path: Path, weights_root: Path | None) -> str:
    return f"To replace it: {download_command(engine, weights_root or path.parent)}"


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    every = sorted(known)
    near = difflib.get_close_matches(name, every, n=3, cutoff=0.4)
    advice = f"Did you mean {' or '.join(f'`{each}`' for each in near)}?" if near else ""
    return f"no {kind} is called `{name}`. {advice}{' ' if advice else ''}There are: {', '.join(every)}."
