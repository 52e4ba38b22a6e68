"""The files of the page itself: who gets them, and that they obey what the server forbids a browser to do."""

import re
from typing import Any

from tasks.page import shell
from tasks.page.handlers import Handler
from tests.conftest import REPOSITORY
from tests.page.asking import PageCase
from tests.page.test_reading import TRAVERSALS

STATIC = REPOSITORY / "tasks" / "page" / "static"
CANVAS = REPOSITORY / "stages" / "steps" / "canvas"
FILES = [path for path in STATIC.rglob("*") if path.is_file()]
SERVED = {str(path.relative_to(STATIC)): path for path in FILES if not path.name.endswith(".d.ts")}
SERVED |= {path.name: path for path in CANVAS.glob("*.js")}


class TestShell(PageCase):
    def handlers(self) -> list[Any]:
        return [*shell.HANDLERS, ("/api/x", Handler)]

    def test_the_files_are_served_without_a_cookie(self) -> None:
        for name, path in SERVED.items():
            answer = self.ask(f"/static/{name}", Cookie=None)
            assert answer.body == path.read_bytes()
            assert self.ask(f"/static/{name}", If_None_Match=answer.headers["ETag"]).code == 304
        first = self.ask("/", Cookie=None)
        assert first.body == (STATIC / "index.html").read_bytes()
        assert first.headers["Content-Type"].startswith("text/html")
        assert self.ask("/favicon.ico").headers["Content-Type"] == "image/svg+xml"

    def test_no_other_file_is(self) -> None:
        no_files = ("", "base", "index.html/", "..%2fserver.py", "%2e%2e/shell.py", "base/net.js%00", "types.d.ts")
        for name in (*TRAVERSALS, *no_files):
            self.error_of(self.ask(f"/static/{name}"), 404)

    def test_foreigners_get_none(self) -> None:
        self.error_of(self.ask("/", Host="evil.test"), 421)
        self.error_of(self.ask("/static/base/net.js", Origin="http://evil.test"), 403)


def test_nothing_is_put_in_as_markup_and_nothing_comes_from_outside() -> None:
    forbidden = re.compile(
        r"(inner|outer)HTML|insertAdjacentHTML|setHTML|createContextualFragment|DOMParser|document\.write|\beval\(|"
        r"new Function|javascript:|\bstyle=|\son\w+=|[\"']style[\"'],|<script(?![^>]* src=)|<style|"
        r"https?://(?!www\.w3\.org)"
    )
    for path in SERVED.values():
        found = forbidden.search(path.read_text())
        assert not found, f"{path}: {found.group()}"
