"""Runs that the page starts: each the command that a person would type, in a process group of its own, one at a time.

A server that ends leaves its run at work, and one that starts finds it: by the sequence's lock, and by the log.
"""

import logging
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final

from stages.formats import page_log
from stages.formats.page_log import Head
from stages.formats.progress import read_progress
from tasks.page.commands import Command, What
from tasks.page.endings import INTERRUPTED, exit_code_of, in_words
from tasks.refine import RefineSequence
from tasks.runtime import locks
from tasks.runtime.locks import BusyError
from tasks.runtime.mistakes import explain, one_line

logger = logging.getLogger("lis")
PROGRAM: Final = (sys.executable, "-m", "tasks")
"""`lis`, whatever the path is."""
_PATIENCE_S: Final = 20.0
"""For a run that was asked to stop."""
_LOOK_EVERY_S: Final = 0.5
_NOT_STARTED: Final = 1
_FAULT: Final = "a fault of the program; what it was stands where `lis annotate` runs"


class RunState(StrEnum):
    """How far a run is."""

    IDLE = "idle"
    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Told:
    """What a page is told of the run on a sequence."""

    state: RunState = RunState.IDLE
    what: What = What.REFINE
    command: str = ""
    """As a person would type it; empty if nobody knows."""
    exit_code: int | None = None
    """Of one that has ended."""
    message: str = ""
    """What that means, or what it waits for."""


@dataclass(eq=False)
class _Run:
    command: Command
    state: RunState = RunState.QUEUED
    process: subprocess.Popen[bytes] | None = None
    exit_code: int | None = None
    message: str = ""

    def is_stopping(self) -> bool:
        """Whether somebody wants it to end; another thread may say so at any time."""
        return self.state == RunState.STOPPING

    @property
    def is_in_background(self) -> bool:
        return self.command.what == What.ANCHORS

    @property
    def told(self) -> Told:
        return Told(self.state, self.command.what, str(self.command), self.exit_code, self.message)


