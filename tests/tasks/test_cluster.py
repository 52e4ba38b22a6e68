"""Many machines, on this one: a real luigid, workers started apart from each other, and who may work on a sequence."""

import configparser
import contextlib
import fcntl
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import luigi.interface
import luigi.scheduler
import luigi.worker
import psutil
import pytest

from stages.core.errors import StageError
from stages.formats.files import publishing
from stages.formats.manifest import publish, read_manifest
from tasks.runtime import locks
from tasks.runtime.sequence import StageTask
from tests.conftest import LUIGI, REPOSITORY, Clip, Project, write_settings

SETTINGS = REPOSITORY / "luigi.cluster.cfg"


# --- settings --------------------------------------------------------------------------------------------------------


def test_every_setting_is_known_to_luigi_and_has_a_comment() -> None:
    settings = configparser.ConfigParser()
    settings.read(SETTINGS)
    classes = {
        "core": luigi.interface.core,
        "worker": luigi.worker.worker,
        "scheduler": luigi.scheduler.scheduler,
    }
    fetched_by_name = {"rpc_retry_attempts", "rpc_retry_wait"}
    assert set(settings.sections()) == set(classes)
    for section, settings_class in classes.items():
        assert set(settings[section]) <= {name for name, _ in settings_class.get_params()} | fetched_by_name
    for before, line in pairwise(SETTINGS.read_text().splitlines()):
        if before.startswith("["):
            assert line.startswith("#"), line


@pytest.mark.parametrize("own_settings", [True, False], ids=["beside a luigi.cfg", "in a folder without luigi.cfg"])
def test_they_win_and_what_they_leave_open_holds(tmp_path: Path, own_settings: bool) -> None:
    if own_settings:
        write_settings(tmp_path)
    code = (
        "import tasks, luigi.interface as i, luigi.worker as w, luigi.retcodes as r\n"
        "print(i.core().local_scheduler, i.core().no_lock, w.worker().keep_alive, w.worker().force_multiprocessing, "
        "r.retcode().task_failed, tasks.RefineSequence(seq='x').refiner)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "LUIGI_CONFIG_PATH": str(SETTINGS), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    refiner = "guided" if own_settings else "cascadepsp:lite"
    assert done.stdout.split() == ["False", "True", "True", "True", "30", refiner]
    assert "not consumed" not in done.stderr


# --- who may work on a sequence --------------------------------------------------------------------------------------


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict]]:
    """Switch to another run, which has locks of its own; or back to one."""
    started: list[dict] = []
    monkeypatch.setattr(locks, "_PATIENCE_S", 0)

    def switch(run: dict | None = None) -> dict:
        started.append({} if run is None else run)
        monkeypatch.setattr(locks, "_locks", started[-1])
        return started[-1]

    yield switch
    for run in started:
        monkeypatch.setattr(locks, "_locks", run)
        locks.release_all()


@pytest.mark.parametrize(
    ("first", "second", "admitted"),
    [
        ("local", "local", False),
        ("local", "central", False),
        ("central", "local", False),
        ("central", "central", True),
    ],
)
def test_only_workers_of_a_central_scheduler_share_a_sequence(
    tmp_path: Path, runs: Callable, first: str, second: str, admitted: bool
) -> None:
    runs()
    locks.require(tmp_path, shared=first == "central")
    runs()
    assert locks.claim(tmp_path, shared=second == "central") is admitted
    assert locks.holds(tmp_path) is admitted
    if not admitted:
        with pytest.raises(locks.BusyError, match=f"process {os.getpid()} on .*nothing was changed"):
            locks.require(tmp_path, shared=second == "central")


def test_a_sequence_is_free_again_when_the_last_worker_has_left(tmp_path: Path, runs: Callable) -> None:
    one, two = runs(), runs()
    for run in (one, two):
        runs(run)
        locks.require(tmp_path, shared=True)
    locks.release_all()
    runs()
    assert not locks.claim(tmp_path, shared=False)
    runs(one)
    locks.release_all()
    runs()
    assert locks.claim(tmp_path, shared=False)


def test_a_look_at_a_lock_tells_whether_another_run_works_and_leaves_no_trace(tmp_path: Path, runs: Callable) -> None:
    assert not locks.is_taken(tmp_path / "never made")
    assert not (tmp_path / "never made").exists()
    mine = runs()
    locks.require(tmp_path, shared=False)
    assert not locks.is_taken(tmp_path), "it is this run that works on it"
    other = runs()
    assert locks.is_taken(tmp_path)
    assert not other
    runs(mine)
    locks.release_all()
    runs(other)
    assert not locks.is_taken(tmp_path)


