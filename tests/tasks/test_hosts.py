"""Workers on several hosts: network namespaces with host names of their own, over one shared folder.

They are made and removed here, which needs root and `ip`. Where a machine forbids it, the same is done on the loopback,
where a partition cannot be made, and that is said.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.conftest import LUIGI, Clip, Project, write_settings
from tests.tasks.test_cluster import answers, free_port, half_written, settings_for, wait_until

NAMES = ("toy", "second", "third", "fourth")
PARTITION_S = 30
PATIENT = {"worker_disconnect_delay": "40", "retry_delay": "1", "wait_interval": "0.2", "wait_jitter": "0.1"}
"""A worker may be silent for longer than the partition lasts."""


@dataclass
class Hosts:
    """A scheduler's host and two workers' hosts, each of them linked with the first one."""

    folder: Path
    isolated: bool
    """False: all three are this machine, and there is nothing to cut."""
    port: str
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    _ADDRESSES = {"a": "10.213.1", "b": "10.213.2"}  # noqa: RUF012 - a constant
    _ID = f"l{os.getpid() % 100_000}"

    def set_up(self) -> None:
        """Make the namespaces and the links."""
        for host in ("s", *self._ADDRESSES):
            _ip("netns", "add", self._name(host))
            _ip("-n", self._name(host), "link", "set", "lo", "up")
        for host, network in self._ADDRESSES.items():
            near, far = f"{self._ID}{host}0", f"{self._ID}{host}1"
            _ip("link", "add", near, "netns", self._name("s"), "type", "veth", "peer", far, "netns", self._name(host))
            for end, where, number in ((near, "s", 1), (far, host, 2)):
                _ip("-n", self._name(where), "address", "add", f"{network}.{number}/24", "dev", end)
                _ip("-n", self._name(where), "link", "set", end, "up")

    def tear_down(self) -> None:
        """End what runs, and remove the namespaces; the links go with them."""
        for process in self.started:
            process.kill()
            process.wait(timeout=60)
        if self.isolated:
            for host in ("s", *self._ADDRESSES):
                subprocess.run(["ip", "netns", "del", self._name(host)], check=False, capture_output=True)

    def start(self, host: str, log: str, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a command on a host, under the host's name."""
        words = [*map(str, command)]
        if self.isolated:
            named = ["sh", "-c", f'hostname lis-{host}; exec "$@"', "sh", *words]
            words = ["ip", "netns", "exec", self._name(host), "unshare", "--uts", *named]
        environment = {**os.environ, "LUIGI_CONFIG_PATH": str(self.folder / f"{host}.cfg")}
        with (self.folder / log).open("ab") as output:
            process = subprocess.Popen(words, cwd=self.folder, env=environment, stdout=output, stderr=output)
        self.started.append(process)
        return process

    def luigid(self) -> subprocess.Popen[bytes]:
        """Start the scheduler, and wait until it answers."""
        address = "0.0.0.0" if self.isolated else "127.0.0.1"
        luigid = LUIGI.with_name("luigid")
        process = self.start("s", "luigid.log", luigid, "--address", address, "--port", self.port)
        if self.isolated:
            probe = f"exec 3<>/dev/tcp/127.0.0.1/{self.port}"
            inside = ["ip", "netns", "exec", self._name("s"), "bash", "-c", probe]
            wait_until(lambda: subprocess.run(inside, capture_output=True, check=False).returncode == 0)
        else:
            wait_until(lambda: answers(int(self.port)))
        return process

    def scheduler_of(self, host: str) -> str:
        """The address under which a host reaches the scheduler."""
        return f"{self._ADDRESSES[host]}.1" if self.isolated and host in self._ADDRESSES else "127.0.0.1"

    def link(self, host: str, state: str) -> None:
        """Cut a host off ("down"), or join it again ("up")."""
        if self.isolated:
            _ip("-n", self._name("s"), "link", "set", f"{self._ID}{host}0", state)

    def _name(self, host: str) -> str:
        return f"{self._ID}{host}"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path, isolated=_may_isolate(), port=str(free_port()))
    if not made.isolated:
        warnings.warn("this machine lets no network namespaces be made: loopback only, no partition", stacklevel=1)
    write_settings(tmp_path)
    try:
        if made.isolated:
            made.set_up()
        for host in ("s", "a", "b"):
            where = {"scheduler_host": made.scheduler_of(host), "scheduler_port": made.port}
            (tmp_path / f"{host}.cfg").write_text(settings_for({**PATIENT, **where}))
        yield made
    finally:
        made.tear_down()


