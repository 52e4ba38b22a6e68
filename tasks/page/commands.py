"""What a person would type for what the page is asked to run."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import luigi

from stages.formats.layout import find_sequence
from tasks.anchors import SegmentAnchors
from tasks.refine import RefineSequence
from tasks.runtime.sequence import SequenceTask

_FLAGS: Mapping[str, str] = {"tasks_as": "as"}
"""Parameters that the command line calls otherwise."""


class What(StrEnum):
    """What is run: the name of the command, too."""

    REFINE = "refine"
    ANCHORS = "anchors"
    EXPORT = "export"


@dataclass(frozen=True)
class Command:
    """A command about a sequence."""

    what: What
    task: RefineSequence
    """The sequence's masks, with the options that the command has."""
    words: tuple[str, ...]
    """Behind `lis`."""
    result: str = ""
    """The folder that a person asked for; empty where it goes without saying."""

    @property
    def root(self) -> Path:
        """The sequence's folder of results."""
        return self.task.root

    def __str__(self) -> str:
        """As it is typed."""
        return shlex.join(["lis", *self.words])


def refining(task: RefineSequence) -> Command:
    """Make the masks."""
    return Command(What.REFINE, task, typed(What.REFINE, task))


def segmenting_anchors(task: RefineSequence) -> Command:
    """Make the masks of what is annotated so far, and nothing that rests on them."""
    return Command(What.ANCHORS, task, typed(What.ANCHORS, task.clone(SegmentAnchors)))


def typed(what: What, task: SequenceTask, **required: str) -> tuple[str, ...]:
    """The command with those options that differ from what goes without saying."""
    plain = type(task).from_str_params({"seq": task.seq, **required})
    name = f"--seq={task.seq}" if task.seq.startswith("-") else task.seq
    return str(what), name, *(f"--{each}={value}" for each, value in required.items()), *_options(task, plain)


def _options(task: SequenceTask, plain: luigi.Task) -> Iterator[str]:
    without_saying = plain.to_str_params()
    if len(find_sequence(Path(task.data_root), task.seq, task.dataset).owners) == 1:
        without_saying["dataset"] = task.dataset
    kinds: dict[str, Any] = dict(task.get_params())
    for name, value in task.to_str_params().items():
        if value == without_saying[name]:
            continue
        flag = _FLAGS.get(name, name.replace("_", "-"))
        if isinstance(kinds[name], luigi.BoolParameter):
            yield f"--{flag}" if getattr(task, name) else f"--no-{flag}"
        else:
            yield f"--{flag}={value}"
