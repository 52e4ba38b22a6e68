"""The files of the page itself, and, where a browser is, that they get along with what the server forbids."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.page import shell
from tasks.page.handlers import Handler
from tests.conftest import REPOSITORY, Project
from tests.page.asking import PageCase
from tests.page.test_reading import TRAVERSALS

STATIC = REPOSITORY / "tasks" / "page" / "static"


class TestShell(PageCase):
    def handlers(self) -> list[Any]:
        return [*shell.HANDLERS, ("/api/x", Handler)]

    def test_the_files_are_served_without_a_cookie(self) -> None:
        for path in STATIC.iterdir():
            answer = self.ask(f"/static/{path.name}", Cookie=None)
            assert answer.body == path.read_bytes()
            assert self.ask(f"/static/{path.name}", If_None_Match=answer.headers["ETag"]).code == 304
        first = self.ask("/", Cookie=None)
        assert first.body == (STATIC / "index.html").read_bytes()
        assert first.headers["Content-Type"].startswith("text/html")
        assert self.ask("/favicon.ico").headers["Content-Type"] == "image/svg+xml"

    def test_no_other_file_is(self) -> None:
        for name in (*TRAVERSALS, "", "index.html/", "..%2fserver.py", "__init__.py", "%2e%2e/shell.py", "net.js%00"):
            self.error_of(self.ask(f"/static/{name}"), 404)

    def test_foreigners_get_none(self) -> None:
        self.error_of(self.ask("/", Host="evil.test"), 421)
        self.error_of(self.ask("/static/net.js", Origin="http://evil.test"), 403)


def test_nothing_is_put_in_as_markup_and_nothing_comes_from_outside() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|style=|<script>|https?://(?!www\.w3\.org)"
    )
    for path in STATIC.iterdir():
        assert not forbidden.search(path.read_text()), path


@pytest.mark.slow
def test_a_browser_opens_the_inbox(project: Project) -> None:
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium here: whether a browser gets along with the page is NOT tried")
    port, log = "8797", project.folder / "said.txt"
    with log.open("w") as said:
        command = [sys.executable, "-m", "tasks", "annotate", "--port", port]
        serving = subprocess.Popen(command, cwd=project.folder, stderr=said)
    try:
        address = _printed(log)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=5000"]
        look = [chromium, *flags, f"--user-data-dir={project.folder / 'profile'}", address]
        seen = subprocess.run(look, capture_output=True, text=True, timeout=60, check=True).stdout
    finally:
        serving.terminate()
        assert serving.wait(20) == 0
    assert ">1 sequence<" in seen and "<strong>toy</strong>" in seen and "scribbles on 8 frames" in seen


def _printed(log: Path) -> str:
    for _ in range(200):
        if "#" in (text := log.read_text()):
            return text.split()[-1]
        time.sleep(0.1)
    raise AssertionError("it does not say where it is")
