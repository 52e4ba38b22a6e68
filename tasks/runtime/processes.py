"""The processes of a run: each stays for the next task, instead of one that is forked for every task.

A network's first steps in a process are dear: oneDNN compiles its code for the sizes that it meets, and memory comes
from the system page by page. A process that stays pays for that once, not for every task. It stays only for tasks that
say that they leave nothing behind (`HookedTask.stays_warm`), and not after one that failed; it knows the tasks that
were scheduled when it was forked, and finds loaded what its parent had loaded by then. One that is killed takes the
task with it that it works on, and no other.
"""

import atexit
import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Final

import luigi
import luigi.worker
from luigi.task_status import FAILED, PENDING

from tasks.runtime import machine
from tasks.runtime.questions import one_question

_MOMENT_S: Final = 0.5


class Processes:
    """Those of one of Luigi's workers."""

    def __init__(self, worker: luigi.worker.Worker) -> None:
        """From now on the worker's tasks work in them."""
        self._worker, self._make = worker, worker._create_task_process
        self._staying: list[_Staying] = []
        self._loaded: set[str] = set()
        self._looked_at = 0
        worker._create_task_process = self._turn_of  # type: ignore[method-assign]
        atexit.register(self.end)  # before multiprocessing waits for them

    def _turn_of(self, task: Any) -> "luigi.worker.TaskProcess | _Turn":
        made = self._make(task)  # loads what the task needs, see `HookedTask.prepare`
        made.run = _asking_at_once(made.run)
        if not made.use_multiprocessing or not _stays(task):
            return made
        self._loaded.update(task.modules())
        return _Turn(made, self)

    def load_ahead(self) -> None:
        """Load what one more kind of task will need: called while tasks are at work."""
        task: Any
        for task, status, _ in self._worker._add_task_history[self._looked_at :]:
            self._looked_at += 1
            with suppress(Exception):  # what is wrong with it is left for the task to meet, and to tell
                if status == PENDING and _stays(task) and not self._loaded.issuperset(task.modules()):
                    self._loaded.update(task.modules())
                    task.load()
                    break

    def begin(self, made: luigi.worker.TaskProcess) -> "_Staying":
        """Let a process work on a task: one that waits and has all that the task needs, or a new one."""
        at_work = [turn.process for turn in self._worker._running_tasks.values() if isinstance(turn, _Turn)]
        for process in [each for each in self._staying if each not in at_work]:
            if process.suits(made.task) and not self._has_failed(process.task) and process.told(made.task):
                return process
            self._staying.remove(process)
            process.end()
        process = _Staying(made, self._worker, frozenset(self._loaded))
        self._staying.append(process)
        return process

    def _has_failed(self, task: luigi.Task) -> bool:
        """As Luigi has written it down."""
        return any(status == FAILED for each, status, _ in self._worker._add_task_history if each is task)

    def end(self) -> None:
        """Let all of them go; Luigi has ended those that worked. What is interrupted is done again at exit."""
        for process in self._staying:
            process.end()
        self._staying.clear()
        atexit.unregister(self.end)


class _Turn:
    """A task's turn in a process, which looks to Luigi like a process of the task's own."""

    use_multiprocessing = True

    def __init__(self, made: luigi.worker.TaskProcess, processes: Processes) -> None:
        self.task, self.worker_timeout, self.timeout_time = made.task, made.worker_timeout, made.timeout_time
        self.process: _Staying | None = None
        """None until it has begun."""
        self._made, self._processes = made, processes

    def start(self) -> None:
        self.process = self._processes.begin(self._made)

    def is_alive(self) -> bool:
        return self.process is not None and self.process.is_alive()

    @property
    def exitcode(self) -> int | None:
        """A process that ends during a task's turn has failed, however it ended."""
        return None if self.process is None or self.is_alive() else self.process.exitcode or 1

    def terminate(self) -> None:
        if self.process is not None:
            self.process.terminate()


class _Staying:
    """A process that was forked for a task, and may be given others."""

    def __init__(self, made: luigi.worker.TaskProcess, worker: luigi.worker.Worker, loaded: frozenset[str]) -> None:
        self.task: luigi.Task = made.task
        """What it works on, or worked on last."""
        self._process, self._worker, self._loaded = made, worker, loaded
        self._known = {**worker._scheduled_tasks}
        orders, self._teller = multiprocessing.Pipe(duplex=False)
        made.run = self._work(made.run, orders)  # type: ignore[method-assign]
        made.start()
        orders.close()

    def suits(self, task: Any) -> bool:
        """Whether it is there, knows the task, and has loaded what the task needs."""
        return self.is_alive() and task.task_id in self._known and self._loaded.issuperset(task.modules())

    def told(self, task: luigi.Task) -> bool:
        """Whether it could be told to work on a task."""
        with suppress(OSError):
            self._teller.send(task.task_id)
            self.task = task
            return True
        return False

    def end(self) -> None:
        """Let it go, and wait until it has gone: it holds the locks of the run, too."""
        with suppress(OSError):
            self._teller.send(None)
        self._teller.close()
        self._process.join(_MOMENT_S)
        self._process.kill()

    def is_alive(self) -> bool:
        return bool(self._process.is_alive())

    @property
    def exitcode(self) -> int | None:
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def _work(self, run: Callable[[], None], orders: Connection) -> Callable[[], None]:
        """What the process does: one task after another, each as Luigi would run it in a process of its own."""

        def work() -> None:
            made, worker = self._process, self._worker
            run()
            while task_id := _next(orders):
                made.task = self._known[task_id]
                made.status_reporter = luigi.worker.TaskStatusReporter(worker._scheduler, task_id, worker._id, None)
                run()

        return work


def _asking_at_once(run: Callable[[], None]) -> Callable[[], None]:
    """A turn begins with a look at each task that the one at work requires: one question, until the work begins."""

    def asked_at_once() -> None:
        with one_question():
            run()

    return asked_at_once


def _stays(task: luigi.Task) -> bool:
    return bool(getattr(task, "stays_warm", False))  # Luigi's own tasks do not say


def _next(orders: Connection) -> str | None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    awaited = orders, parent.sentinel
    if not (ready := wait(awaited, _MOMENT_S)):
        machine.release_freed_memory()  # others may need it
        ready = wait(awaited)
    task_id: str | None = orders.recv() if orders in ready else None
    return task_id
