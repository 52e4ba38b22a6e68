"""A night on a real Slurm: three virtual nodes on this machine, made and removed by the tests.

Needs `slurm-wlm` and `munge` (Debian's names), and root; without them the tests are skipped.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tasks.submit import JOB, Night, submission_folder
from tests.conftest import REPOSITORY, Clip, Project, write_settings

NODES = ("n1", "n2", "n3")
CONFIGURATION = """
ClusterName=lis
SlurmctldHost=localhost
SlurmctldAddr=127.0.0.1
SlurmctldPort={control}
AuthType=auth/munge
AuthInfo=cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/control.pid
SlurmdPidFile={root}/%n.pid
SlurmctldLogFile={root}/control.log
SlurmdLogFile={root}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=2,bf_interval=2
MinJobAge=3600
NodeName=n[1-3] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[{nodes}] CPUs=1 RealMemory=8000 State=UNKNOWN
PartitionName=night Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


# --- what is submitted -----------------------------------------------------------------------------------------------


def test_a_gpu_is_asked_for_unless_the_options_say_which() -> None:
    plain = Night(["a"], Path("/night"), gpu=True)
    assert "--gres=gpu:1" in plain.array()
    assert "--gres=gpu:1" in plain.last_job("1")
    chosen = Night(["a"], Path("/night"), slurm=("--gpus=h100:1",), gpu=True)
    assert not [word for word in chosen.array() if word.startswith("--gres")]


def test_what_is_said_of_the_night_alone_goes_to_the_verdict() -> None:
    night = Night(["a"], Path("/night"), task="ReportSequence", options=["--brush-px", "4"], options_of_verdict=["--x"])
    assert night.array()[-3:] == ["ReportSequence", "--brush-px", "4"]
    assert night.last_job("1")[-1].endswith("night.txt --brush-px 4 --x")


@pytest.mark.parametrize(("names", "each", "elements"), [(1, 1, 1), (6, 1, 6), (6, 4, 2), (8, 4, 2), (9, 4, 3)])
def test_an_element_takes_so_many_sequences(names: int, each: int, elements: int) -> None:
    night = Night([str(number) for number in range(names)], Path("/night"), per_element=each, at_most=2)
    assert f"--array=0-{elements - 1}%2" in night.array()


def test_every_sequence_is_labelled_by_one_element_whatever_its_name(tmp_path: Path) -> None:
    names = ["plain", "-dash", "set/my cat", "Müller #1", "$HOME `id`", "last"]
    night = tmp_path / "night.txt"
    night.write_text("".join(f"{name}\n" for name in names))
    said = []
    for element in range(2):
        done = subprocess.run(
            ["bash", str(JOB), str(night), "4", sys.executable, "-c", "import sys; print('labels', sys.argv[1:])"],
            env={**os.environ, "SLURM_ARRAY_TASK_ID": str(element)},
            capture_output=True,
            text=True,
            check=True,
        )
        said += [line.removeprefix("labels ") for line in done.stdout.splitlines() if line.startswith("labels")]
    assert said == [
        "['--seq=plain']", "['--seq=-dash']", "['--seq=my cat', '--dataset=set']", "['--seq=Müller #1']",
        "['--seq=$HOME `id`']", "['--seq=last']",
    ]  # fmt: skip


