"""Canaries: what `tasks/runtime/luigi_hooks.py` takes for granted of Luigi 3.8.1, shown with Luigi itself.

If one of them falls silent with a new version of Luigi, the hook that it names no longer does what it promises.
"""

import argparse
import importlib.metadata
import logging
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import ClassVar

import luigi
import luigi.interface
import luigi.parameter
import luigi.scheduler
import luigi.task_register
import luigi.worker
import pytest
from luigi.cmdline_parser import CmdlineParser

from stages.core.errors import InputError, StageError
from tasks.inputs import Frames
from tasks.runtime import luigi_command, luigi_hooks, luigi_schedule
from tests.conftest import LUIGI, REPOSITORY, Project


def run_python(code: str, folder: Path = REPOSITORY) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_luigi_is_the_version_that_the_hooks_were_written_for() -> None:
    """Another one may do: read through the other canaries, then raise the number in `luigi_hooks`."""
    assert importlib.metadata.version("luigi") == luigi_hooks.WRITTEN_FOR


def test_importing_tasks_changes_nothing_in_a_program_that_is_not_luigi() -> None:
    """No handler, no patched module; only settings of Luigi's own."""
    assert (
        run_python(
            """
            import logging, signal, sys
            import luigi.interface, luigi.worker, luigi.task, luigi.scheduler
            modules = (luigi.worker, luigi.scheduler, luigi.interface, luigi.task)
            def state():
                return (
                    [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)],
                    sys.excepthook, logging.getLogger("luigi-interface").filters[:],
                    logging.getLogger("lis").handlers[:], logging.getLogger("lis").level,
                    [dict(vars(module)) for module in modules],
                )
            before = state()
            import tasks
            print(state() == before)
            """
        )
        == "True"
    )


def test_a_task_that_is_scheduled_by_another_program_makes_the_process_ready(project: Project) -> None:
    code = """
        import signal, luigi, luigi.worker, tasks
        before = signal.getsignal(signal.SIGTERM)
        luigi.build([tasks.Frames(seq="toy")], local_scheduler=True)
        after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        print(before == signal.SIG_DFL, after == [luigi.worker.fork_lock.stop] * 2)
    """
    assert run_python(code, project.folder).splitlines()[-1] == "True True"


