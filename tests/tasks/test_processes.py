"""Processes that stay for the next task: who works where, and what becomes of the others when one dies or fails."""

import atexit
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import luigi
import psutil
import pytest
from luigi.scheduler import Scheduler

from tasks.runtime import luigi_hooks, processes


class Noted(luigi_hooks.HookedTask):
    """Writes down which process did it; one after the other."""

    folder = luigi.Parameter()
    number = luigi.IntParameter()
    stays_warm = True

    @property
    def file(self) -> Path:
        return Path(self.folder) / f"{self.task_family} {self.number}"

    def requires(self) -> list[luigi.Task]:
        return [self.clone(number=self.number - 1)] if self.number else []

    def complete(self) -> bool:
        return self.file.exists()

    def run(self) -> Any:
        luigi_hooks.end_with_parent()
        self.file.write_text(str(os.getpid()), encoding="ascii")


class Alone(Noted):
    """Wants a process of its own each time."""

    stays_warm = False


class DiesOnce(Noted):
    """The second is killed."""

    def requires(self) -> list[luigi.Task]:
        return []

    def run(self) -> None:
        if self.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        super().run()


class FailsOnce(DiesOnce):
    """The second fails."""

    def run(self) -> None:
        if self.number == 1:
            raise ValueError("no")
        super().run()


class Finds(Noted):
    """Learns while it runs what it rests on."""

    def run(self) -> Iterator[luigi.Task]:
        yield Noted(folder=self.folder, number=self.number)
        super().run()


class Idle(Noted):
    """Kills the process that waits, before the next task."""

    killed: ClassVar[list[int]] = []

    def prepare(self) -> None:
        for child in psutil.Process().children():
            child.kill()
            child.wait()
            self.killed.append(child.pid)


class LosesItsParent(Noted):
    """Once the first is done; nothing of it looks after its parent."""

    def prepare(self) -> None:
        if self.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def run(self) -> None:
        self.file.write_text(str(os.getpid()), encoding="ascii")


@pytest.fixture(autouse=True)
def _unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luigi_hooks, "prepare", lambda: None)


def run(*tasks: luigi.Task, workers: int = 1) -> bool:
    with luigi_hooks._Worker(scheduler=Scheduler(retry_delay=0), worker_processes=workers) as worker:
        worker._config.force_multiprocessing, worker._config.wait_interval = True, 0.01
        for task in tasks:
            worker.add(task)
        return bool(worker.run())


def who_did(folder: Path) -> list[int]:
    """Those that did the tasks, in the order of their numbers."""
    return [int(file.read_text(encoding="ascii")) for file in sorted(folder.iterdir())]


def test_tasks_of_a_run_share_a_process_and_it_ends_with_the_run(tmp_path: Path) -> None:
    assert run(Noted(folder=str(tmp_path), number=4))
    (process,) = {*who_did(tmp_path)}
    assert process != os.getpid() and not psutil.pid_exists(process)


def test_a_task_that_leaves_something_behind_has_a_process_of_its_own(tmp_path: Path) -> None:
    assert run(Alone(folder=str(tmp_path), number=2))
    assert len({*who_did(tmp_path)}) == 3


def test_one_that_is_killed_takes_no_other_task_with_it(tmp_path: Path) -> None:
    tasks = [DiesOnce(folder=str(tmp_path), number=number) for number in range(4)]
    assert not run(*tasks)
    assert [task.complete() for task in tasks] == [True, False, True, True]
    assert len({*who_did(tmp_path)}) == 2


def test_nothing_is_done_where_something_has_failed(tmp_path: Path) -> None:
    tasks = [FailsOnce(folder=str(tmp_path), number=number) for number in range(4)]
    assert not run(*tasks)
    assert [task.complete() for task in tasks] == [True, False, True, True]
    assert len({*who_did(tmp_path)}) == 2


def test_a_task_that_came_later_is_done_in_a_process_that_knows_it(tmp_path: Path) -> None:
    assert run(Finds(folder=str(tmp_path), number=2))
    assert len(who_did(tmp_path)) == 6


def test_one_that_was_killed_while_it_waited_is_replaced(tmp_path: Path) -> None:
    assert run(Idle(folder=str(tmp_path), number=2))
    first, second, third = who_did(tmp_path)
    assert Idle.killed == [first, second] and third not in Idle.killed


def test_one_that_waits_ends_with_its_parent(tmp_path: Path) -> None:
    task = LosesItsParent(folder=str(tmp_path), number=1)
    parent = multiprocessing.get_context("fork").Process(target=run, args=[task])
    parent.start()
    parent.join()
    (process,) = who_did(tmp_path)
    deadline = time.monotonic() + 5
    while (stays := is_there(process)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if stays:
        os.kill(process, signal.SIGKILL)
    assert not stays


def is_there(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_end_that_was_interrupted_is_made_good_at_exit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    monkeypatch.setattr(atexit, "unregister", at_exit.remove)

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(processes._Staying, "end", interrupted)
        run(Noted(folder=str(tmp_path), number=0))
    (process,) = who_did(tmp_path)
    assert is_there(process)
    at_exit[-1]()
    assert not is_there(process)
    assert at_exit == []


def test_two_work_at_once(tmp_path: Path) -> None:
    assert run(*(Slow(folder=str(tmp_path), number=number) for number in range(4)), workers=2)
    assert len({*who_did(tmp_path)}) == 2


class Slow(DiesOnce):
    """Takes so long that two are at work."""

    def run(self) -> None:
        time.sleep(0.05)
        Noted.run(self)
