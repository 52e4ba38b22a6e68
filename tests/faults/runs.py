"""Runs in processes forked from one that has imported everything: a third of a second each, not three."""

import atexit
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stages.formats import files
from stages.formats.files import Disk
from tests.faults.scene import Case

PATIENCE_S: Final = 120.0
_GRACE_S: Final = 10.0


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    """Its exit code; a negative signal; -1000 if it had to be ended."""
    output: str


def warm_up() -> None:
    """Import what a run imports; nothing is computed, and no thread begins."""
    import tasks
    from stages.engines import registry

    del tasks
    for plug, name in (("segmenter", "grabcut"), ("propagator", "flow"), ("refiner", "guided")):
        registry.build(plug, name, Path("data/weights"), "cpu", {})  # type: ignore[arg-type]


def begin(case: Case, words: Sequence[str], disk: Disk | None = None, before: Callable[[], None] | None = None) -> int:
    """Begin a run, as a process group of its own; returns its number."""
    number = os.fork()
    if number:
        return number
    code = 70
    try:
        os.setsid()
        os.chdir(case.folder)
        output = os.open(f"{case.folder}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if disk is not None:
            files.disk = disk
        if before is not None:
            before()
        from tasks.runtime import luigi_command, luigi_hooks

        luigi_hooks.prepare()  # as both commands do
        code = luigi_command.run_command([*words]).exit_code
        atexit._run_exitfuncs()  # as the end of a program does, and `os._exit` does not
    except KeyboardInterrupt:
        code = 130
    except BaseException as error:
        import traceback

        traceback.print_exception(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end(case: Case, number: int, patience_s: float = PATIENCE_S) -> Ended:
    """Wait for a run; one that does not end is ended."""
    deadline = time.monotonic() + patience_s
    while True:
        found, status = os.waitpid(number, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            break
        if time.monotonic() > deadline:
            os.killpg(number, signal.SIGKILL)
            os.waitpid(number, 0)
            code = -1000
            break
        time.sleep(0.005)
    return Ended(code, Path(f"{case.folder}.log").read_text(encoding="utf-8", errors="replace"))


def run(case: Case, words: Sequence[str], disk: Disk | None = None, before: Callable[[], None] | None = None) -> Ended:
    """Run to the end."""
    return end(case, begin(case, words, disk, before))


def wait_for_orphans(case: Case) -> list[int]:
    """Processes that outlive their run, and do not end by themselves within moments."""
    deadline = time.monotonic() + _GRACE_S
    while (left := case.orphans()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
