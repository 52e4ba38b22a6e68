"""Runs of the page with the literal command, and a server that comes and goes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stages.formats.page_log import head_of
from stages.formats.progress import Event, read_progress
from tests.conftest import Clip, Project, copy_of, write_settings
from tests.page.test_kills import TOKEN, connected

pytestmark = pytest.mark.slow
RUN = "/api/seq/toy/run"


class Served:
    """`lis annotate` in a project's folder."""

    def __init__(self, project: Project):
        self.project = project
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        token = self.project.folder / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        words = [sys.executable, "-m", "tasks", "annotate", "--port", str(self.port), "--token-file", str(token)]
        self.process = subprocess.Popen(words, cwd=self.project.folder, stderr=subprocess.DEVNULL)
        self.wire, self.cookie = connected(self.port)

    def end(self, number: int) -> None:
        self.wire.close()
        self.process.send_signal(number)
        self.process.wait()

    def ask(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
        own = {"Origin": f"http://127.0.0.1:{self.port}", "Cookie": self.cookie}
        self.wire.request(method, path, body=None if body is None else json.dumps(body), headers=own)
        answer = self.wire.getresponse()
        return answer.status, json.loads(answer.read())

    def run(self) -> Any:
        """What is told of it."""
        return self.ask(RUN)[1]

    def until_idle(self) -> Any:
        until(lambda: self.run()["state"] == "idle")
        return self.run()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile the run that is at work does nothing: it does not end, however fast it is."""
        head = head_of(self.project.root)
        assert head is not None
        os.killpg(head.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(head.pid, signal.SIGCONT)

    def until_at_work(self) -> None:
        until(lambda: any(run.in_state(Event.DONE) for run in read_progress(self.project.root)))


def until(holds: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    write_settings(tmp_path)
    project = Project(tmp_path, Clip(frame_count=120, height=240, width=320))
    project.write_frames()
    project.scribble(5, 30)
    server = Served(project)
    yield server
    server.end(signal.SIGTERM)


def test_a_run_outlives_its_server_and_the_next_one_knows_it(served: Served) -> None:
    assert served.ask(RUN, "POST", {})[1]["state"] == "running"
    assert served.ask(RUN, "POST", {})[1]["command"] == "lis refine toy"
    served.until_at_work()
    with served.held():
        served.end(signal.SIGKILL)
        served.start()
        told = served.run()
        assert (told["state"], told["command"], told["what"]) == ("running", "lis refine toy", "refine")
        status, refused = served.ask(RUN, "POST", {})
        assert status == 409 and refused["error"].startswith("process ")
    told = served.until_idle()
    assert (told["exit"], told["message"][:15]) == (20, "6 anchors wait:")


def test_a_run_is_stopped_and_goes_on_where_it_was(served: Served) -> None:
    served.ask(RUN, "POST", {})
    served.until_at_work()
    assert served.ask(RUN, "DELETE")[1]["state"] == "stopping"
    told = served.until_idle()
    assert told["exit"] == 130 and told["message"].startswith("stopped")
    head = head_of(served.project.root)
    assert head is not None
    until(lambda: subprocess.run(["pgrep", "-g", str(head.pid)], capture_output=True, check=False).returncode)
    served.ask(RUN, "POST", {})
    assert served.until_idle()["exit"] == 20


def test_one_of_a_former_server_is_stopped_too(served: Served) -> None:
    served.ask(RUN, "POST", {})
    served.until_at_work()
    with served.held():
        served.end(signal.SIGTERM)
        served.start()
        assert served.ask(RUN, "DELETE")[1]["state"] == "stopping"
    assert served.until_idle()["exit"] == 130


def test_a_run_in_a_terminal_is_respected(served: Served) -> None:
    words = served.project.command("RefineSequence")
    with subprocess.Popen(words, cwd=served.project.folder, stderr=subprocess.DEVNULL) as terminal:
        served.until_at_work()
        assert (served.run()["state"], served.run()["command"]) == ("running", "")
        for method in ("POST", "DELETE"):
            status, refused = served.ask(RUN, method, {} if method == "POST" else None)
            assert status == 409 and f"process {terminal.pid} on " in refused["error"]
        assert terminal.wait() == 20


def test_a_failure_is_told_with_its_reason(served: Served) -> None:
    picture = served.project.frames / "00007.png"
    picture.write_bytes(picture.read_bytes()[:2000])
    served.ask(RUN, "POST", {})
    told = served.until_idle()
    assert told["exit"] == 30 and "00007.png" in told["message"], told


def test_an_export_says_where_it_lies(labelled_once: Project, tmp_path: Path) -> None:
    server = Served(copy_of(labelled_once, tmp_path / "project"))
    server.ask("/api/seq/toy/export", "POST", {"format": "png", "options": {"pictures": "none"}})
    told = server.until_idle()
    server.end(signal.SIGTERM)
    assert (told["what"], told["exit"], told["message"]) == ("export", 0, "done: outputs/toy/export/png")
    assert (server.project.root / "export" / "png" / "manifest.json").exists()


def test_anchors_are_made_in_the_background(served: Served) -> None:
    assert served.ask("/api/seq/toy/anchors", "POST", {})[1]["what"] == "anchors"
    told = served.until_idle()
    assert (told["exit"], told["command"]) == (0, "lis anchors toy")
    assert sorted(path.name for path in (served.project.root / "anchor_masks").iterdir()) == ["00005", "00030"]
