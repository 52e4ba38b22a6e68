"""One question: the same is looked at once while it lasts, and anew where something has changed."""

import os
from pathlib import Path
from typing import Any

import luigi
import luigi.interface
import pytest
from luigi.configuration import get_config
from luigi.scheduler import Scheduler

from stages.formats.files import append_line
from tasks import AnchorMask
from tasks.runtime import luigi_hooks
from tasks.runtime.published import LisTask
from tasks.runtime.questions import ask_anew, end_question, once_a_question, one_question, part_of_a_question
from tasks.runtime.runs import leave_all
from tests.conftest import Project


def test_what_was_found_first_counts_until_the_question_ends() -> None:
    numbers = iter(range(9))

    def look() -> int:
        return once_a_question(("number",), lambda: next(numbers))

    with one_question():
        assert (look(), look()) == (0, 0)
        with part_of_a_question():
            assert look() == 0
        ask_anew()
        assert (look(), look()) == (1, 1)
        end_question()
        assert (look(), look()) == (2, 3)
    with part_of_a_question():
        assert (look(), look()) == (4, 4)
    assert (look(), look()) == (5, 6)


class Low(LisTask):
    """What others rest on; it is there."""

    folder = luigi.Parameter()
    stays_warm = True

    def note(self, what: str) -> None:
        append_line(Path(self.folder) / f"{os.getpid()}.txt", what)

    def is_complete(self) -> bool:
        self.note("look")
        return True


class Middle(Low):
    number = luigi.IntParameter()

    @property
    def result(self) -> Path:
        return Path(self.folder) / f"{self.task_family} {self.number}"

    def requires(self) -> Any:
        return [self.clone(Low)]

    def is_complete(self) -> bool:
        return self.result.exists()

    def run(self) -> None:
        self.note("run")
        self.result.touch()


class Top(Middle):
    def requires(self) -> Any:
        return [self.clone(Middle, number=number) for number in range(3)]


def test_what_tasks_rest_on_is_looked_at_once_before_each_of_them_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more by the look whether it has made what it should."""
    monkeypatch.setattr(luigi_hooks, "prepare", lambda: None)
    with luigi_hooks._Worker(scheduler=Scheduler()) as worker:
        worker._config.force_multiprocessing, worker._config.check_complete_on_run = True, True
        worker.add(Top(folder=str(tmp_path), number=0))
        assert worker.run()
    said = {file.stem: file.read_text(encoding="utf-8").split() for file in tmp_path.glob("*.txt")}
    assert said.pop(str(os.getpid())) == ["look"], "the graph was built"
    assert list(said.values()) == [["look", "run", "look"] * 4]


def test_a_graph_that_is_being_built_reads_what_was_frozen_meanwhile(project: Project) -> None:
    project.scribble(5)
    task = project.task(AnchorMask, frame=5)
    try:
        with one_question():
            assert task.snapshot.frozen is None
            task.scheduled()
            project.scribble(5, 8)
            assert task.snapshot.frozen is not None
            assert task.snapshot.annotated == (5,)
    finally:
        leave_all()


def test_a_setting_of_luigis_counts_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheduler, workers in (("true", "3"), ("false", "2")):
        monkeypatch.setitem(get_config()["core"], "local_scheduler", scheduler)
        monkeypatch.setitem(get_config()["core"], "workers", workers)
        assert luigi_hooks.has_central_scheduler() is (not luigi.interface.core().local_scheduler)
        assert luigi_hooks.workers() == luigi.interface.core().workers == int(workers)
