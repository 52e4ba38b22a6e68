"""A black box: a signal at a random moment, for the run or one of its tasks; a second run has to mend it."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stages.formats.progress import Event, read_progress
from tests.faults.judge import after_fault, recovered
from tests.faults.runs import begin, end, run
from tests.faults.scene import RUN, Case

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)


def kills(start: Case, expected: dict[str, bytes], folder: Path, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Kill so many runs, and say of each where it was and what is wrong afterwards."""
    before = start.outcome()
    longest_s = _duration(start, folder)
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        case = start.copy(folder / "case")
        workers, sent = rng.choice((1, 2)), rng.choice(_SIGNALS)
        parent = begin(case, (*RUN, "--workers", str(workers)), before=_listen)
        began = time.monotonic()
        time.sleep(rng.uniform(0.0, 1.1 * longest_s))
        children = _children(parent)
        is_task = bool(children) and rng.random() < 0.5
        stage = _stage(case) if Path(f"/proc/{parent}").exists() else "after the end"
        try:
            os.kill(rng.choice(children) if is_task else parent, sent)
        except ProcessLookupError:
            stage = "after the end"
        ended = end(case, parent)
        longest_s = max(longest_s, 0.9 * longest_s + 0.1 * (time.monotonic() - began))
        problems = [*after_fault(case, before, expected, ended), *recovered(case, expected)]
        yield {
            "kind": f"{sent.name}, {'task' if is_task else 'run'}, {workers} worker{'s' * (workers > 1)}",
            "at": number,
            "stage": stage,
            "code": ended.code,
            "problems": problems,
            "told": ended.output[-3000:] if problems else "",
        }


def _listen() -> None:
    """As from a terminal: what a shell begins in the background is deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _duration(start: Case, folder: Path) -> float:
    case, began = start.copy(folder / "timed"), time.monotonic()
    run(case, RUN)
    return time.monotonic() - began


def _children(parent: int) -> list[int]:
    try:
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8")
    except OSError:
        return []
    return [int(number) for number in listed.split()]


def _stage(case: Case) -> str:
    """What the run works on."""
    told = read_progress(case.root)
    at = [task.task.partition("/")[0] for each in told for task in each.in_state(Event.START, Event.PART)]
    if at:
        return at[-1]
    return "between two stages" if any(each.tasks for each in told) else "before the first stage"
