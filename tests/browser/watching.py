"""What a browser says of a page, besides what it shows: complaints, addresses, access for everybody, looks."""

import os
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page

LOOKS = [(width, scheme) for width in (1400, 400) for scheme in ("light", "dark")]
"""Widths and colour schemes that every state of the page is looked at in."""
HEIGHTS = {1400: 900, 400: 780}
FIRST_LOOK = LOOKS[0]
PICTURES = os.environ.get("LIS_PICTURES")
"""A folder: what the tests see is put there for people to look at."""
PATIENCE_S = 30
_AXE = files("axe_playwright_python") / "axe.min.js"
_LOUD = ("error", "warning", "assert")
_INSIDE = ("blob", "data", "about", "file")
_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", event =>
  console.error(`the policy forbids ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""


class Watch:
    """Everything that went wrong in the tabs of a test, and whom they asked."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self._complaints: list[str] = []
        self._expected = ["willReadFrequently"]  # that tests read a canvas back is no fault of the page's

    def over(self, page: Page) -> Page:
        """Watch this tab, too; before it is sent anywhere."""
        page.add_init_script(_REPORT_VIOLATIONS)
        page.on("console", lambda said: said.type in _LOUD and self._complaints.append(f"{said.text} {said.location}"))
        page.on("pageerror", lambda raised: self._complaints.append(str(raised)))
        page.on("request", lambda request: self.asked.add(request.url))
        page.on("websocket", lambda line: self.asked.add(line.url))
        return page

    def expect(self, *texts: str) -> None:
        """Complaints with one of these in them are what the test is about ("status of 412")."""
        self._expected += texts

    def check(self) -> None:
        """Nothing unexpected was complained of, and nobody but the server was asked."""
        complaints = [said for said in self._complaints if not any(text in said for text in self._expected)]
        assert not complaints, complaints
        hosts = {urlsplit(url).hostname for url in self.asked if urlsplit(url).scheme not in _INSIDE}
        assert hosts <= {"127.0.0.1"}, hosts


def wait_for(page: Page, holds: Callable[[], Any]) -> None:
    """Look again and again until something holds that the page does not show."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        page.wait_for_timeout(50)


def looks(page: Page) -> Iterator[str]:
    """Show the page in every look, at last in the usual one; what each is called."""
    for width, scheme in (*LOOKS[1:], FIRST_LOOK):
        page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
        page.emulate_media(color_scheme=scheme)
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        yield f"{width}_{scheme}"


def check_looks(page: Page, name: str) -> None:
    """In every look: axe finds nothing, nothing scrolls sideways; a picture of it, if somebody wants to look."""
    for look in looks(page):
        picture(page, f"{name}_{look}")
        found = violations(page)
        assert not found, "\n".join([look, *found])
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{look}: {wide} pixels wider than the window"


def violations(page: Page) -> list[str]:
    """What axe finds: the rule, where, and what is wrong."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE.read_text())
    found = page.evaluate("axe.run({rules: {'target-size': {enabled: true}}})")
    return [
        f"{rule['id']}: {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def picture(page: Page, name: str) -> None:
    """A picture of the whole page, if somebody wants to look."""
    if PICTURES:
        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True)
