"""`outputs/<seq>/.progress.jsonl`: what the run that works on a sequence does; no part of the result.

    {"run": "5f0c", "pid": 4711, "host": "b", "planned": ["frames", "anchor_masks/00010", ...]}
    {"t": 1712.5, "run": "5f0c", "task": "tracks/00010-00030", "state": "start", "frames": 19}
    {"t": 1713.5, "run": "5f0c", "task": "tracks/00010-00030", "state": "part", "part": 0.4, "frames": 19}
    {"run": "5f0c", "exit": 0}

A task ends with `done`, or with `failed` and a `message`. An event is a line, appended by one write of less than 4 KiB,
so that lines of several processes do not mix; a long plan goes on in further lines that have `planned`. The run that
takes the sequence's lock begins the file anew; workers of one central scheduler add a run each. A run without `exit`
works still, or was killed: the lock knows.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from stages.formats import files
from stages.formats.json_files import parse_json
from stages.formats.manifest import Json

PROGRESS: Final = ".progress.jsonl"
_LINE_BYTES: Final = 4096
_PLANNED_IN_A_LINE: Final = 40
_MESSAGE_BYTES: Final = 3072


class Event(StrEnum):
    """What is said of a task."""

    START = "start"
    PART = "part"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class TaskProgress:
    """The last that was said of a task."""

    task: str
    """As the folder of its result is called: `tracks/00010-00030`."""
    state: Event
    at: float
    """Seconds since the epoch."""
    part: float = 0.0
    """How much of it is done, in [0, 1]."""
    message: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class RunProgress:
    """What a run has said so far."""

    run: str
    pid: int = 0
    host: str = ""
    planned: tuple[str, ...] = ()
    """What was still to be made when the graph was built."""
    tasks: Mapping[str, TaskProgress] = field(default_factory=dict)
    exit_code: int | None = None
    """What the run ended with for this sequence; None: it works still, or was killed."""

    def in_state(self, *states: Event) -> list[TaskProgress]:
        """The tasks in these states, in the order in which they were begun."""
        return [task for task in self.tasks.values() if task.state in states]

    @property
    def share_done(self) -> float:
        """How much of the plan is done, every task counted alike: in [0, 1]."""
        parts = (self.tasks[name].part for name in self.planned if name in self.tasks)
        return sum(parts) / max(1, len(self.planned))


# --- writing ---------------------------------------------------------------------------------------------------------


def begin_anew(root: Path) -> None:
    """Forget what former runs said of a sequence; call it with the sequence's lock held by nobody else."""
    files.delete(root / PROGRESS)


def say_plan(root: Path, run: str, planned: Sequence[str], **who: Any) -> None:
    """Say what a run is about to make.

    Args:
        root: the sequence's folder of results.
        run: the run's name; no two runs have the same.
        planned: names of tasks.
        who: `pid` and `host`, when the run speaks for the first time.
    """
    for first in range(0, max(1, len(planned)), _PLANNED_IN_A_LINE):
        _append(root, {"run": run, **(who if not first else {}), "planned": [*planned[first:][:_PLANNED_IN_A_LINE]]})


def say_event(root: Path, run: str, task: str, event: Event, **more: Any) -> None:
    """Say what becomes of a task.

    Args:
        root: the sequence's folder of results.
        run: the run's name.
        task: its name, as in the plan.
        event: what happens to it.
        more: `frames` (how many it covers), `part` (in [0, 1]), `message` (why it failed).
    """
    if "message" in more:
        more["message"] = _shortened(more["message"])
    _append(root, {"t": round(time.time(), 1), "run": run, "task": task, "state": event, **more})


def say_end(root: Path, run: str, exit_code: int) -> None:
    """Say what a run ends with for this sequence."""
    _append(root, {"run": run, "exit": exit_code})


def _shortened(message: str) -> str:
    while len(json.dumps(message)) > _MESSAGE_BYTES:
        message = message[: len(message) * 3 // 4]
    return message


def _append(root: Path, fields: Json) -> None:
    """One line by one write; what the disk refuses is not worth a run."""
    line = json.dumps(fields)
    assert len(line) < _LINE_BYTES - 1, f"a line of {len(line)} bytes may mix with others"
    with suppress(OSError):
        files.append_line(root / PROGRESS, line)


# --- reading ---------------------------------------------------------------------------------------------------------


def read_progress(root: Path) -> list[RunProgress]:
    """What the runs say that the file tells of, in the order in which they began; damaged lines are passed over."""
    runs: dict[str, RunProgress] = {}
    for fields in _lines(root / PROGRESS):
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            name = str(fields["run"])
            runs[name] = _heard(runs.get(name, RunProgress(name)), fields)
    return [*runs.values()]


def last_failure(runs: Sequence[RunProgress]) -> str:
    """Why a sequence failed; empty if nothing did, or what failed was made after all."""
    failed = last_failed(runs)
    return failed.message if failed else ""


def last_failed(runs: Sequence[RunProgress]) -> TaskProgress | None:
    """What failed last; None if nothing did, or it was made after all."""
    failed: dict[str, TaskProgress] = {}
    for run in runs:
        for task in run.tasks.values():
            failed.pop(task.task, None)
            if task.state == Event.FAILED:
                failed[task.task] = task
    return next(reversed(failed.values()), None)


def _lines(path: Path) -> Iterator[Json]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    for line in content.splitlines():
        with suppress(ValueError):
            fields = parse_json(line.decode())
            if isinstance(fields, dict):
                yield fields


def _heard(run: RunProgress, fields: Json) -> RunProgress:
    if "planned" in fields:
        planned = tuple(dict.fromkeys([*run.planned, *map(str, fields["planned"])]))
        pid, host = int(fields.get("pid", run.pid)), str(fields.get("host", run.host))
        return replace(run, planned=planned, pid=pid, host=host)
    if "exit" in fields:
        return replace(run, exit_code=int(fields["exit"]))
    name, state = str(fields["task"]), Event(fields["state"])
    part = 1.0 if state == Event.DONE else min(1.0, max(0.0, float(fields.get("part", 0))))
    told = TaskProgress(name, state, float(fields["t"]), part, str(fields.get("message", "")))
    return replace(run, tasks={**run.tasks, name: told})