class Runs:
    """All that were asked for; people's before those in the background."""

    def __init__(self, program: Iterable[str] = PROGRAM, patience_s: float = _PATIENCE_S) -> None:
        self._program, self._patience_s = tuple(program), patience_s
        self._lock = Lock()
        self._queue: list[_Run] = []
        self._present: _Run | None = None
        self._ended: dict[Path, _Run] = {}
        self._is_at_work = False
        self._left_to_stop: set[Path] = set()
        """Sequences whose runs are of a former server, and were asked to stop."""

    def ask(self, command: Command) -> None:
        """Run a command when those before it have ended; who asks for the same twice before that has asked once.

        One that is asked for while it works runs again afterwards: people may have drawn meanwhile. What works in the
        background on the same sequence stops for one that makes its masks, and those of the anchors with them.

        Raises:
            BusyError: somebody else works on the sequence.
        """
        self._check_free(command.root)
        with self._lock:
            if any(run.command == command for run in self._queue):
                return
            self._queue.append(_Run(command))
            present = self._present_on(command.root)
            if present and present.is_in_background and command.what == What.REFINE:
                self._stop(present)
            if not self._is_at_work:
                self._is_at_work = True
                Thread(target=self._work, name="runs", daemon=True).start()

    def ask_in_background(self, command: Command) -> None:
        """The same, last of all, and only if nobody works on the sequence by then, or is about to."""
        with self._lock:
            if any(run.command.root == command.root for run in self._queue):
                return
        with suppress(BusyError):
            self.ask(command)

    def stop(self, root: Path) -> None:
        """Ask the run on a sequence to stop, and after a while tell it to; what waits for it does not wait any more.

        Raises:
            BusyError: it was not started by a page.
        """
        with self._lock:
            waiting = [run for run in self._queue if run.command.root == root]
            self._queue = [run for run in self._queue if run not in waiting]
            run = self._present_on(root)
            if run is not None:
                self._stop(run)
        if run is None and not waiting and locks.is_taken(root):
            self._stop_left(root)

    def told(self, task: RefineSequence) -> Told:
        """What becomes of the run on a sequence, whoever has started it."""
        mine, root = self.mine(task.root), task.root
        if mine is not None and mine.state != RunState.IDLE:
            return mine
        if locks.is_taken(root):
            head = _left_behind(root)
            stops = head is not None and root in self._left_to_stop
            state = RunState.STOPPING if stops else RunState.RUNNING
            return Told(state, _what(head.command), head.command) if head else Told(state)
        return mine or _ended_without_us(task)

    def mine(self, root: Path) -> Told | None:
        """The same as this server knows it; None: it has started nothing there. Touches no file.

        Of one at work in the background and one that people wait for, the latter.
        """
        with self._lock:
            queued = (run for run in self._queue if run.command.root == root)
            waiting = min(queued, key=lambda run: run.is_in_background, default=None)
            present = self._present_on(root)
            if present and (waiting is None or waiting.is_in_background or not present.is_in_background):
                return present.told
            if waiting:
                if self._present is None:
                    return replace(waiting.told, state=RunState.RUNNING)  # in a moment
                return replace(waiting.told, message=f"behind {self._present.command}")
            ended = self._ended.get(root)
            return ended.told if ended else None

    # --- at work ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while run := self._next():
            try:
                self._carry_out(run)
            except Exception as error:  # whatever it is, it holds up nobody who comes later
                if not explain(error):
                    logger.exception("%s", run.command)
                run.exit_code, run.message = _NOT_STARTED, one_line(explain(error)) or _FAULT
            with self._lock:
                run.state = RunState.IDLE
                if run.exit_code is not None:
                    self._ended[run.command.root] = run

    def _next(self) -> _Run | None:
        with self._lock:
            self._queue.sort(key=lambda run: run.is_in_background)
            self._present = self._queue.pop(0) if self._queue else None
            if self._present:
                self._present.state = RunState.RUNNING
                if self._present.command.what == What.REFINE:  # it makes the anchors, too, of all that is ready by now
                    root = self._present.command.root
                    self._queue = [r for r in self._queue if r.command.root != root or not r.is_in_background]
            else:
                self._is_at_work = False
            return self._present

    def _carry_out(self, run: _Run) -> None:
        command = run.command
        if run.is_in_background and locks.is_taken(command.root):
            return
        with page_log.begun(command.root, str(command)) as log, self._lock:
            if run.is_stopping():
                return
            run.process = process = subprocess.Popen(
                page_log.announced([*self._program, *command.words]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        code = exit_code_of(process.wait())
        if code and run.is_stopping():
            code = INTERRUPTED  # it may not have come as far as to say so itself
        run.exit_code, run.message = code, in_words(command.task, code, process.pid)
        if not code and command.result:
            run.message = f"{run.message}: {command.result}"

    def _present_on(self, root: Path) -> _Run | None:
        return self._present if self._present and self._present.command.root == root else None

    def _check_free(self, root: Path) -> None:
        with self._lock:
            is_ours = self._present_on(root) is not None
        if not is_ours and locks.is_taken(root):
            raise BusyError(f"{locks.holder(root)} works on it; wait for it, or stop it")

    # --- the end ---------------------------------------------------------------------------------------------------

    def _stop(self, run: _Run) -> None:
        if run.state == RunState.RUNNING:
            run.state = RunState.STOPPING
            if (process := run.process) and process.poll() is None:
                self._end(process.pid, lambda: process.poll() is not None)

    def _stop_left(self, root: Path) -> None:
        head = _left_behind(root)
        if head is None or head.host != platform.node():
            raise BusyError(f"{locks.holder(root)} works on it, and was not started here; stop it where it runs")
        if root not in self._left_to_stop:
            self._left_to_stop.add(root)
            self._end(head.pid, lambda: not self._still_left(root))

    def _still_left(self, root: Path) -> bool:
        if locks.is_taken(root):
            return True
        self._left_to_stop.discard(root)
        return False

    def _end(self, group: int, has_ended: Callable[[], bool]) -> None:
        Thread(target=_end, args=(group, has_ended, self._patience_s), name="stop", daemon=True).start()


def _end(group: int, has_ended: Callable[[], bool], patience_s: float) -> None:
    """Ask a group of processes to stop, as Ctrl-C does; tell it to if it has not after a while."""
    for number in (signal.SIGINT, signal.SIGTERM):
        until = time.monotonic() + patience_s
        with suppress(ProcessLookupError):
            os.killpg(group, number)
        while time.monotonic() < until:
            if has_ended():
                return
            time.sleep(min(_LOOK_EVERY_S, patience_s))


def _left_behind(root: Path) -> Head | None:
    """The run that a former server has left at work on a sequence; None if it is another one that works on it."""
    head = page_log.head_of(root)
    return head if head and head.process in locks.holder(root).split("; ") else None


def _ended_without_us(task: RefineSequence) -> Told:
    """How the run has ended that a former server has started last."""
    head = page_log.head_of(task.root)
    if head is None:
        return Told()
    runs = [run for run in read_progress(task.root) if (run.pid, run.host) == (head.pid, head.host)]
    code = runs[-1].exit_code if runs else None
    message = in_words(task, code, head.pid) if code is not None else ""
    return Told(RunState.IDLE, _what(head.command), head.command, code, message)


def as_json(told: Told, root: Path) -> dict[str, Any]:
    """For the page, with the end of the log of the run that a page has started last."""
    return {
        "state": str(told.state),
        "what": str(told.what),
        "command": told.command,
        "exit": told.exit_code,
        "message": told.message,
        "log": page_log.last_lines(root),
    }


def _what(command: str) -> What:
    return next((what for what in What if command.startswith(f"lis {what} ")), What.REFINE)
