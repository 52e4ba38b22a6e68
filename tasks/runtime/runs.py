"""What this run tells of itself in the folders of the sequences that it works on: `.progress.jsonl`.

Luigi's local scheduler hears nothing of how far a task is, and its events fire in the task's own process: so tasks
write it. The process that schedules notes what is planned, and says so before the first of it begins; the processes of
the tasks are forked from it, and speak in its name.
"""

import os
import platform
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.states import State
from stages.formats import progress
from stages.formats.progress import Event
from tasks.runtime import freezing, locks

_INTERRUPTED = 130


@dataclass
class _Run:
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    planned: dict[str, bool] = field(default_factory=dict)
    """Name of a task -> whether it was said that it is planned."""
    begun: bool = False
    waits: bool = False
    """For people."""
    stopped: bool = False
    """It was told to stop."""
    last_words: dict[Callable[[Path], None], None] = field(default_factory=dict)
    """What says in the end what they have to do, each once."""


_runs: dict[Path, _Run] = {}
_untold: set[Path] = set()
"""Sequences with plans that were not said yet."""


def join(root: Path, *, shared: bool) -> bool:
    """Take a sequence's lock for this run, see `locks.claim`; whether it has it, and had not before."""
    if locks.holds(root) or not locks.claim(root, shared=shared):
        return False
    _runs[root] = _Run()
    _untold.add(root)
    return True


def number_of(root: Path) -> int:
    """Which of this run's sequences it is, counted from 0 in the order in which they were taken; 0 if it is none."""
    return [*_runs].index(root) if root in _runs else 0


def plan(root: Path, task: str) -> None:
    """Note that a task is to be run."""
    if root in _runs and task not in _runs[root].planned:
        _runs[root].planned[task] = False
        _untold.add(root)


def wait_for_people(root: Path, tell: Callable[[Path], None] | None = None) -> None:
    """Note that a sequence waits for people; `tell` is called when all is done that can be done without them."""
    if root in _runs:
        _runs[root].waits = True
        _runs[root].last_words |= {tell: None} if tell else {}


def tell_plans() -> None:
    """Say what is planned: the graph is built."""
    while _untold:
        root = _untold.pop()
        run = _runs[root]
        new = [task for task, said in run.planned.items() if not said]
        who = {} if run.begun else {"pid": os.getpid(), "host": platform.node()}
        progress.say_plan(root, run.name, new, **who)
        run.planned.update(dict.fromkeys(new, True))
        run.begun = True


def tell(root: Path, task: str, event: Event, **more: Any) -> None:
    """Say what becomes of a task, if this run has the sequence's lock; `more` as in `progress.say_event`."""
    if root in _runs:
        progress.say_event(root, _runs[root].name, task, event, **more)


def stop_all() -> None:
    """Note that this run was told to stop, be a task at work by then or not."""
    for run in _runs.values():
        run.stopped = True


def end_all() -> None:
    """Say how this run, whose tasks have ended, ends for each of its sequences; it still has their locks."""
    tell_plans()
    for root, run in _runs.items():
        progress.say_end(root, run.name, _exit_code(root, run))
        for tell in run.last_words:
            tell(root)
        if any(run.planned.values()):
            freezing.tell_news(root)
    _runs.clear()


def leave_all() -> None:
    """End, and give back the locks; what people said is read as it is from now on."""
    end_all()
    freezing.let_go()
    locks.release_all()


def _exit_code(root: Path, run: _Run) -> int:
    """For this sequence: the command's own code counts all of a night."""
    said = progress.read_progress(root)
    done = {task.task for each in said for task in each.in_state(Event.DONE)}
    own = next((each for each in said if each.run == run.name), progress.RunProgress(run.name))
    is_made = done.issuperset(run.planned)
    if own.in_state(Event.START, Event.PART) or (run.stopped and not is_made):
        return _INTERRUPTED
    if progress.last_failure(said):
        return State.FAILED.exit_code
    if run.waits:
        return State.WAITING.exit_code
    return State.DONE.exit_code if is_made else State.STOPPED.exit_code
