"""The report in a browser: opened as a file, it plays its film with masks, all or one, as fast as wanted."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from stages.core.states import Source
from stages.formats.frames_csv import FrameQuality
from stages.formats.objects_json import NamedObject, Objects
from stages.steps.film import CHUNK
from stages.steps.report import FinishedSequence, write_report
from tests.browser.watching import FIRST_LOOK, HEIGHTS, Watch, check_looks

COUNT, HEIGHT, WIDTH = CHUNK + 12, 90, 160
HOSTILE = '</script><img src=x onerror="window.hurt=1">'
SIDEWAYS = """() => [...document.querySelectorAll("*")].filter(each =>
  each.scrollWidth > each.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(each).overflowX)).length"""


def frame(index: int) -> np.ndarray:
    """Each frame is of a grey of its own."""
    return np.full((HEIGHT, WIDTH, 3), 40 + 3 * index, np.uint8)


def labels(index: int) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[20:60, 5 + index : 35 + index] = 1
    found[70:85, 130:150] = 2
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("report")
    anchors = [5, COUNT - 5]
    rows = [
        FrameQuality(index, object_id, 1.0, 0.5 if index == 30 else 0.9, Source.BOTH, True, "", 900)
        for index in range(COUNT)
        for object_id in (1, 2)
    ]
    finished = FinishedSequence(
        sequence="gym",
        frames=[frame(index) for index in range(COUNT)],
        names=[f"{index:05d}.jpg" for index in range(COUNT)],
        anchors=anchors,
        scribbles={},
        coarse=labels,
        masks=labels,
        rows=rows,
        known=Objects({2: NamedObject(2, HOSTILE, "toy", "#008000")}),
        made=[("refiner", "guided, version 1"), ("made on", "2030-01-31 by LIS 0.1.0")],
    )
    write_report(made, finished)
    return made


@pytest.fixture
def page(chromium: Browser, folder: Path, watch: Watch) -> Iterator[Page]:
    width, _ = FIRST_LOOK
    opened = watch.over(chromium.new_page(viewport={"width": width, "height": HEIGHTS[width]}))
    opened.goto((folder / "index.html").as_uri())
    expect_frame(opened, 0)
    yield opened
    opened.close()
    assert all(url.startswith((folder.as_uri(), "data:")) for url in watch.asked)


def expect_frame(page: Page, index: int) -> None:
    """The page says that it shows this frame, and has its masks."""
    expect(page.locator("#clock")).to_contain_text(f"frame {index},")
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuenow", str(index))
    page.wait_for_function(
        "() => document.getElementById('masks').getContext('2d').getImageData(140, 77, 1, 1).data[3]"
    )


def drawn(page: Page) -> np.ndarray:
    """(H, W) bool, where masks are drawn; lines outside of them are not."""
    pixels = page.evaluate("[...document.getElementById('masks').getContext('2d').getImageData(0, 0, 160, 90).data]")
    rgba = np.array(pixels, np.uint8).reshape(HEIGHT, WIDTH, 4)
    return (rgba[..., :3] > 0).any(axis=2) & (rgba[..., 3] > 0)


def seen_frame(page: Page) -> float:
    """Which frame the video shows, by its grey, in a place without masks."""
    box = page.locator("video").bounding_box()
    assert box is not None
    clip = {"x": box["x"] + 0.5 * box["width"], "y": box["y"] + 0.05 * box["height"], "width": 8, "height": 8}
    grey = np.array(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("L"))
    return (float(grey.mean()) - 40) / 3


def test_masks_are_drawn_over_the_frames_that_they_belong_to(page: Page) -> None:
    strip = page.get_by_role("slider")
    box = strip.bounding_box()
    assert box is not None
    for index in (0, 31, CHUNK, CHUNK + 7, 2):
        strip.click(position={"x": box["width"] * (index + 0.5) / COUNT, "y": 40})
        expect_frame(page, index)
        assert (drawn(page) == (labels(index) > 0)).all()
        assert round(seen_frame(page)) == index


def test_they_follow_while_it_plays_at_a_quarter_of_the_speed(page: Page) -> None:
    page.get_by_label("speed").select_option("0.25×")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.getElementById('strip').ariaValueNow > 3")
    assert page.evaluate("document.getElementById('video').playbackRate") == 0.25
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(200)
    index = int(page.get_by_role("slider").get_attribute("aria-valuenow") or 0)
    assert (drawn(page) == (labels(index) > 0)).all() and round(seen_frame(page)) == index


def test_masks_go_away_and_one_object_stays_alone(page: Page) -> None:
    page.get_by_role("slider").press("End")
    expect_frame(page, COUNT - 1)
    page.get_by_label("masks").uncheck()
    assert not drawn(page).any()
    page.get_by_label("masks").check()
    page.get_by_label("object", exact=True).select_option(HOSTILE)
    assert (drawn(page) == (labels(COUNT - 1) == 2)).all()
    page.get_by_label("object", exact=True).select_option("all")
    assert (drawn(page) == (labels(COUNT - 1) > 0)).all()
    assert page.evaluate("window.hurt") is None


def test_cards_and_keys_lead_to_frames(page: Page) -> None:
    page.locator(".card").first.click()
    index = int(page.locator(".card").first.get_attribute("data-frame") or 0)
    expect_frame(page, index)
    page.keyboard.press("ArrowLeft")
    expect_frame(page, index - 1)
    page.get_by_role("slider").press("Home")
    expect_frame(page, 0)


def test_it_is_fit_for_everybody_and_for_narrow_windows(page: Page) -> None:
    page.locator("summary").click()
    check_looks(page, "report")
    page.set_viewport_size({"width": 400, "height": 780})
    assert page.evaluate(SIDEWAYS) == 0
    expect(page.locator("body")).to_contain_text("guided, version 1")
    expect(page.locator("body")).to_contain_text("2030-01-31 by LIS 0.1.0")
