"""`lis annotate` as people start it: a process of its own, over a project."""

import socket
import subprocess
import sys
import time

from tests.conftest import Project

TOKEN = "a-token-that-the-tests-of-the-page-know"


class Served:
    """The server of a project. It keeps its port and its token when it is started again."""

    def __init__(self, project: Project, *options: str) -> None:
        self.project = project
        self.origin = f"http://127.0.0.1:{_free_port()}"
        self._options = options
        self._log = project.folder / "annotate.log"
        self._token = project.folder / "token"
        self._token.write_text(TOKEN)
        self._token.chmod(0o600)
        self.start()

    @property
    def address(self) -> str:
        """Where the page is, with its token."""
        return f"{self.origin}/#{TOKEN}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [sys.executable, "-m", "tasks", "annotate", "--port", self.origin.rpartition(":")[2]]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, "--token-file", str(self._token), *self._options],
                cwd=self.project.folder, stdout=log, stderr=log,
            )  # fmt: skip
        for _ in range(300):
            if self.origin in self._log.read_text():
                return
            assert self._process.poll() is None, self.said
            time.sleep(0.1)
        raise AssertionError(f"the server does not come up: {self.said}")

    def stop(self) -> None:
        """Ask it to end; it must end well."""
        self._process.terminate()
        assert self._process.wait(30) == 0, self.said

    def kill(self) -> None:
        """What a power cut does."""
        self._process.kill()
        self._process.wait(30)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def said(self) -> str:
        """What it printed since it was started."""
        return self._log.read_text()

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *raised: object) -> None:
        if self._process.poll() is None:
            self.stop()
        assert "Traceback" not in self.said, self.said


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
