"""A result is looked through, compared, approved, run again and exported with nothing but the page."""

import json
import os
import shutil
import signal
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from stages.formats import results
from stages.formats.masks import read_mask
from stages.formats.page_log import head_of
from stages.steps.page.doubt import Doubts, doubts_of
from tests.browser.pointers import drag, line
from tests.browser.serving import Served
from tests.browser.watching import Watch, check_looks, wait_for
from tests.conftest import Project, copy_of

A_RUN_MS = 60_000
ANCHORS = (2, 5, 8, 11)


@pytest.fixture(scope="module")
def over(labelled_once: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The labelled toy clip, and a second one with nothing but the masks of its anchors."""
    project = copy_of(labelled_once, tmp_path_factory.mktemp("reviewed") / "project")
    anchored = Project(project.folder, project.clip, "anchored")
    shutil.copytree(project.frames, anchored.frames)
    anchored.scribble(*ANCHORS)
    anchored.run("SegmentAnchors")
    return project


@pytest.fixture
def doubts(over: Project) -> Doubts:
    """What the page is told of where to look."""
    found = doubts_of(over.root / results.MASKS)
    assert found is not None
    return found


def open_frame(tab: Page, served: Served, frame: int, seq: str = "toy") -> None:
    tab.goto(f"{served.origin}/?seq={seq}&frame={frame}")
    is_at(tab, frame)
    if seq == "toy":
        expect(tab.locator("#review")).to_contain_text("of 12 approved")


def is_at(tab: Page, frame: int) -> None:
    expect(strip(tab)).to_have_attribute("aria-valuenow", str(frame))


def strip(tab: Page) -> Locator:
    return tab.get_by_role("slider", name="Frames")


def do(tab: Page, action: str) -> None:
    tab.locator(f"[data-action='{action}']:visible").first.click()


# --- where to look ---------------------------------------------------------------------------------------------------


def test_each_doubtful_stretch_has_a_card_and_keys_lead_from_one_to_the_next(
    tab: Page, served: Served, doubts: Doubts
) -> None:
    open_frame(tab, served, 0)
    cards = tab.locator("#cards button")
    expect(cards).to_have_count(len(doubts.cards))
    for card in doubts.cards[:2]:
        tab.keyboard.press("j")
        is_at(tab, card.frame)
        expect(cards.get_by_text(f"frame {card.frame}", exact=True)).to_be_visible()
        expect(tab.locator("#said")).to_contain_text(card.why)
    tab.keyboard.press("g")
    is_at(tab, doubts.suggestions()[0].frame)
    expect(tab.locator("#said")).to_contain_text("is expected to bring +0.")
    cards.first.click()
    is_at(tab, doubts.cards[0].frame)
    check_looks(tab, "review")


def test_the_strip_is_a_slider_that_is_dragged_and_hovered_over(tab: Page, served: Served) -> None:
    open_frame(tab, served, 4)
    strip(tab).focus()
    for key, frame in (("End", 11), ("Home", 0), ("ArrowRight", 1), ("PageUp", 11), ("Shift+ArrowLeft", 1)):
        tab.keyboard.press(key)
        is_at(tab, frame)
    drag(strip(tab), line((0.1, 0.5), (0.54, 0.5)))
    is_at(tab, 6)
    tab.keyboard.press("ArrowLeft")
    is_at(tab, 5)
    assert (strip(tab).get_attribute("aria-valuetext") or "").startswith("frame 5 of 12, anchor, doubt 0.")
    strip(tab).hover(position={"x": 40, "y": 20})
    expect(tab.locator("#peek")).to_contain_text("frame 0 of 12")


def test_playback_ends_with_the_last_frame_and_stops_at_a_key(tab: Page, served: Served) -> None:
    open_frame(tab, served, 0)
    tab.keyboard.press("p")
    expect(tab.get_by_role("button", name="Stop", exact=True).first).to_be_visible()
    is_at(tab, 11)
    expect(tab.get_by_role("button", name="Play", exact=True)).to_be_visible()
    tab.keyboard.press("p")
    tab.keyboard.press("p")
    expect(tab.get_by_role("button", name="Play", exact=True)).to_be_visible()
    stopped = strip(tab).get_attribute("aria-valuenow")
    tab.wait_for_timeout(300)
    assert strip(tab).get_attribute("aria-valuenow") == stopped != "11"


# --- before and after refinement -------------------------------------------------------------------------------------


def overlay(tab: Page) -> np.ndarray:
    """What is laid over the picture: (H, W, 4)."""
    layer = tab.locator("#mask-layer")
    width, height = layer.evaluate("layer => [layer.width, layer.height]")
    pixels = layer.evaluate("layer => [...layer.getContext('2d').getImageData(0, 0, layer.width, layer.height).data]")
    return np.array(pixels, np.uint8).reshape(height, width, 4)


def becomes(tab: Page, holds: Any) -> np.ndarray:
    wait_for(tab, lambda: holds(overlay(tab)))
    return overlay(tab)


def test_the_mask_before_refinement_is_held_wiped_and_subtracted(tab: Page, served: Served, over: Project) -> None:
    before = read_mask(over.root / "tracks" / "00002-00005" / "masks" / "00004.png")
    after = read_mask(over.root / "refined" / "00002-00005" / "masks" / "00004.png")
    assert (before != after).any(), "the test needs a frame that refinement changes"
    open_frame(tab, served, 4)
    refined = becomes(tab, lambda found: found.any())
    tab.keyboard.down("c")
    coarse = becomes(tab, lambda found: (found != refined).any())
    assert ((coarse[..., 3] > 0) >= (before > 0)).all()
    tab.keyboard.up("c")
    becomes(tab, lambda found: (found == refined).all())

    compare = tab.get_by_label("Compare with the mask before refinement")
    compare.select_option("wiper")
    becomes(tab, lambda found: (found[:, 66:] == refined[:, 66:]).all() and (found[:, :62] == coarse[:, :62]).all())
    wiper = tab.get_by_role("slider", name="Before refinement on the left, after it on the right")
    wiper.focus()
    for _ in range(25):
        tab.keyboard.press("ArrowRight")
    becomes(tab, lambda found: (found == coarse).all())
    check_looks(tab, "compare")
    compare.select_option("difference")
    changed = becomes(tab, lambda found: (found != coarse).any())
    assert ((changed[..., 3] > 0) >= (before != after)).all() and not changed[:4].any()
    compare.select_option("")
    becomes(tab, lambda found: (found == refined).all())


# --- approvals -------------------------------------------------------------------------------------------------------


def test_what_is_approved_is_kept_until_it_is_taken_back(tab: Page, served: Served, over: Project) -> None:
    open_frame(tab, served, 3)
    review = tab.locator("#review")
    for key, count in (("a", 1), ("Shift+A", 4), ("Control+Shift+A", 12)):
        tab.keyboard.press(key)
        expect(review).to_contain_text(f"{count} of 12 approved")
    tab.keyboard.press("j")
    expect(tab.locator("#said")).to_contain_text("all doubtful stretches are approved")
    tab.reload()
    expect(review).to_contain_text("12 of 12 approved")
    expect(tab.locator("#cards")).to_contain_text(", approved")
    for span, count in (("frame", 11), ("stretch", 8), ("sequence", 0)):
        do(tab, f"review.withdraw_{span}")
        expect(review).to_contain_text(f"{count} of 12 approved")


def test_anchor_masks_are_approved_one_by_one(tab: Page, served: Served, over: Project) -> None:
    open_frame(tab, served, 0, "anchored")
    review = tab.locator("#review")
    expect(review).to_contain_text("4 anchor masks are made: look at them before they are carried")
    Project(over.folder, over.clip, "anchored").run("RefineSequence", "--approve-anchors", expect=20)
    expect(review).to_contain_text("4 anchor masks wait for approval")
    do(tab, "review.next_anchor")
    for frame in ANCHORS:
        is_at(tab, frame)
        tab.get_by_role("button", name="Approve", exact=True).click()
    expect(review.get_by_text("waits for approval")).to_be_hidden()
    said = json.loads((over.scribble_file.parents[1] / "anchored" / "001.review.json").read_text())
    assert len(said["anchors"]) == len(ANCHORS)


# --- runs and exports ------------------------------------------------------------------------------------------------


def test_a_run_is_stopped_and_done_and_approvals_fall_with_their_masks(
    tab: Page, served: Served, over: Project, watch: Watch
) -> None:
    watch.expect("/mask/3?")  # whoever looks while a run goes on may ask for a mask that is just being made anew
    open_frame(tab, served, 3)
    review, runs = tab.locator("#review"), tab.locator("#runs")
    tab.keyboard.press("Control+Shift+A")
    expect(review).to_contain_text("12 of 12 approved")
    expect(runs).to_contain_text("All that can be made now is made")

    said = json.loads(over.scribble_file.read_text())
    said["scribbles"][5] = [each | {"path": each["path"][:3]} for each in said["scribbles"][5]]
    over.scribble_file.write_text(json.dumps(said))
    expect(runs).to_contain_text("A run would segment 1 frame and carry masks through 4 frames")
    tab.keyboard.press("r")
    expect(runs).to_contain_text("running: ", timeout=A_RUN_MS)
    head = head_of(over.root)
    assert head is not None
    os.killpg(head.pid, signal.SIGSTOP)  # a quick machine would be done before it is stopped
    do(tab, "run.stop")
    expect(runs).to_contain_text("stopping")
    os.killpg(head.pid, signal.SIGCONT)
    told = tab.locator("#run-told")
    expect(told).to_contain_text("stopped; finished stages are kept", timeout=A_RUN_MS)
    expect(runs.get_by_role("button", name="Run")).to_be_enabled()
    tab.keyboard.press("r")
    expect(told).to_have_text("done", timeout=A_RUN_MS)
    expect(runs).to_contain_text("lis refine toy")
    expect(review.get_by_text("approvals fell")).to_be_visible()
    expect(review.get_by_text("The last run changed frames 3 to")).to_be_visible()
    expect(review).not_to_contain_text("12 of 12 approved")
    check_looks(tab, "ran")
    do(tab, "review.next_fallen")
    assert 2 < int(strip(tab).get_attribute("aria-valuenow") or 0) < 8


def test_what_is_approved_is_exported(tab: Page, served: Served, over: Project) -> None:
    open_frame(tab, served, 3)
    for action, count in (("approve_sequence", 12), ("withdraw_sequence", 0), ("approve_stretch", 4)):
        do(tab, f"review.{action}")
        expect(tab.locator("#review")).to_contain_text(f"{count} of 12 approved")
    tab.get_by_text("Masks as other programs read them").click()
    tab.get_by_label("Format").select_option("png")
    tab.get_by_label("only reviewed").check()
    do(tab, "export.start")
    expect(tab.locator("#export-told")).to_contain_text("export/png", timeout=A_RUN_MS)
    exported = over.root / "export" / "png" / "train" / "masks" / "toy"
    assert sorted(path.name for path in exported.iterdir()) == [f"{index:05d}.png" for index in (2, 3, 4, 5)]
