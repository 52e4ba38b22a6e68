"""A browser for the tests of this folder; without one they are skipped, and the end of the run says so.

A module says by a fixture `over` of its own over which project its page is shown. One server and one context of the
browser serve all its tests; `tab` is a new tab for each. What a browser complains of fails the test in which it did.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.serving import Served
from tests.browser.watching import FIRST_LOOK, HEIGHTS, Watch
from tests.conftest import NO_BROWSER, Project, new_project

PATIENCE_MS = 20_000
"""Other tests may have the machine meanwhile."""
expect.set_options(timeout=PATIENCE_MS)
_NAMES = "MAP evil.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
"""The browser finds no name but one of a stranger that leads to this machine (DNS rebinding)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's; not for the whole session, since its loop would be in the way of tests with loops of their own."""
    found = shutil.which("chromium")
    if not found:
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", f"--host-resolver-rules={_NAMES}"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project that is shown: the toy clip without a stroke, unless a module has another."""
    return new_project(tmp_path_factory.mktemp("shown"))


@pytest.fixture(scope="module")
def served(chromium: Browser, over: Project) -> Iterator[Served]:
    """Its server."""
    with Served(over) as server:
        yield server


@pytest.fixture(scope="module")
def open_context(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser's context: cookies, storage and settings of its own, as if it was somebody else's browser."""
    opened: list[BrowserContext] = []

    def new(**options: Any) -> BrowserContext:
        width, scheme = FIRST_LOOK
        usual = {"viewport": {"width": width, "height": HEIGHTS[width]}, "color_scheme": scheme}
        opened.append(chromium.new_context(**{**usual, **options}))
        opened[-1].set_default_timeout(PATIENCE_MS)
        return opened[-1]

    yield new
    for context in opened:
        context.close()


@pytest.fixture(scope="module")
def context(open_context: Callable[..., BrowserContext], served: Served) -> BrowserContext:
    """One that has shown the token."""
    opened = open_context()
    page = opened.new_page()
    page.goto(served.address)
    expect(page).not_to_have_url(re.compile("#"))
    page.close()
    return opened


@pytest.fixture
def watch() -> Iterator[Watch]:
    """What the browsers of this test complain of."""
    watched = Watch()
    yield watched
    watched.check()


@pytest.fixture
def tab(context: BrowserContext, served: Served, watch: Watch) -> Iterator[Page]:
    """A new tab that shows the page."""
    page = watch.over(context.new_page())
    page.goto(served.origin)
    yield page
    page.close()
