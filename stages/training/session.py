"""One training from pictures to weights, in a folder that may be left and entered again."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.errors import InputError
from stages.core.progress import Progress
from stages.engines import registry, weight_files
from stages.formats import files
from stages.formats.files import sha256
from stages.training import sets
from stages.training.loop import Outcome, train
from stages.training.outcome import (
    Facts,
    SetFacts,
    published_trunk,
    read_weights,
    write_curves,
    write_facts,
    write_sheet,
    write_weights,
)
from stages.training.pictures import Picture, counted
from stages.training.recipe import Recipe
from stages.training.recipes import chosen_recipe
from stages.training.record import CHECKPOINT, Tell, in_words
from stages.training.sets import PictureSet, Unknown

_FEW = 100


@dataclass(frozen=True)
class Training:
    """Everything that a training's outcome depends on."""

    network: str
    recipe: Recipe
    sets: tuple[PictureSet, ...]
    unknown: Unknown
    seed: int
    start: Path | None = None
    """Weights to begin with."""

    def key(self) -> dict[str, Any]:
        """The same in JSON: recipe, pictures, networks that help, and seed.

        Raises:
            InputError: a set of pictures has none, or one without its mask.
            WeightsError: the file of a network that helps is not there.
        """
        networks = {
            engine: sha256(weight_files.locate(registry.find_anywhere(engine), None)) for engine in self.recipe.engines
        }
        return {
            "network": self.network,
            "schedule": asdict(self.recipe.schedule),
            "sets": [[each.name, each.share, each.digest()] for each in self.sets],
            "unknown": self.unknown,
            "networks": networks,
            "seed": self.seed,
            **({"start": sha256(self.start)} if self.start else {}),
        }


class Pictures(NamedTuple):
    """What is learnt from, and what is tested on."""

    train_on: list[Picture]
    held_out: list[Picture]
    meanings_of_255: Mapping[str, str]
    """By the sets' names."""


def plan_training(
    network: str,
    root: Path,
    shares: Mapping[str, float],
    *,
    steps: int = 0,
    batch: int = 0,
    unknown: Unknown = "auto",
    seed: int = 1,
    tell: Tell = lambda _line: None,
    start: Path | None = None,
    learning_rate: float = 0,
) -> Training:
    """Find the recipe and the sets.

    Args:
        network: which one.
        root: folder of the sets, or a set itself.
        shares: of a batch, by the sets' names; empty: the recipe's sets, or else all that are there.
        steps: length; 0: as the recipe says.
        batch: examples in a step; 0: as the recipe says.
        unknown: what 255 means in masks.
        seed: of everything that is left to chance.
        tell: is told what was chosen.
        start: weights to begin with; None: the trunk's alone.
        learning_rate: at its peak; 0: as the recipe says.

    Raises:
        InputError: there is no such recipe, no such set, or no such file.
    """
    found = sets.choose_sets(root, shares, chosen_recipe(network, {}).shares, tell)
    chosen = {each.name: each.share for each in found}
    recipe = chosen_recipe(network, chosen, steps=steps, batch=batch, learning_rate=learning_rate)
    if start is not None and not start.is_file():
        raise InputError(f"{start}: found no file, expected weights of {network} to begin with; correct --start")
    return Training(network, recipe, found, unknown, seed, start)


def weights_file(network: str) -> str:
    """The name of the file that a training leaves."""
    return f"{network}.safetensors"


def read_training_pictures(training: Training, tell: Tell) -> Pictures:
    """Read the pictures, and tell what there is.

    Raises:
        InputError: a picture or mask cannot be used, or there are too few.
    """
    pictures: list[Picture] = []
    meanings = {}
    for each in training.sets:
        found, meanings[each.name] = sets.read_set(each, training.unknown)
        pictures += found
        if training.unknown == "auto" and meanings[each.name] == "object":
            tell(f"set {each.name}: its masks hold 0 and 255 only, so 255 is the object; --unknown 255 says otherwise")
        if training.unknown == "auto" and meanings[each.name] == "unknown":
            tell(f"set {each.name}: 255 beside other ids is what nobody knows; --unknown none makes an object of it")
    train_on, held_out = sets.split(pictures, training.recipe.suits, training.recipe.wanted)
    objects = sum(len(picture.areas) for picture in train_on)
    little = (
        f". That is little (a hundred and more are usual): expect a network for things like these only, and "
        f"{counted(len(held_out), 'held-out picture')} to say little of how good it is"
    )
    tell(
        f"learning from {counted(len(train_on), 'picture')} with {counted(objects, 'object')}, {len(held_out)} "
        f"held out{little if len(pictures) < _FEW else ''}"
    )
    return Pictures(train_on, held_out, meanings)


def run_training(
    folder: Path,
    training: Training,
    card: Callable[[str, Facts], str],
    progress: Progress,
    tell: Tell,
    *,
    device: str = "cpu",
    workers: int = 1,
) -> None:
    """Train, or go on, and write weights, card, `training.json`, `curves.png`, `sheet.png` and two tables.

    Args:
        folder: of this training; it has the checkpoint while the training lasts.
        training: which one.
        card: makes the text of the card of the recipe's notes and the facts.
        progress: passes steps through.
        tell: is told how far it is.
        device: where the network learns; see `loop.train`.
        workers: processes that make examples.

    Raises:
        InputError: pictures, the backbone's weights or the GPU are missing.
        StageError: the training diverged.
    """
    network, recipe = training.network, training.recipe
    pictures = read_training_pictures(training, tell)
    start = None if training.start is None else read_weights(network, training.start)
    outcome = train(
        recipe,
        published_trunk(),
        (pictures.train_on, pictures.held_out),
        folder,
        training.seed,
        progress,
        tell,
        device=device,
        workers=workers,
        start=start,
    )
    tell(f"{in_words(outcome.figures)} on {counted(len(pictures.held_out), 'held-out picture')}")
    facts = _facts(training, pictures, outcome)
    write_weights(folder / weights_file(network), outcome.network)
    write_facts(folder, facts)
    files.write(folder / f"{network}.md", card(recipe.notes, facts))
    write_curves(folder / "curves.png", folder / "losses.csv", folder / "validation.csv")
    write_sheet(folder / "sheet.png", recipe, outcome.network, pictures.held_out)
    files.delete(folder / CHECKPOINT)


def _facts(training: Training, pictures: Pictures, outcome: Outcome) -> Facts:
    trained, objects = sets.counts(pictures.train_on)
    held_out, _ = sets.counts(pictures.held_out)
    total = sum(each.share for each in training.sets if trained[each.name])
    return Facts(
        network=training.network,
        seed=training.seed,
        seconds=outcome.seconds,
        device=outcome.device,
        parameters=sum(parameter.numel() for parameter in outcome.network.parameters()),
        schedule=asdict(training.recipe.schedule),
        sets=tuple(
            SetFacts(
                name=each.name,
                share=each.share / total if trained[each.name] else 0.0,
                pictures=trained[each.name],
                objects=objects[each.name],
                held_out=held_out[each.name],
                terms=each.terms(),
                meaning_of_255=pictures.meanings_of_255[each.name],
            )
            for each in training.sets
        ),
        figures=outcome.figures,
        has_backbone=any(True for _ in training.recipe.trunk(outcome.network).parameters()),
    )
