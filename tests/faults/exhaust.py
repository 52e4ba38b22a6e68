"""The n-th call of the disk is refused, or the process killed at it, for n = 1, 2, ... until a run meets no fault.

After each: another run, without a fault, or, at one seeded kind for each n, with a second fault of its own, and then
one without.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.disks import FaultyDisk, Kind, calls
from tests.faults.judge import after_fault, recovered
from tests.faults.runs import run
from tests.faults.scene import RUN, Case


def number_of_calls(start: Case, folder: Path) -> int:
    """What an undisturbed run makes."""
    case, counter = start.copy(folder / "counted"), folder / "counted.calls"
    run(case, RUN, FaultyDisk(counter))
    return len(calls(counter))


def cases(total: int, seed: int) -> list[tuple[Kind, int, int]]:
    """The kind, the number of the call, and, if not 0, the call of a second fault; a sweep for each kind."""
    rng = random.Random(seed)
    compound = {at: rng.choice([*Kind]) for at in range(1, total + 1)}
    return [
        (kind, at, rng.randint(1, total) if compound[at] is kind else 0)
        for kind in (Kind.KILLED, Kind.NO_ROOM, Kind.BROKEN_FROM_NOW_ON, Kind.NO_ROOM_ANY_MORE, Kind.BROKEN)
        for at in range(1, total + 1)
    ]


def exhaust(
    start: Case, expected: dict[str, bytes], folder: Path, chosen: list[tuple[Kind, int, int]], seed: int
) -> Iterator[dict[str, Any]]:
    """Try cases, and say of each what is wrong."""
    before = start.outcome()
    for kind, at, second in chosen:
        rng = random.Random(f"{seed} {kind} {at}")
        case, counter = start.copy(folder / "case"), folder / "case.calls"
        counter.unlink(missing_ok=True)
        ended = run(case, RUN, FaultyDisk(counter, at, kind))
        met = calls(counter)[at - 1 : at]
        problems = [*after_fault(case, before, expected, ended)]
        if second:
            counter.unlink(missing_ok=True)
            again = run(case, RUN, FaultyDisk(counter, second, rng.choice([*Kind])))
            ended = again if any(after_fault(case, before, expected, again)) else ended
            problems += [f"second fault: {each}" for each in after_fault(case, before, expected, again)]
        problems += recovered(case, expected)
        call, _, name = "".join(met).partition(" ")
        yield {
            "kind": str(kind),
            "at": at,
            "second": second,
            "call": call,
            "file": name.replace(str(case.folder), ""),
            "code": ended.code,
            "problems": problems,
            "told": ended.output[-3000:] if problems else "",
        }