def test_what_a_living_worker_has_half_written_stays_and_the_last_to_leave_sweeps(
    tmp_path: Path, runs: Callable
) -> None:
    one = runs()
    locks.require(tmp_path, shared=True)
    half_written = tmp_path / "tracks" / ".tmp-00000-00004-elsewhere-1"
    half_written.mkdir(parents=True)
    runs()
    locks.require(tmp_path, shared=True)
    locks.release_all()
    assert half_written.exists()
    runs(one)
    locks.release_all()
    assert not half_written.exists()


def test_a_refusal_to_lock_is_not_taken_for_another_run(tmp_path: Path) -> None:
    """A descriptor that admits no lock stands for a file system without locks."""
    descriptor = os.open(tmp_path, os.O_PATH)
    with pytest.raises(OSError, match="Bad file descriptor"):
        locks._flock(descriptor, fcntl.LOCK_EX)
    os.close(descriptor)


# --- one result, however many make it --------------------------------------------------------------------------------


def publish_often(folder: Path) -> None:
    for _ in range(40):
        with publishing(folder) as temporary:
            (temporary / "a.txt").write_text("same")
            publish(temporary, folder, stage="test", key={"of": "both"}, weights={}, objects=[], run={})


def test_two_processes_may_publish_the_same_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=publish_often, args=(tmp_path / "stage",)) for _ in range(3)]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    assert [one.exitcode for one in processes] == [0] * len(processes)
    assert read_manifest(tmp_path / "stage") is not None
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


class Retold(StageTask):
    """A stage that somebody disturbs while it works."""

    stage = "retold"

    def folder(self) -> Path:
        return Path("retold")

    def uses(self) -> dict[str, object]:
        return {"told": (self.root / "told").read_text()}

    def work(self, folder: Path) -> list[int]:
        (folder / "retold").write_text((self.root / "told").read_text())
        (self.root / "told").write_text("something else")
        return []


def test_a_result_is_not_published_if_what_it_is_made_from_was_replaced_meanwhile(
    project: Project, runs: Callable
) -> None:
    """As two workers with different options would do to each other."""
    runs()
    project.root.mkdir(parents=True)
    (project.root / "told").write_text("this")
    roots = {"data_root": str(project.folder / "data"), "outputs_root": str(project.folder / "outputs")}
    with pytest.raises(StageError, match="same options"):
        Retold(seq=project.seq, **roots).run()
    assert not (project.root / "retold").exists()
    assert project.litter() == []


# --- a luigid and its workers ----------------------------------------------------------------------------------------

NAMES = ("toy", "second", "third")
STAGES = 10  # of one toy sequence: frames, anchors, two anchor masks, tracks, three refined, masks, report
HURRIED = {
    "worker_disconnect_delay": "8",
    "retry_delay": "1",
    "wait_interval": "0.1",
    "wait_jitter": "0.1",
}
TIMEOUT_S = 500  # of a machine with much else to do


@dataclass
class Worker:
    """A luigi command that was started apart; what it prints goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path

    def made(self) -> list[str]:
        """The stages it made, as `sequence: folder`."""
        return re.findall(r"^(\S+: \S+) done in ", self.log.read_text(), flags=re.MULTILINE)

    def end(self) -> int:
        """Wait for it; its exit code."""
        return self.process.wait(timeout=TIMEOUT_S)


@dataclass
class Cluster:
    """One luigid on the loopback, and the sequences that its workers share."""

    project: Project
    settings: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, *command: str | Path) -> Path:
        """Start a command with the cluster's settings; the file it prints to."""
        log = self.project.folder / f"{name}.log"
        environment = {**os.environ, "LUIGI_CONFIG_PATH": str(self.settings)}
        with log.open("wb") as output:
            self.processes.append(
                subprocess.Popen(command, cwd=self.project.folder, env=environment, stdout=output, stderr=output)
            )
        return log

    def work(self, name: str, *night: str) -> Worker:
        """Start a worker."""
        night = night or ("BulkRefine", "--list", "night.txt", "--placement", "given")
        log = self.start(name, *self.project.command(*night))
        return Worker(self.processes[-1], log)

    def sequences(self) -> list[Project]:
        return [replace(self.project, seq=name) for name in NAMES]

    def check(self) -> str:
        """The run that decides, with a scheduler of its own."""
        return self.project.run("BulkRefine", "--list", "night.txt", "--placement", "given", "--local-scheduler")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    write_settings(tmp_path)
    project = Project(tmp_path, Clip(frame_count=6))
    for name in NAMES:
        one = replace(project, seq=name)
        one.write_frames()
        one.scribble(0, 5)
    (tmp_path / "night.txt").write_text("\n".join(NAMES))
    (tmp_path / "state").mkdir(mode=0o700)
    port = str(free_port())
    (tmp_path / "cluster.cfg").write_text(settings_for({**HURRIED, "scheduler_port": port}))
    made = Cluster(project, tmp_path / "cluster.cfg")
    luigid = LUIGI.with_name("luigid")
    try:
        made.start("luigid", luigid, "--address", "127.0.0.1", "--port", port, "--state-path", "state/luigid.pickle")
        wait_until(lambda: answers(int(port)))
        yield made
    finally:
        for started in reversed(made.processes):
            started.terminate()
            started.wait(timeout=60)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a single worker with its own scheduler makes of one of the sequences, which are all alike."""
    folder = tmp_path_factory.mktemp("single")
    write_settings(folder)
    project = Project(folder, Clip(frame_count=6))
    project.write_frames()
    project.scribble(0, 5)
    project.run("RefineSequence", "--placement", "given")
    return project.snapshot()


def settings_for(changes: dict[str, str]) -> str:
    """The shipped settings of a cluster, with some values changed."""
    text = SETTINGS.read_text()
    for key, value in changes.items():
        text, changed = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert changed == 1, key
    return text


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def half_written(folder: Path, worker: int) -> bool:
    """Whether a task's process of the worker with this number is in the middle of its work."""
    pids = {str(child.pid) for child in psutil.Process(worker).children()}
    with contextlib.suppress(FileNotFoundError):  # folders come and go while we look
        begun = [*folder.glob("outputs/*/.tmp-*"), *folder.glob("outputs/*/*/.tmp-*")]
        return any(path.name.rpartition("-")[2] in pids for path in begun)
    return False