def test_an_element_ends_with_the_worst_code_and_labels_the_others_all_the_same(tmp_path: Path) -> None:
    night = tmp_path / "night.txt"
    night.write_text("0\n30\n20\n")
    done = subprocess.run(
        ["bash", str(JOB), str(night), "3", "bash", "-c", "exit ${0#--seq=}"],
        env={**os.environ, "SLURM_ARRAY_TASK_ID": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 30
    assert re.findall(r"(\d+): exit code (\d+)", done.stdout) == [("0", "0"), ("30", "30"), ("20", "20")]


def test_where_there_is_no_slurm_it_is_said_in_a_line_and_the_job_can_be_looked_at(tmp_path: Path) -> None:
    project = _night(tmp_path, names=("one", "two"))
    environment = {**os.environ, "PATH": "/nowhere"}
    shown = _lis(project, "submit", "--list", "night.txt", "--dry-run", "--per-element", "2", env=environment)
    assert shown.returncode == 0
    assert JOB.read_text() in shown.stdout
    assert "--array=0-0 " in shown.stdout
    assert not (project.folder / "outputs").exists()
    refused = _lis(project, "submit", "--list", "night.txt", env=environment)
    assert refused.returncode == 30
    assert refused.stderr.startswith("found no `scontrol` on this machine, expected Slurm's commands.")
    assert len(refused.stderr.splitlines()) == 1


def test_folders_of_submissions_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert submission_folder(Path("outputs"), 0).is_relative_to(tmp_path / "outputs" / "bulk")


# --- a real one ------------------------------------------------------------------------------------------------------


@dataclass
class Slurm:
    """A controller and three nodes; commands find them by SLURM_CONF."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """For every command."""
        return {**os.environ, "SLURM_CONF": str(self.root / "slurm.conf"), "PYTHONPATH": str(REPOSITORY)}

    def ask(self, *command: str) -> str:
        """What a command of Slurm says."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self) -> dict[str, dict[str, str]]:
        """What Slurm knows of every job, by `array_element` or number."""
        found = {}
        for line in self.ask("scontrol", "-o", "show", "job").splitlines():
            fields = dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
            element = fields.get("ArrayTaskId", "")
            found[f"{fields['ArrayJobId']}_{element}" if element else fields["JobId"]] = fields
        return found

    def kill_node(self, node: str) -> None:
        """End all that runs on it at once, and tell the controller that it is down, as a monitoring would."""
        scripts = [
            each for each in psutil.process_iter() if any(f"{self.root}/spool-{node}/" in w for w in _words(each))
        ]
        steps = [script.parent() for script in scripts]
        daemon = psutil.Process(int((self.root / f"{node}.pid").read_text()))
        for each in [daemon, *(step for step in steps if step), *_with_children(scripts)]:
            each.send_signal(signal.SIGKILL)
        self.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=test")


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _with_children(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for each in processes for one in (each, *each.children(recursive=True))]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """Three idle nodes of one core each; all of it ends with the tests."""
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if not shutil.which(name)]
    if missing or os.geteuid():
        pytest.skip(f"NO SLURM HERE: {', '.join(missing) or 'not root'}; nights on a cluster were not tried")
    root = tmp_path_factory.mktemp("slurm")
    control, *nodes = _free_ports(4)
    for folder in ("state", *(f"spool-{node}" for node in NODES)):
        (root / folder).mkdir()
    text = CONFIGURATION.format(root=root, control=control, nodes=",".join(map(str, nodes)))
    (root / "slurm.conf").write_text(text)
    cluster = Slurm(root)
    munge = _authenticated(root)
    try:
        for command in (["slurmctld"], *(["slurmd", "-N", node] for node in NODES)):
            subprocess.run(command, env=cluster.environment, check=True, capture_output=True)
        _until(lambda: cluster.ask("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "3", 60)
        yield cluster
    finally:
        for job in psutil.process_iter():
            if any(f"{root}/" in word for word in _words(job)) or _configured_by(job, root):
                job.kill()
        if munge:
            munge.kill()
            munge.wait()


def _configured_by(process: psutil.Process, root: Path) -> bool:
    try:
        return process.environ().get("SLURM_CONF") == str(root / "slurm.conf")
    except psutil.Error:
        return False


def _authenticated(root: Path) -> subprocess.Popen | None:
    """Start the daemon that vouches for users, if none runs; its folder must not be writable for others."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
        return None
    Path("/run/munge").mkdir(exist_ok=True)
    shutil.chown("/run/munge", "munge")
    daemon = subprocess.Popen(["su", "-s", "/bin/sh", "munge", "-c", "exec /usr/sbin/munged --foreground"])
    _until(lambda: subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0, 20)
    return daemon


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _until(happened: Callable[[], bool], patience_s: float) -> None:
    end = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_night_with_a_lost_node_a_failure_and_a_sequence_that_waits(slurm: Slurm, tmp_path: Path) -> None:
    names = ("one", "two", "my third", "-four", "waits", "fails")
    project = _night(tmp_path, names)
    for name in names[:4]:
        project.seq = name
        project.scribble(2, 5, 8, 11)
    project.seq = "fails"
    (project.frames / "00003.png").write_bytes(b"no picture")
    submitted = _lis(project, "submit", "--list", "night.txt", "--requests", "3", "--json", env=slurm.environment)
    assert submitted.returncode == 0, submitted.stderr
    said = json.loads(submitted.stdout)
    array = said["job"]

    def victim() -> str | None:
        """The element of a sequence of which something, but not all, is there."""
        for element, name in enumerate(names[:4]):
            root = project.folder / "outputs" / name
            begun = any(root.glob("anchor_masks/*/manifest.json")) and not (root / "masks").exists()
            if begun and slurm.jobs()[f"{array}_{element}"]["JobState"] == "RUNNING":
                return f"{array}_{element}"
        return None

    _until(lambda: bool(victim()), 120)
    killed = victim() or ""
    element = int(killed.rpartition("_")[2])
    slurm.kill_node(slurm.jobs()[killed]["NodeList"])
    before = _made(project, names[element])
    _until(lambda: slurm.jobs()[killed]["Restarts"] == "1", 30)

    _until(lambda: all(job["JobState"] in ("COMPLETED", "FAILED") for job in slurm.jobs().values()), 300)
    codes = {key: job["ExitCode"] for key, job in slurm.jobs().items()}
    assert [codes[f"{array}_{number}"] for number in range(6)] == ["0:0"] * 4 + ["20:0", "30:0"]
    assert codes[said["verdict_job"]] == "30:0"
    output = (Path(said["output"]) / f"{element}.txt").read_text()
    assert "attempt 1" in output
    assert "attempt 2" in output
    assert [*dict.fromkeys(after := _made(project, names[element]))] == after, "nothing was made twice"
    assert after[: len(before)] == before
    verdict = Path(said["verdict"]).read_text()
    assert "4 done, 1 waiting, 1 failed" in verdict
    assert "00003" in verdict


@pytest.mark.slow
def test_more_sequences_than_an_array_has_elements_are_refused_with_what_to_do(slurm: Slurm, tmp_path: Path) -> None:
    project = _night(tmp_path, ("one",))
    (project.folder / "night.txt").write_text("".join(f"{number}\n" for number in range(1002)))
    refused = _lis(project, "submit", "--list", "night.txt", env=slurm.environment)
    assert refused.returncode == 30
    assert "--per-element 2" in refused.stderr
    assert not (project.folder / "outputs").exists()


def _night(folder: Path, names: tuple[str, ...]) -> Project:
    """A list, and a toy clip for each name."""
    write_settings(folder)
    project = Project(folder, Clip())
    for project.seq in names:
        project.write_frames()
    (folder / "night.txt").write_text("".join(f"{name}\n" for name in names))
    return project


def _lis(project: Project, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tasks", *arguments]
    environment = {**env, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)


def _made(project: Project, name: str) -> list[str]:
    """The stage folders that were made for a sequence, in order."""
    log = project.folder / "outputs" / name / "log.txt"
    return [line.split()[2] for line in log.read_text().splitlines() if " done in " in line]
