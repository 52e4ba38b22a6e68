"""Killed, stopped, out of room: a rerun completes, the result is the same, nothing is left behind."""

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from stages.core.states import State
from stages.formats.progress import read_progress
from tasks.status import standing
from tests.conftest import LUIGI, Project


def start(project: Project, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        project.command("RefineSequence", *arguments),
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=listen,
    )


def listen() -> None:
    """As from a terminal: what a shell starts in the background would be deaf to SIGINT, and hand that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def workers_of(project: Project) -> list[int]:
    """Processes of this project's runs that are still alive."""
    alive = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        command = process.info["cmdline"] or []
        here = process.info["cwd"] == str(project.folder)
        if str(LUIGI) in command and here and process.info["status"] != psutil.STATUS_ZOMBIE:
            alive.append(process.pid)
    return alive


def wait_until_none_works(project: Project, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while workers_of(project) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers_of(project) == []


def wait_for(condition: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition.exists():
        assert time.monotonic() < deadline, f"{condition} never appeared"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        ("1", signal.SIGINT),
        ("2", signal.SIGTERM),
        ("2", signal.SIGKILL),
        pytest.param("1", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("1", signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("2", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_leaves_no_process_and_goes_on(finished: Project, workers: str, number: signal.Signals) -> None:
    expected = finished.snapshot()
    shutil.rmtree(finished.root)
    run = start(finished, "--workers", workers)
    wait_for(finished.root / "frames" / "manifest.json")
    assert run.pid in workers_of(finished)
    run.send_signal(number)
    output, _ = run.communicate(timeout=30)
    assert run.returncode != 0
    assert "Traceback" not in output
    wait_until_none_works(finished)
    assert standing(finished.task()).state == State.STOPPED
    finished.run()
    assert finished.snapshot() == expected
    assert finished.litter() == []
    assert [each.exit_code for each in read_progress(finished.root)] == [0]


@pytest.mark.slow
def test_a_task_killed_by_the_kernel_fails_alone(finished: Project) -> None:
    """As the kernel does when memory runs out: SIGKILL for one task's process; the run itself lives and reports it."""
    expected = finished.snapshot()
    shutil.rmtree(finished.root)
    run = start(finished)
    while run.poll() is None:
        if half_written := list(finished.root.glob("tracks/.tmp-*")):  # named after the process that writes there
            os.kill(int(half_written[0].name.rpartition("-")[2]), signal.SIGKILL)
            break
        time.sleep(0.005)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 30, output
    assert "died unexpectedly with exit code -9" in output
    found = standing(finished.task())
    assert found.state == State.FAILED
    assert found.reason.startswith("TrackSegment: ") and "exit code -9" in found.reason
    finished.run()
    assert finished.snapshot() == expected
    assert finished.litter() == []


@pytest.mark.slow
def test_two_runs_do_not_work_on_one_sequence(finished: Project) -> None:
    shutil.rmtree(finished.root)
    first = start(finished)
    wait_for(finished.root / "frames" / "manifest.json")
    first.send_signal(signal.SIGSTOP)
    output = finished.run(expect=30)
    assert f"process {first.pid}" in output
    first.send_signal(signal.SIGCONT)
    first.communicate(timeout=60)
    assert first.returncode == 0
    finished.ran()
    finished.run()
    assert finished.ran() == []


@pytest.mark.slow
def test_a_full_disk_is_a_clear_error_and_costs_nothing_that_was_done(finished: Project) -> None:
    """A limit on the size of a file stands for the full disk: it needs no right to mount, and meets the same code."""
    expected = finished.snapshot()
    shutil.rmtree(finished.root)

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))

    done = subprocess.run(
        finished.command("RefineSequence"),
        cwd=finished.folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_files,
    )
    assert done.returncode == 30
    assert "no room to write" in done.stderr
    assert "Traceback" not in done.stderr
    assert finished.litter() == []
    finished.run()
    assert finished.snapshot() == expected


@pytest.mark.slow
def test_thirty_kills_at_random_moments(finished: Project) -> None:
    expected = finished.snapshot()
    rng = random.Random(20)
    for number in range(30):
        if number % 6 == 0:
            shutil.rmtree(finished.root, ignore_errors=True)  # all were killed before they made it
        run = start(finished, "--workers", rng.choice("12"))
        time.sleep(rng.uniform(0.3, 2.0))
        os.kill(run.pid, signal.SIGKILL)
        run.communicate(timeout=30)
        wait_until_none_works(finished)
    finished.run()
    assert finished.snapshot() == expected
    assert finished.litter() == []
