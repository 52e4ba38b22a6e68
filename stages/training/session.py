"""One training from pictures to weights, in a folder that may be left and entered again."""

import hashlib
import os
from collections.abc import Mapping
from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from stages.core.errors import InputError
from stages.engines import registry
from stages.formats.manifest import sha256
from stages.training.loop import CHECKPOINT, Progress, train
from stages.training.outcome import published_trunk, write_card, write_curves, write_sheet, write_weights
from stages.training.pictures import read_pictures
from stages.training.recipe import Recipe, recipe


def chosen_recipe(network: str, shares: Mapping[str, float], steps: int) -> Recipe:
    """A network's recipe, with other sets of pictures or another length if they are given.

    Raises:
        InputError: there is no such recipe.
    """
    chosen = copy(recipe(network))
    if shares:
        chosen.shares = dict(shares)
    if steps:
        chosen.schedule = chosen.schedule.lasting(steps)
    return chosen


def training_key(network: str, chosen: Recipe, root: Path, seed: int) -> dict[str, Any]:
    """What a training's outcome depends on: recipe, pictures, networks that help, and seed.

    Raises:
        InputError: a set of pictures is not there.
        WeightsError: the file of a network that helps is not there.
    """
    pictures = {name: _digest(root / name) for name in chosen.shares}
    schedule = asdict(chosen.schedule)
    networks = {engine: sha256(registry.locate(registry.find_anywhere(engine), None)) for engine in chosen.engines}
    return {
        "network": network,
        "schedule": schedule,
        "shares": dict(chosen.shares),
        "pictures": pictures,
        "networks": networks,
        "seed": seed,
    }


def run_training(
    folder: Path, network: str, chosen: Recipe, root: Path, seed: int, threads: int, progress: Progress
) -> None:
    """Train, or go on, and write `<network>.safetensors`, `<network>.md`, `curves.png`, `sheet.png` and two tables.

    Args:
        folder: of this training; it has the checkpoint while the training lasts.
        network: its name.
        chosen: its recipe.
        root: folder of the sets of pictures.
        seed: of everything that is left to chance.
        threads: of the steps; the examples are made by a process of their own.
        progress: passes steps through.

    Raises:
        InputError: pictures or the backbone's weights are missing.
        StageError: the training diverged.
    """
    torch.set_num_threads(threads)
    pictures = read_pictures(root, list(chosen.shares))
    outcome = train(chosen, published_trunk(), pictures, folder, seed, progress)
    write_weights(folder / f"{network}.safetensors", outcome.network)
    write_card(folder / f"{network}.md", network, chosen, pictures, root, seed, outcome)
    write_curves(folder / "curves.png", folder / "losses.csv", folder / "validation.csv")
    write_sheet(folder / "sheet.png", chosen, outcome.network, pictures[1])
    (folder / CHECKPOINT).unlink()


def _digest(folder: Path) -> str:
    if not (folder / "images").is_dir():
        sets = sorted(path.name for path in folder.parent.glob("*") if (path / "images").is_dir())
        raise InputError(
            f"{folder}: found no folder `images`, expected pictures (images/*.jpg) and masks (masks/*.png) of the set "
            f"{folder.name!r}; sets in {folder.parent}: {', '.join(sets) or 'none'}. Correct --train-root or --sets"
        )
    content = hashlib.sha256()
    for part in ("images", "masks"):
        for name in sorted(os.listdir(folder / part)):  # noqa: PTH208 - names only
            content.update(f"{part}/{name} {sha256(folder / part / name)}\n".encode())
    return content.hexdigest()
