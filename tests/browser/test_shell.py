"""The page opens for whoever has the token, obeys its own policy, and keeps names text."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.serving import Served
from tests.browser.watching import Watch, check_looks
from tests.conftest import Project, new_project

HOSTILE = [
    '<img src=x onerror="window.hurt=1">',
    '"><script>window.hurt=1<\u2215script>',
    "it's 100%2e #1 & co",
    "\u202eevil \U0001f40d",
]


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Beside the toy clip, sequences with names that would hurt a page which takes them for markup."""
    project = new_project(tmp_path_factory.mktemp("shown"))
    for name in HOSTILE:
        (project.frames.parent / name).symlink_to(project.frames)
    return project


def test_the_page_opens_with_the_token_and_keeps_it_out_of_the_address(tab: Page, served: Served) -> None:
    expect(tab.get_by_role("heading", level=1)).to_be_visible()
    expect(tab.locator("body")).to_contain_text("8 frames wait for scribbles")
    assert tab.url.rstrip("/") == served.origin
    check_looks(tab, "inbox")


def test_names_are_text_whatever_is_in_them(tab: Page) -> None:
    for name in HOSTILE:
        expect(tab.locator("body")).to_contain_text(name)
    assert tab.evaluate("window.hurt") is None


def test_without_the_token_nothing_is_told(
    open_context: Callable[..., BrowserContext], served: Served, watch: Watch
) -> None:
    watch.expect("status of 401", "status of 403")
    for address in (served.origin, f"{served.origin}/#not-the-token"):
        page = watch.over(open_context().new_page())
        page.goto(address)
        expect(page.locator("body")).to_contain_text("lis annotate")
        expect(page.locator("body")).not_to_contain_text("toy")


def test_a_strangers_name_for_this_machine_is_turned_away(
    open_context: Callable[..., BrowserContext], served: Served
) -> None:
    answer = open_context().new_page().goto(served.address.replace("127.0.0.1", "evil.test"))
    assert answer is not None and answer.status == 421
