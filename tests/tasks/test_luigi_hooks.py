"""What the hooks assume of Luigi: when it calls what, where, and how it reports a mistake."""

import json
import logging
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import luigi
import pytest

from stages.core.errors import InputError, StageError
from tasks import AnchorMask, RefineSequence
from tasks.runtime import luigi_hooks
from tasks.runtime.luigi_hooks import HookedTask

CODE = """
import json, os, signal, sys
import luigi
from luigi.configuration import get_config
from stages.core.errors import InputError
from tasks.runtime import luigi_hooks
from tasks.runtime.luigi_hooks import HookedTask

get_config().set("worker", "force_multiprocessing", "true")

def tell(what, seq):
    with open("events", "a") as file:
        print(json.dumps([what, seq, os.getpid()]), file=file)

class Told(HookedTask):
    seq = luigi.Parameter()
    def output(self): return luigi.LocalTarget(self.seq)
    def prepare(self): tell("prepare", self.seq)
    def scheduled(self): tell("scheduled", self.seq)
    def requires(self):
        if self.seq == "mistaken": raise InputError("the name is mistaken")
        return []
    def run(self):
        tell("run", self.seq)
        self.requires()
        if self.seq == "broken": raise InputError("the picture is broken")
        if self.seq == "killed": os.kill(os.getpid(), signal.SIGKILL)
        if self.seq != "forgetful": open(self.seq, "w").close()

failures = luigi_hooks.schedule([Told(seq=name) for name in sys.argv[1:]])
print(json.dumps({"pid": os.getpid(), "failures": failures}))
"""


@pytest.fixture(scope="module")
def schedule(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[list[Any]]]:
    """A schedule of tasks that succeed, fail, are killed, or are done already: what it says, and what happened."""
    folder = tmp_path_factory.mktemp("schedule")
    (folder / "done").touch()
    names = ["good", "broken", "mistaken", "killed", "done"]
    done = subprocess.run([sys.executable, "-c", CODE, *names], cwd=folder, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in (folder / "events").read_text().splitlines()]
    return json.loads(done.stdout.splitlines()[-1]), events


def test_the_version_of_luigi_is_the_one_whose_code_was_read() -> None:
    assert version("luigi") == luigi_hooks.WRITTEN_FOR, "read what the hooks lean on again, and change WRITTEN_FOR"


def test_a_task_is_prepared_in_the_parent_before_its_process_runs(schedule: tuple) -> None:
    said, events = schedule
    for name in ("good", "broken", "killed"):
        order = [(what, pid == said["pid"]) for what, seq, pid in events if seq == name and what != "scheduled"]
        assert order[0] == ("prepare", True)
        assert order[-1] == ("run", False)


def test_incomplete_tasks_are_told_that_they_are_scheduled_in_the_parent_first(schedule: tuple) -> None:
    said, events = schedule
    for name in ("good", "broken", "mistaken", "killed"):
        first = next((what, pid) for what, seq, pid in events if seq == name)
        assert first == ("scheduled", said["pid"])
    assert not [event for event in events if event[1] == "done"]


def test_why_a_task_failed_is_said_in_its_own_words(schedule: tuple) -> None:
    failures = schedule[0]["failures"]
    assert set(failures) == {"broken", "mistaken", "killed"}
    assert failures["broken"] == "Told: the picture is broken"
    assert failures["mistaken"] == "Told: the name is mistaken", "met while scheduling, told by the task"
    assert "died unexpectedly with exit code -9" in failures["killed"]


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_parameters_are_those_that_luigi_finds() -> None:
    luigis = luigi.Task.get_params.__func__(RefineSequence)  # type: ignore[attr-defined]
    assert RefineSequence.get_params() == luigis
    assert RefineSequence.get_params() is RefineSequence.get_params()
    assert AnchorMask.get_params() != RefineSequence.get_params()


def test_a_clone_is_remembered_and_is_luigis() -> None:
    task = RefineSequence(seq="gym", requests=3, segmenter="grabcut")
    clone = task.clone(AnchorMask, frame=4)
    assert clone is task.clone(AnchorMask, frame=4)
    assert clone == AnchorMask(seq="gym", requests=3, segmenter="grabcut", frame=4)
    assert task.clone(AnchorMask, frame=5) != clone
    assert task.clone(seq="bmx").seq == "bmx"


# --- what people read ------------------------------------------------------------------------------------------------


def logged(message: str, level: int = logging.INFO, error: BaseException | None = None) -> str | None:
    """What is left of a line of Luigi's log; None if it is dropped."""
    trace = (type(error), error, None) if error else None
    record = logging.LogRecord("luigi-interface", level, "worker.py", 1, message, (), trace)
    return logging.Formatter("%(message)s").format(record) if luigi_hooks._quiet(record) else None


def test_bookkeeping_is_dropped_and_the_rest_is_kept() -> None:
    assert logged("Informed scheduler that task  Frames_1  has status  PENDING") is None
    assert logged("[pid 12] Worker Worker(...) running   Frames(seq=gym)") is None
    assert logged("Informed scheduler", logging.ERROR) == "Informed scheduler"
    assert logged("===== Luigi Execution Summary =====") == "===== Luigi Execution Summary ====="


def test_a_users_mistake_is_told_without_a_stack_trace_and_any_other_with_one() -> None:
    assert logged("[pid 12] failed", logging.ERROR, InputError("no such sequence")) == "no such sequence"
    wrapped = RuntimeError("Luigi says")
    wrapped.__cause__ = StageError("no room")
    assert logged("[pid 12] failed", logging.ERROR, wrapped) == "Luigi says: no room"
    fault = logged("[pid 12] failed", logging.ERROR, ZeroDivisionError("a fault"))
    assert fault is not None and fault.startswith("[pid 12] failed\n") and "ZeroDivisionError" in fault


@pytest.mark.parametrize(
    ("argv0", "expected"),
    [("/usr/bin/luigi", True), ("luigi", True), ("luigid", False), ("pytest", False), ("", False)],
)
def test_luigis_command_is_known(monkeypatch: pytest.MonkeyPatch, argv0: str, expected: bool) -> None:
    monkeypatch.setattr(sys, "argv", [argv0])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    assert luigi_hooks.is_luigis_command() is expected


def test_a_program_that_imports_the_tasks_keeps_its_signals_and_its_log(tmp_path: Path) -> None:
    code = (
        "import logging, signal, sys; before = signal.getsignal(signal.SIGTERM), sys.excepthook; import tasks\n"
        "assert (signal.getsignal(signal.SIGTERM), sys.excepthook) == before\n"
        "assert not logging.getLogger('lis').handlers"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_a_hooked_task_has_no_timeout_of_its_own() -> None:
    assert HookedTask().worker_timeout is None
