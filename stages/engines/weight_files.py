"""Where the file of an engine's weights lies, and how to get it. Nothing is downloaded: what is missing is an error."""

import shlex
from pathlib import Path

from stages.core.errors import InputError, WeightsError
from stages.engines.engine import Engine
from stages.engines.spec import Network


def locate(engine: Engine, weights_root: Path | None) -> Path:
    """The file that holds an engine's weights: in `weights_root`, if one is given, or else in the engine's package.

    Raises:
        InputError: the engine has no weights.
        WeightsError: the file is missing; the message has the command that downloads it.
    """
    wanted = network_of(engine).checkpoint
    places = (weights_root, engine.spec.folder) if engine.own is None else (engine.own,)
    folders = [folder for folder in places if folder is not None]
    for folder in folders:
        for name in (wanted.file, *wanted.substitutes):
            if (folder / name).is_file():
                return folder / name
    instead = f" (or {', '.join(wanted.substitutes)})" if wanted.substitutes else ""
    raise WeightsError(
        f"{engine.name}: the checkpoint {wanted.file}{instead} is missing; it was expected in {folders[0]}. "
        f"To get it: {download_command(engine, folders[0])}"
    )


def download_command(engine: Engine, weights_root: Path) -> str:
    """The shell command that puts a checkpoint where it belongs, or why there is none."""
    wanted = network_of(engine).checkpoint
    if engine.own is not None:
        return f"train it again: lis train {engine.name}"
    siblings = {each.checkpoint.file: each.checkpoint for each in engine.spec.networks}
    source = next((siblings[file] for file in (wanted.file, *wanted.substitutes) if siblings[file].url), None)
    if source is None or source.url is None:
        return f"nobody publishes this checkpoint: train one and save it as {weights_root / wanted.file}"
    path = weights_root / (source.converted_from or source.file)
    download = shlex.join(["curl", "--fail", "--location", "--create-dirs", "--output", str(path), source.url])
    if not source.converted_from:
        return download
    convert = ["lis", "weights", "convert", engine.name, str(path), "--weights-root", str(weights_root)]
    return f"{download} && {shlex.join(convert)}"


def network_of(engine: Engine) -> Network:
    """The network that an engine runs.

    Raises:
        InputError: it runs none.
    """
    if engine.network is None:
        raise InputError(f"the engine {engine.name} has no weights; expected an engine with a network, engine:network")
    return engine.network