@pytest.mark.slow
@pytest.mark.filterwarnings("default:this machine lets no network namespaces")
def test_a_partition_a_killed_worker_and_a_killed_scheduler(hosts: Hosts) -> None:
    project = Project(hosts.folder, Clip())
    sequences = [replace(project, seq=name) for name in NAMES]
    for one in sequences:
        one.write_frames()
        one.scribble(2, 5, 8, 11)
    (hosts.folder / "night.txt").write_text("\n".join(NAMES))
    command = project.command("BulkRefine", "--list", "night.txt")
    luigid = hosts.luigid()
    workers = {host: hosts.start(host, f"{host}.log", *command) for host in ("a", "b")}
    wait_until(lambda: all(_made(hosts, host) for host in workers))

    hosts.link("a", "down")
    cut_at = time.monotonic()
    wait_until(lambda: half_written(hosts.folder, workers["b"].pid))
    workers["b"].send_signal(signal.SIGKILL)
    workers["b"].wait(timeout=60)
    time.sleep(max(0.0, cut_at + PARTITION_S - time.monotonic()))
    hosts.link("a", "up")
    before = len(_made(hosts, "a"))
    wait_until(lambda: len(_made(hosts, "a")) > before or workers["a"].poll() is not None)
    assert workers["a"].poll() is None, "a worker outlives a partition"

    luigid.send_signal(signal.SIGKILL)
    luigid.wait(timeout=60)
    hosts.luigid()  # it remembers nothing: workers do what they had begun, and end
    workers["a"].wait(timeout=300)
    again = [hosts.start(host, f"{host}.log", *command) for host in ("a", "b")]
    assert {worker.wait(timeout=300) for worker in again} <= {0, 25}

    made = [*_made(hosts, "a"), *_made(hosts, "b")]
    assert len(made) == len(set(made)), "everything once"
    alone = _alone(hosts.folder / "alone", project.clip)
    for one in sequences:
        assert one.snapshot() == alone
    verdict = project.run("BulkRefine", "--list", "night.txt", "--local-scheduler")
    assert " done in " not in verdict
    assert project.litter() == []
    if hosts.isolated:
        assert {host for one in sequences for host in _hosts_of(one)} == {"lis-a", "lis-b"}


def _alone(folder: Path, clip: Clip) -> dict[str, bytes]:
    """What one run with its own scheduler makes of such a sequence."""
    folder.mkdir()
    write_settings(folder)
    project = Project(folder, clip)
    project.write_frames()
    project.scribble(2, 5, 8, 11)
    project.run()
    return project.snapshot()


def _made(hosts: Hosts, host: str) -> list[str]:
    """The stages that a host's workers made, as `sequence: folder`."""
    log = hosts.folder / f"{host}.log"
    return re.findall(r"^(\S+: \S+) done in ", log.read_text(), flags=re.MULTILINE) if log.exists() else []


def _hosts_of(sequence: Project) -> list[str]:
    return [json.loads(path.read_text())["run"]["host"] for path in sequence.root.rglob("manifest.json")]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _may_isolate() -> bool:
    if os.geteuid() or not shutil.which("ip"):
        return False
    tried = ["ip", "netns", "add", f"{Hosts._ID}t"]
    if subprocess.run(tried, check=False, capture_output=True).returncode:
        return False
    subprocess.run(["ip", "netns", "del", f"{Hosts._ID}t"], check=False, capture_output=True)
    return subprocess.run(["unshare", "--uts", "true"], check=False, capture_output=True).returncode == 0
