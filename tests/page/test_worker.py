"""The real worker behind the real server."""

import gzip
import http.client
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from stages.formats.masks import read_mask
from tests.browser.serving import TOKEN, Served
from tests.conftest import Project

pytestmark = pytest.mark.slow
MORE = {"object_id": 1, "path": [[0.2, 0.3], [0.2, 0.4]], "start_time": 0, "end_time": 1}


class Asking:
    """A page that draws on a frame."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.wire = http.client.HTTPConnection(served.origin.removeprefix("http://"), timeout=60)
        self.headers = {"Origin": served.origin}
        _, said = self.ask("POST", "/api/session", {"token": TOKEN})
        self.headers["Cookie"] = said["Set-Cookie"].partition(";")[0]

    def __enter__(self) -> "Asking":
        return self

    def __exit__(self, *raised: object) -> None:
        self.wire.close()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[bytes, Any]:
        text = None if body is None else json.dumps(body)
        self.wire.request(method, path, text, {**self.headers, **headers})
        answer = self.wire.getresponse()
        content = answer.read()
        assert answer.status == 200, (answer.status, content)
        return content, answer.headers

    def preview(self, index: int, object_id: int, **said: Any) -> tuple[np.ndarray, dict[str, Any]]:
        content, headers = self.ask("POST", f"/api/seq/toy/set/001/preview/{index}", {"object": object_id, **said})
        width, height = map(int, headers["X-Size"].split("x"))
        return np.frombuffer(gzip.decompress(content), np.uint8).reshape(height, width), json.loads(
            headers["X-Preview"]
        )

    def all_done(self, index: int, object_id: int, **said: Any) -> np.ndarray:
        labels, about = self.preview(index, object_id, **said)
        while about["left"]:
            labels, about = self.preview(index, about["left"][0], **said)
        return labels

    def worker(self) -> psutil.Process:
        (worker,) = psutil.Process(self.served.pid).children()
        return worker


def test_a_preview_is_bit_for_bit_what_the_run_makes(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    project.run("RefineSequence", "--segmenter", "fbrs:lite")
    with Served(project) as served, Asking(served) as page:
        lines = [{**line, "start_time": 0} for line in project.clip.lines(2)]
        labels = page.all_done(2, 2, lines=lines)
        assert (labels == read_mask(project.root / "anchor_masks" / "00002" / "mask.png")).all()

        seen, headers = page.ask("GET", "/api/seq/toy/mask/3")
        assert seen
        correction = {"lines": [MORE], "corrects": headers["X-Digest"]}
        corrected = page.all_done(3, 1, **correction)
        draft = {"kind": "strokes", "state": "ready", **correction}
        page.ask("PUT", "/api/seq/toy/set/001/draft/3", draft, **{"If-None-Match": "*"})
        assert "libtorch" not in Path(f"/proc/{served.pid}/maps").read_text()
        assert "libtorch" in Path(f"/proc/{page.worker().pid}/maps").read_text()
    project.run("RefineSequence", "--segmenter", "fbrs:lite")
    assert (corrected == read_mask(project.root / "anchor_masks" / "00003" / "mask.png")).all()
    assert len(np.unique(corrected)) == 3


def test_a_worker_is_killed_and_another_one_goes_on(project: Project) -> None:
    with Served(project) as served, Asking(served) as page:
        lines = project.clip.lines(3)
        before, _ = page.preview(3, 1, lines=lines)
        killed = page.worker()
        killed.kill()
        killed.wait(10)
        after, _ = page.preview(3, 1, lines=lines)
        assert (before == after).all() and page.worker().pid != killed.pid
        page.worker().send_signal(signal.SIGINT)  # as of Ctrl+C in the server's terminal
        page.preview(3, 2, lines=lines)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_worker_ends_with_the_server(project: Project, how: str) -> None:
    with Served(project) as served, Asking(served) as page:
        page.ask("POST", "/api/preview", {"sequence": "toy"})
        while json.loads(page.ask("GET", "/api/preview")[0])["state"] != "ready":
            time.sleep(0.05)
        worker = page.worker()
        getattr(served, how)()
        worker.wait(5)


def test_a_worker_ends_in_the_midst_of_work(project: Project) -> None:
    with Served(project) as served, Asking(served) as page:
        lines = project.clip.lines(3)
        page.preview(3, 1, lines=lines)
        worker = page.worker()
        os.kill(worker.pid, signal.SIGSTOP)
        page.wire.request(
            "POST", "/api/seq/toy/set/001/preview/3", json.dumps({"object": 2, "lines": lines}), page.headers
        )
        time.sleep(0.3)
        served.kill()
        os.kill(worker.pid, signal.SIGCONT)
        worker.wait(5)


def test_no_preview_if_nobody_wants_one(project: Project) -> None:
    with Served(project, "--no-preview") as served, Asking(served) as page:
        page.ask("POST", "/api/preview", {})
        assert "--no-preview" in json.loads(page.ask("GET", "/api/preview")[0])["why"]
        assert not psutil.Process(served.pid).children()
