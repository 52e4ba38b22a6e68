"""The model card: what a network is for, what it has learnt from and on which terms, and how well it does."""

from typing import Final

from stages.training.comparison import Comparison
from stages.training.outcome import PACKAGE, Facts
from stages.training.pictures import counted
from stages.training.record import duration

_BACKBONE: Final = f"- Backbone: EfficientNet-Lite0, ImageNet weights of the package `{PACKAGE}` 0.1.0 (Apache-2.0)."


def card(engine: str, notes: str, facts: Facts, command: str, comparison: Comparison | None = None) -> str:
    """The card's text.

    Args:
        engine: the network's name, `fbrs:mine`.
        notes: the head, of the recipe.
        facts: of the training.
        command: that trains it, with all options that matter.
        comparison: with the network that was in use, if there was one.
    """
    pictures, objects = (sum(getattr(each, name) for each in facts.sets) for name in ("pictures", "objects"))
    on_device = "" if facts.device == "cpu" else f" on one {facts.device}"
    lines = [
        f"# {engine}",
        "",
        notes.strip().format(engine=engine),
        "",
        f"- It has learnt from {counted(pictures, 'picture')} with {counted(objects, 'object')}, and was tested on "
        f"{facts.held_out} others.",
        f"- Parameters: {_parameters(facts.parameters)}, stored as float16.",
        *([_BACKBONE] if facts.has_backbone else []),
        f"- Trained for {duration(facts.seconds)} of wall clock{on_device}: `{command}`.",
        "",
        "## Data",
        "",
        "| set | share of a batch | pictures | objects | held out | 255 in masks | terms |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {each.name} | {each.share:.0%} | {each.pictures} | {each.objects} | {each.held_out} "
            f"| {each.meaning_of_255} | {each.terms} |"
            for each in facts.sets
        ),
        "",
        "No picture, crop or mask of these sets is part of this file.",
        "",
        "## Recipe",
        "",
        ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in facts.schedule.items()) + ".",
        f"AdamW, cosine; what it learns from and by is said in `stages/training/{facts.network}.py`.",
        "",
        f"## Figures on {counted(facts.held_out, 'held-out picture')}",
        "",
        *_figures(facts, comparison),
    ]
    return "\n".join(lines) + "\n"


def _parameters(number: int) -> str:
    return f"{number / 1e6:.2f} million" if number >= 10**5 else f"{number:,}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _figures(facts: Facts, comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return [f"- {name}: {value:.4f}" for name, value in facts.figures.items()]
    return [
        f"| figure | {comparison.engine} | {comparison.rival} |",
        "|---|---|---|",
        *(f"| {name} | {value:.4f} | {comparison.theirs[name]:.4f} |" for name, value in comparison.figures.items()),
        "",
        f"What was in use before ({comparison.rival}) was tested on the same pictures. `{comparison.decided_by}` "
        "decides which is better; with few pictures it says little.",
    ]
