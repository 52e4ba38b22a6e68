"""What people did, and what their disks refused, is said in a message; a fault of the program is not explained away."""

import errno
import os
from pathlib import Path
from queue import Queue
from typing import Any

import luigi
import pytest
from luigi.parameter import ParameterException
from luigi.worker import TaskProcess

from stages.core.errors import InputError, StageError
from tasks.runtime.mistakes import disk_refuses, explain, one_line


def refusal(number: int, file: str | None = "/data/x") -> OSError:
    return OSError(number, os.strerror(number), file)


def raised(error: BaseException, *, by: BaseException, during: bool = False) -> BaseException:
    error.__context__ = by
    error.__cause__ = None if during else by
    return error


def test_a_mistake_says_itself() -> None:
    assert explain(InputError("no such sequence")) == "no such sequence"
    assert explain(ParameterException("not permitted")) == "not permitted"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, ["/data/x", "Read-only file system", "--scribbles-root", "--outputs-root"]),
        (errno.EACCES, ["/data/x", "Permission denied", "Allow it"]),
        (errno.ENOTDIR, ["/data/x", "Not a directory", "Check"]),
        (errno.ENOSPC, ["no room to write /data/x", "MiB free", "Make room"]),
    ],
)
def test_a_refusal_of_the_disk_says_where_and_what_to_do(number: int, words: list[str]) -> None:
    said = explain(refusal(number))
    assert all(word in said for word in words), said
    assert "\n" not in said


def test_a_refusal_without_a_file_says_what_was_written() -> None:
    assert "outputs/gym/masks: Input/output error" in disk_refuses(refusal(errno.EIO, None), Path("outputs/gym/masks"))
    assert "while writing outputs/gym/masks" in disk_refuses(refusal(errno.EIO), Path("outputs/gym/masks"))
    assert explain(OSError("truncated")).startswith("the disk: truncated")


def test_what_was_raised_from_a_mistake_says_both() -> None:
    assert explain(raised(RuntimeError("Luigi says"), by=StageError("no room"))) == "Luigi says: no room"
    assert explain(raised(RuntimeError("Luigi says"), by=InputError("none"), during=True)) == "Luigi says: none"
    assert "Permission" in explain(raised(RuntimeError("Luigi says"), by=refusal(errno.EACCES)))


class _Gone(luigi.ExternalTask):
    def complete(self) -> bool:
        return False


class _RestsOnIt(luigi.Task):
    def requires(self) -> luigi.Task:
        return _Gone()

    def on_failure(self, exception: BaseException) -> str:
        return explain(exception)


def test_what_was_taken_away_while_a_run_worked_is_told() -> None:
    told: Queue[Any] = Queue()
    TaskProcess(_RestsOnIt(), "worker", told, None).run()
    _, _, said, _, _ = told.get(timeout=1)
    assert "_Gone" in said and said.endswith("while the run worked; run the command again")


def test_a_fault_is_not_explained_away() -> None:
    assert explain(None) == explain(ZeroDivisionError("a fault")) == ""
    assert explain(raised(TypeError("a fault"), by=refusal(errno.ENOENT), during=True)) == ""


def test_several_lines_become_one() -> None:
    assert one_line("found:\n  this\nthat") == "found:   this, that"