@pytest.mark.slow
def test_two_workers_share_the_work(cluster: Cluster, reference: dict[str, bytes]) -> None:
    workers = [cluster.work("one"), cluster.work("two")]
    codes = [worker.end() for worker in workers]
    first, second = (worker.made() for worker in workers)
    assert first and second
    assert len(first + second) == len({*first, *second}) == STAGES * len(NAMES)
    for sequence in cluster.sequences():
        assert sequence.snapshot() == reference
    logs = "\n".join(worker.log.read_text() for worker in workers)
    assert set(codes) <= {0, 25}, logs  # what a peer did counts as "not run"
    assert " done in " not in cluster.check()


@pytest.mark.slow
def test_what_a_killed_worker_had_begun_is_done_by_the_other(cluster: Cluster, reference: dict[str, bytes]) -> None:
    survivor, victim = cluster.work("survivor"), cluster.work("victim")
    wait_until(lambda: half_written(cluster.project.folder, victim.process.pid))
    victim.process.send_signal(signal.SIGKILL)
    killed_at = time.time()
    assert victim.end() == -signal.SIGKILL
    code = survivor.end()
    made = survivor.made() + victim.made()
    assert len(made) == len(set(made))
    published = {
        f"{sequence.seq}: {manifest.parent.relative_to(sequence.root)}": manifest.stat().st_mtime
        for sequence in cluster.sequences()
        for manifest in sequence.root.rglob("manifest.json")
    }
    assert len(published) == STAGES * len(NAMES)
    # The victim may have died between publishing a stage and saying so.
    assert all(published[name] < killed_at + 1 for name in published.keys() - set(made))
    for sequence in cluster.sequences():
        assert sequence.snapshot() == reference
    # What another worker does, or was doing when it died: "already running", "not run", or nothing to remark.
    assert code in (0, 10, 25), survivor.log.read_text()
    assert " done in " not in cluster.check()
    assert cluster.project.litter() == []


def test_a_worker_does_not_wait_for_scribbles_for_ever(cluster: Cluster) -> None:
    shutil.rmtree(cluster.project.scribble_file.parent)
    command = cluster.project.command("RefineSequence", "--worker-max-keep-alive-idle-duration", "1 seconds")
    log = cluster.start("waiting", *command)
    assert cluster.processes[-1].wait(timeout=TIMEOUT_S) == 20, log.read_text()
    assert json.loads((cluster.project.root / "requests.json").read_text())["waiting"]


@pytest.mark.slow
def test_two_workers_make_provisional_masks_once(cluster: Cluster) -> None:
    night = ("BulkRefine", "--list", "night.txt", "--reports", "false")
    hurried = ("--worker-max-keep-alive-idle-duration", "1 seconds")
    workers = [cluster.work(name, *night, *hurried) for name in "ab"]
    told = "".join(worker.log.read_text() for worker in workers if worker.end() in (20, 25))
    made = re.findall(r"^\S+: (?:tracks|refined|provisional).* done in ", told, flags=re.MULTILINE)
    assert len(made) == len(set(made)) == 5 * len(NAMES), told  # a stretch and two anchors, tracked, refined, assembled
    for sequence in cluster.sequences():
        assert len(list((sequence.root / "provisional").glob("*.png"))) == 6
    assert " done in " not in cluster.project.run(*night, "--local-scheduler", expect=20)
