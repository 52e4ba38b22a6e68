"""What a night meets besides: a disk that really fills up, a clock that jumps, another run, a run that is held."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.faults.judge import after_fault, recovered
from tests.faults.runs import begin, end, run
from tests.faults.scene import RUN, Case


def room(start: Case, expected: dict[str, bytes], folder: Path, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Results on a real file system in memory, each time of another size, that is too small; then it grows."""
    place = folder / "room" / "outputs"
    for number in range(count):
        rng = random.Random(f"{seed} room {number}")
        case = start.copy(folder / "room")
        kept = folder / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        place.rename(kept)
        place.mkdir()
        kib = rng.randrange(48, 420, 4)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", place], check=False).returncode:
            sys.stderr.write("A FULL DISK IS NOT TRIED: this machine lets nobody mount\n")
            return
        try:
            shutil.copytree(kept, place, dirs_exist_ok=True)
            before = case.outcome()
            ended = run(case, RUN)
            problems = [*after_fault(case, before, expected, ended)]
            subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
            problems += recovered(case, expected)
        finally:
            subprocess.run(["umount", "-l", place], check=True)
        yield _told(f"full at {ended.code}", number, problems, ended.output) | {"kib": kib}


def held(start: Case, expected: dict[str, bytes], folder: Path, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """A run that is stopped and goes on, at random moments."""
    for number in range(count):
        rng = random.Random(f"{seed} held {number}")
        case = start.copy(folder / "held")
        before = case.outcome()
        parent = begin(case, (*RUN, "--workers", str(rng.choice((1, 2)))))
        for _ in range(rng.randint(1, 4)):
            time.sleep(rng.uniform(0.05, 0.6))
            if not _to_all(parent, signal.SIGSTOP):
                break
            time.sleep(rng.uniform(0.0, 0.5))
            _to_all(parent, signal.SIGCONT)
        ended = end(case, parent)
        problems = [*after_fault(case, before, expected, ended), *recovered(case, expected)]
        problems += [] if ended.code == 0 else [f"the run itself ended with {ended.code}"]
        yield _told("held and let go", number, problems, ended.output)


def two(start: Case, expected: dict[str, bytes], folder: Path, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Two runs at once: one of them does it, the other one says so."""
    for number in range(count):
        rng = random.Random(f"{seed} two {number}")
        case = start.copy(folder / "two")
        before = case.outcome()
        first = begin(case, RUN)
        time.sleep(rng.uniform(0.0, 1.0))
        other = Case(case.folder)
        second = run(other, RUN)  # its output replaces the first one's: it is the one that is turned away
        ended = end(case, first)
        problems = [*after_fault(case, before, expected, second), *recovered(case, expected)]
        problems += [] if 0 in (ended.code, second.code) else [f"they end with {ended.code} and {second.code}"]
        yield _told(f"two runs, ended with {sorted((ended.code, second.code))}", number, problems, second.output)


def clock(start: Case, expected: dict[str, bytes], folder: Path, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """The clock of every process is off by hours, days or years, each moment by others."""
    for number in range(count):
        case = start.copy(folder / "clock")
        before = case.outcome()
        ended = run(case, RUN, before=_clock(random.Random(f"{seed} clock {number}")))
        problems = [*after_fault(case, before, expected, ended), *recovered(case, expected)]
        problems += [] if ended.code == 0 else [f"the run itself ended with {ended.code}"]
        yield _told("the clock jumps", number, problems, ended.output)


def _clock(rng: random.Random) -> Callable[[], None]:
    now, now_ns = time.time, time.time_ns

    def off_s() -> int:
        return rng.choice((0, 0, -3600, 3600, 86_400, -86_400 * 365 * 20, 86_400 * 365 * 5, 1))

    def spoil() -> None:
        time.time = lambda: now() + off_s()
        time.time_ns = lambda: now_ns() + off_s() * 1_000_000_000

    return spoil


def _to_all(group: int, number: signal.Signals) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _told(kind: str, number: int, problems: list[str], output: str) -> dict[str, Any]:
    return {"kind": kind, "at": number, "problems": problems, "told": output[-3000:] * bool(problems)}
