"""The page for those who use no mouse, see the keyboard's focus, have large letters, or touch it."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from stages.formats.draft_json import DraftState
from stages.formats.drafts import read_draft
from tests.browser.serving import Served
from tests.browser.watching import HEIGHTS, Watch, check_looks, looks, picture, violations, wait_for
from tests.conftest import Project, copy_of

FOCUS = """() => {
  const at = document.activeElement;
  if (at === document.body) return ["", true, true];
  const { outlineStyle, outlineWidth } = getComputedStyle(at), box = at.getBoundingClientRect();
  const hasRing = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  const isSeen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return [at.id || at.textContent.trim() || at.tagName, hasRing, isSeen];
}"""
LOW_TARGETS = """least => [...document.querySelectorAll("button, select, summary, a, input, [role=slider]")]
  .filter(each => each.checkVisibility() && !each.disabled)
  .map(each => [each, (each.closest("label") ?? each).getBoundingClientRect().height])
  .filter(([each, height]) => height < least - 0.5)
  .map(([each, height]) => `${each.id || each.ariaLabel || each.textContent.trim()} is ${height} high`)"""


@pytest.fixture(scope="module")
def over(labelled_once: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The labelled toy clip: every part of the page has something to show."""
    return copy_of(labelled_once, tmp_path_factory.mktemp("shown") / "project")


@pytest.fixture
def work(tab: Page, served: Served) -> Iterator[Page]:
    """A frame that is open."""
    tab.goto(f"{served.origin}/?seq=toy&frame=3")
    expect(tab.locator("#frame-bar")).to_contain_text("frame 3 of")
    expect(tab.locator("#cards li").first).to_be_visible()
    return tab


def goes_to(tab: Page, name: str) -> None:
    """Press Tab until something of that name has the focus; it is seen at each step."""
    for _ in range(80):
        tab.keyboard.press("Tab")
        with suppress(AssertionError):  # what is drawn anew meanwhile may move it for a moment
            wait_for(tab, lambda: tab.evaluate(FOCUS)[2])
        at, has_ring, is_seen = tab.evaluate(FOCUS)
        assert has_ring, f"{at} does not show that it has the focus"
        assert is_seen, f"{at} has the focus out of sight"
        if name in at:
            return
    raise AssertionError(f"no way leads to {name}")


def test_from_the_inbox_to_a_finished_anchor_by_keys_alone(tab: Page, over: Project) -> None:
    expect(tab.locator("#inbox-lines a").first).to_be_visible()
    goes_to(tab, "toy")
    tab.keyboard.press("Enter")
    expect(tab.locator("#frame-bar")).to_contain_text("a stroke corrects its own object")
    goes_to(tab, "canvas")
    for key in ("ArrowRight", "Enter", "Shift+ArrowRight", "ArrowDown", "Enter"):
        tab.keyboard.press(key)
    expect(tab.locator("#frame-bar")).to_contain_text("1 stroke ")
    goes_to(tab, "Done")
    tab.keyboard.press("Enter")
    expect(tab.locator("#said")).to_contain_text("frame 0 is done")
    expect(tab.locator("#saving")).to_have_text("all is saved")
    draft = read_draft(over.scribble_file, 0)
    assert draft is None or draft.state == DraftState.READY


@pytest.mark.parametrize("name", ["help", "settings"])
def test_dialogs_are_fit_for_everybody_and_give_the_focus_back(work: Page, name: str) -> None:
    opener = work.locator(f"[data-action='{name}.open']")
    opener.focus()
    work.keyboard.press("Enter")
    expect(work.locator(f"#{name}")).to_be_visible()
    check_looks(work, name)
    work.keyboard.press("Escape")
    expect(work.locator(f"#{name}")).to_be_hidden()
    expect(opener).to_be_focused()


def test_letters_twice_as_large_fit(work: Page) -> None:
    work.evaluate("document.documentElement.style.fontSize = '200%'")
    for look in looks(work):
        picture(work, f"large_{look}")
        assert work.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, look
        assert not violations(work), look


def test_a_finger_meets_what_it_is_meant_for(
    open_context: Callable[..., BrowserContext], served: Served, watch: Watch
) -> None:
    context = open_context(has_touch=True, is_mobile=True, viewport={"width": 400, "height": HEIGHTS[400]})
    tab = watch.over(context.new_page())
    tab.goto(served.address)
    expect(tab.get_by_role("link", name="toy")).to_be_visible()
    assert not tab.evaluate(LOW_TARGETS, 44)
    tab.goto(f"{served.origin}/?seq=toy&frame=3")
    expect(tab.locator("#cards li").first).to_be_visible()
    picture(tab, "touch")
    assert not tab.evaluate(LOW_TARGETS, 44)


def test_in_a_narrow_window_objects_are_chosen_beside_the_picture(work: Page) -> None:
    work.set_viewport_size({"width": 400, "height": HEIGHTS[400]})
    chips, tools = work.locator("#chips"), work.locator("#tools")
    chips.get_by_role("button", name="Draw object 2").click()
    expect(work.locator("#objects").get_by_role("button", name="Draw object 2")).to_have_attribute(
        "aria-pressed", "true"
    )
    chips.get_by_role("button", name="New object").click()
    expect(chips.locator("[aria-pressed=true]")).to_have_text("3")
    assert work.evaluate("scrollY") == 0, "whoever draws stays at the picture"
    assert tools.evaluate("tools => tools.clientHeight < 2 * tools.querySelector('button').offsetHeight")


def test_a_key_may_be_one_of_two_pressed_together(work: Page) -> None:
    opener = work.locator("[data-action='help.open']")
    opener.click()
    keys = work.get_by_role("dialog")
    keys.get_by_label("Key of: Fit").first.click()
    work.keyboard.press("Control+Shift+A")
    expect(keys.get_by_role("status")).to_contain_text('did "Approve')
    changed = keys.locator("button:focus")
    expect(changed).to_have_text("Ctrl + Shift + A")
    changed.click()
    work.keyboard.press("Escape")
    expect(changed).to_have_text("Ctrl + Shift + A")
    expect(keys).to_be_visible()
