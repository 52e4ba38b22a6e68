"""A server under test, and a client that says what a browser would say."""

import gzip
import json
import logging
import sys
from pathlib import Path
from typing import Any, ClassVar

from tornado.httpclient import HTTPResponse
from tornado.testing import AsyncHTTPTestCase

from tasks.page import server
from tasks.page.handlers import Page
from tasks.page.preview import Previewer
from tasks.page.security import Access
from tasks.page.sequences import Sequences
from tests.conftest import CHEAP, Project

STUB = (sys.executable, "-S", "-E", str(Path(__file__).with_name("stub_worker.py")))
TOKEN = "a token of more than thirty-two characters"


class PageCase(AsyncHTTPTestCase):
    """A page's server, of which the tests ask as its page would: `handlers` says what it serves."""

    options: ClassVar[dict[str, Any]] = {}
    """Of `Access`."""

    def get_app(self) -> Page:
        logging.getLogger("tornado").setLevel(logging.CRITICAL)
        self.access = Access(TOKEN, self.get_http_port(), **self.options)
        self.page = Page(self.handlers(), self.access)
        return self.page

    def get_httpserver_options(self) -> dict[str, Any]:
        return {"max_body_size": 1 << 20, "body_timeout": 0.5}

    def tearDown(self) -> None:
        self.page.threads.shutdown()
        super().tearDown()

    def handlers(self) -> list[Any]:
        raise NotImplementedError

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.get_http_port()}"

    @property
    def cookie(self) -> str:
        return f"{self.access.cookie}={self.access.session}"

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str | None) -> HTTPResponse:
        """A request of the page's; a header that is None is left out, `If_Match` is `If-Match`."""
        said = {"Cookie": self.cookie, "Origin": self.origin if method != "GET" else None, **headers}
        kept = {name.replace("_", "-"): value for name, value in said.items() if value is not None}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.fetch(path, method=method, body=body, headers=kept, allow_nonstandard_methods=True)

    def error_of(self, response: HTTPResponse, status: int) -> str:
        """The sentence of a refusal; it must be one, as JSON, without a trace."""
        assert response.code == status, (response.code, response.body)
        said = json.loads(response.body)["error"]
        assert said and "\n" not in said and "Traceback" not in said
        return said


def unpacked(response: HTTPResponse) -> bytes:
    """A body as a browser hands it to the page."""
    packed = response.headers.get("Content-Encoding") == "gzip" and response.body[:2] == b"\x1f\x8b"
    return gzip.decompress(response.body) if packed else response.body


class ProjectPage(PageCase):
    """The page as it is served, over the project that a fixture of the test sets; its previews are a stub's."""

    project: Project
    program: ClassVar[tuple[str, ...]] = ("true",)
    """What is run in the place of `lis`."""

    def get_app(self) -> Page:
        super().get_app()
        self.previewer = Previewer(command=STUB)
        self.page = server.page_of(self.access, sequences_of(self.project), self.previewer, self.program)
        return self.page

    def tearDown(self) -> None:
        self.io_loop.run_sync(self.previewer.end)
        super().tearDown()

    def handlers(self) -> list[Any]:
        return []


def sequences_of(project: Project) -> Sequences:
    roots = {f"{name}_root": str(project.folder / name) for name in ("data", "outputs")}
    return Sequences({**roots, "weights_root": str(project.folder / "data" / "weights"), **CHEAP})