@pytest.mark.parametrize("command", [[str(LUIGI)], [sys.executable, "-m", "luigi"]])
def test_luigis_own_command_is_recognised(project: Project, command: list[str]) -> None:
    """is_luigis_command: a mistake is one line there, since the process is ours."""
    done = subprocess.run(
        [*command, "--module", "tasks", "RefineSequense"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines() == [
        "No task RefineSequense. Did you mean: RefineSequence, RefineSegment, ReportSequence"
    ]


class Recorded(luigi_hooks.HookedTask):
    """Notes what Luigi asks of it."""

    name = luigi.Parameter()
    asked: ClassVar[list[str]] = []

    def complete(self) -> bool:
        return "run" in self.asked

    def prepare(self) -> None:
        self.asked.append("prepare")

    def scheduled(self) -> None:
        self.asked.append("scheduled")

    def memory_mib(self) -> int:
        self.asked.append("memory")
        return 1

    def run(self) -> None:
        self.asked.append("run")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setattr(luigi_hooks, "prepare", lambda: None)
    monkeypatch.setattr(Recorded, "asked", [])
    return Recorded(name="a")


def test_luigi_schedules_asks_for_memory_and_prepares_before_it_runs(recorded: Recorded) -> None:
    """deps, resources, worker_timeout: in this order, in this process."""
    worker = luigi.worker.Worker(scheduler=luigi.scheduler.Scheduler())
    worker._config.force_multiprocessing = False
    assert worker.add(recorded)
    assert recorded.asked[:2] == ["scheduled", "memory"]
    worker.run()
    asked = recorded.asked
    assert asked.index("prepare") < asked.index("run")
    assert "prepare" not in asked[: asked.index("memory")]


def test_a_clone_is_made_once_and_parameters_are_searched_once(recorded: Recorded) -> None:
    assert recorded.clone(name="b") is recorded.clone(name="b")
    assert recorded.clone(name="b").name == "b"
    assert Recorded.get_params() is Recorded.get_params()
    assert dict(Recorded.get_params()) == dict(luigi.Task.get_params.__func__(Recorded))  # type: ignore[attr-defined]


def test_luigis_parser_is_built_once_for_the_tasks_that_there_are() -> None:
    """_once_for_all_tasks: which arguments it is built from; a command builds it six times."""
    built: list[tuple[str | None, bool]] = []

    def build(root_task: str | None = None, help_all: bool = False) -> argparse.ArgumentParser:
        built.append((root_task, help_all))
        return CmdlineParser._build_parser(root_task, help_all)

    parser = luigi_hooks._once_for_all_tasks(build)
    assert parser() is parser() and parser(root_task="Recorded", help_all=False) is parser("Recorded")
    newcomer = type("Newcomer", (luigi.Task,), {"such": luigi.Parameter(default="")})
    assert "--Newcomer-such" in parser()._option_string_actions
    luigi.task_register.Register._reg.remove(newcomer)
    assert built == [(None, False), ("Recorded", False), (None, False)]


class Fails(luigi.Task):
    """A task that says why."""

    seq = luigi.Parameter()

    def complete(self) -> bool:
        return False

    def run(self) -> None:
        raise ValueError("the reason")

    def on_failure(self, exception: BaseException) -> str:
        return str(exception)


def test_a_schedule_inside_of_a_task_tells_why_tasks_failed() -> None:
    """schedule: the factory, task_list, fetch_error."""
    assert luigi_schedule.schedule([Fails(seq="one"), Fails(seq="two")]) == {
        ("", "one"): "Fails: the reason",
        ("", "two"): "Fails: the reason",
    }


def test_what_luigi_says_at_every_step_is_known() -> None:
    """_quiet: the words by which its bookkeeping is told from what people should read."""
    package = Path(str(luigi.__file__)).parent
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py")))
    for words in luigi_hooks._NOISE:
        if words != "Worker Worker(":  # "Worker " and a worker's own name
            assert words in source, words
    assert luigi.worker.Worker(scheduler=luigi.scheduler.Scheduler())._id.startswith("Worker(")
    for word in (" running   ", " done   "):
        assert word in source


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


def test_a_hooked_task_has_no_timeout_of_its_own() -> None:
    assert luigi_hooks.HookedTask().worker_timeout is None


@pytest.mark.slow
def test_luigis_command_line_can_be_read_and_run_from_inside(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """task_of, run_command, hide_summary: the parser, the exit code, the words of the summary."""
    words = ["--module", "tasks", "Frames", "--seq", "toy"]
    task = luigi_command.task_of(words)
    assert (task.task_family, task.seq) == ("Frames", "toy")  # type: ignore[attr-defined]
    code = f"""
        from tasks.runtime import luigi_command
        luigi_command.hide_summary()
        good, bad = luigi_command.run_command({words}), luigi_command.run_command({[*words[:-1], "nope"]})
        print(good.exit_code, bad.exit_code, good.errors, len(bad.errors), "nope" in bad.errors[0])
    """
    assert run_python(code, project.folder).splitlines()[-1] == "0 30 () 1 True"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=project.folder, capture_output=True, text=True, check=True
    )
    assert "Summary" not in done.stderr


def test_classes_that_others_build_on_are_no_tasks_to_ask_for() -> None:
    """abstract: Luigi's register is a list of classes."""
    names = luigi.task_register.Register.task_names()
    assert {"RefineSequence", "RefineAnchor", "TrainNetwork"} <= set(names)
    assert not {"HookedTask", "LisTask", "StageTask", "EngineTask", "RefineTask", "SegmentTask"} & set(names)


def test_parameters_without_a_default_are_known() -> None:
    """is_required."""
    parameters = dict(luigi_hooks.HookedTask.get_params.__func__(Recorded))  # type: ignore[attr-defined]
    assert luigi_command.is_required(parameters["name"])
    assert not luigi_command.is_required(luigi.Parameter(default=""))


def test_settings_that_are_read_by_name_are_not_reported_as_unknown() -> None:
    assert {"rpc_retry_attempts", "rpc_retry_wait"} <= set(luigi.interface.core.ignore_unconsumed)


def test_a_stopped_run_leaves_no_children(project: Project) -> None:
    """prepare: Luigi ends its children on KeyboardInterrupt only."""
    code = """
        import os, signal, subprocess, sys, time
        run = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, text=True)
        time.sleep(0.1)
        run.send_signal(signal.SIGTERM)
        print(run.wait(30))
    """
    script = project.folder / "stop.py"
    script.write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, str(script), *project.command("Frames")[:-2]],
        cwd=project.folder, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert int(done.stdout) in (-signal.SIGTERM, -signal.SIGINT, 130, 0)


def test_a_signal_that_comes_while_a_process_forks_is_not_lost() -> None:
    """Python drops what a handler raises in the hooks of `fork`; a run that was told to stop would go on."""
    program = """if True:
        import os, signal, luigi.worker
        from tasks.runtime import luigi_hooks

        luigi_hooks.prepare()
        os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGTERM))
        try:
            with luigi.worker.fork_lock:
                child = os.fork()
                if not child:
                    os._exit(0)
        except KeyboardInterrupt:
            print("stopped")
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("stopped\n", "")


def test_a_reason_that_cannot_be_written_down_hides_no_other(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(luigi_command, "_told", [tmp_path / "gone"])
    task = project.task(Frames)
    assert task.on_failure(StageError("no room")) == "no room"


def test_a_clock_that_jumps_does_not_part_a_run_from_its_own_scheduler(
    project: Project,
) -> None:
    """As it does when a machine slept: Luigi's own delay is a minute."""
    project.scribble(2, 5, 8, 11)
    words = [*project.command("Frames")[1:4], "--seq", project.seq]
    program = f"""if True:
        import itertools, sys, time
        from tasks.runtime import luigi_command

        now, hours = time.time, itertools.count()
        time.time = lambda: now() + 3600 * next(hours)
        sys.exit(luigi_command.run_command({words!r}).exit_code)
    """
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
