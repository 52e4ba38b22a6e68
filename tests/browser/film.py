"""`python -m tests.browser.film docs/page.webp`: from an imported clip to an approved export, as a film of the page.

The clip is the demo's (Big Buck Bunny, Blender Foundation, CC BY 3.0), the strokes are the demo's, drawn with a mouse.
It prints how long a person would have waited for what.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from stages.steps.demo import demo_clip, demo_scribbles
from tests.browser.pointers import drag
from tests.browser.serving import Served
from tests.conftest import Clip, Project

WIDTH, HEIGHT = 1200, 780
SHOWN_WIDTH = 900
QUALITY = 70
STROKES_IN_SIGHT = 4
"""Of the first frame so many strokes are filmed one by one; all others are drawn at once."""


class Film:
    """Pictures of a tab, each with how long it is shown."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._pictures: list[Image.Image] = []
        self._durations_ms: list[int] = []

    def shoot(self, ms: int = 900) -> None:
        """One more."""
        picture = Image.open(io.BytesIO(self._page.screenshot())).convert("RGB")
        height = round(picture.height * SHOWN_WIDTH / picture.width)
        self._pictures.append(picture.resize((SHOWN_WIDTH, height), Image.Resampling.LANCZOS))
        self._durations_ms.append(ms)

    def write(self, path: Path) -> None:
        """All of them, again and again."""
        first, *others = self._pictures
        first.save(
            path, save_all=True, append_images=others, duration=self._durations_ms, loop=0, quality=QUALITY, method=6
        )


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long it took."""
    began = time.monotonic()
    yield
    sys.stdout.write(f"{what}: {time.monotonic() - began:.2f} s\n")


def main(path: Path) -> None:
    """Play, film, write."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), Clip(), "bunny")
        bring = [sys.executable, "-m", "tasks", "import", str(demo_clip()), "--seq", "bunny", "--dataset", "demo"]
        subprocess.run(bring, cwd=folder, check=True)
        with Served(project) as served, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.set_default_timeout(60_000)
            film = Film(page)
            try:
                play(page, film, served)
            finally:
                film.write(path)
                browser.close()


def play(page: Page, film: Film, served: Served) -> None:
    """From the inbox to an approved export."""
    page.goto(served.address)
    page.get_by_role("link", name="bunny").wait_for()
    film.shoot(1500)
    with timed("inbox to picture"):
        page.get_by_role("link", name="bunny").click()
        page.locator("#frame-bar", has_text="asked for").wait_for()
    film.shoot()
    scribbles = json.loads(demo_scribbles().read_text())["scribbles"]
    for number, index in enumerate(index for index, lines in enumerate(scribbles) if lines):
        page.locator("#frame-bar", has_text=f"frame {index} ").wait_for()
        draw(page, film if number == 0 else None, scribbles[index])
        if number == 0:
            page.get_by_placeholder("name").first.fill("bunny")
            page.get_by_placeholder("name").nth(1).fill("stone")
            page.locator("#canvas").focus()
            film.shoot()
        page.get_by_role("button", name="Done", exact=True).click()
        film.shoot(400)
    with timed("run"):
        page.locator("#runs").get_by_role("button", name="Run", exact=True).click()
        page.locator("#runs code, #runs", has_text="lis refine").first.wait_for()
        film.shoot(1500)
        page.locator("#standing", has_text="done").wait_for(timeout=900_000)
    film.shoot(1800)
    page.keyboard.press("j")
    page.wait_for_timeout(1000)
    film.shoot(1500)
    correct(page, film, scribbles)
    page.keyboard.press("Control+Shift+A")
    page.locator("#review", has_text="132 of 132").wait_for()
    film.shoot(1500)
    page.get_by_text("Masks as other programs read them").click()
    page.get_by_role("button", name="Export", exact=True).click()
    page.locator("#export-told", has_text="/").wait_for(timeout=120_000)
    sys.stdout.write(f"{page.locator('#export-told').text_content()}\n")
    page.locator("#export").scroll_into_view_if_needed()
    film.shoot(2500)


def draw(page: Page, film: Film | None, lines: Sequence[Mapping[str, Any]]) -> None:
    """Draw what a person drew; if somebody films, one stroke after the other, as far as they are new to see."""
    for number, line in enumerate(lines):
        page.keyboard.press(str(line["object_id"]))
        if line["object_id"]:
            page.keyboard.press("s")
        drag(page.locator("#picture-layer"), [(x, y) for x, y in line["path"]])
        if film and number < STROKES_IN_SIGHT:
            page.wait_for_timeout(1500)
            film.shoot(700)
    if film:
        page.wait_for_timeout(3000)
        film.shoot(1200)


def correct(page: Page, film: Film, scribbles: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """One stroke where the result is doubtful, and the two stretches that rest on it again."""
    frame = int(parse_qs(urlsplit(page.url).query)["frame"][0])
    nearest = min((index for index, lines in enumerate(scribbles) if lines), key=lambda index: abs(index - frame))
    with timed("correct one frame: stroke to new result"):
        draw(page, None, scribbles[nearest][:1])
        page.wait_for_timeout(2000)
        film.shoot(1500)
        page.get_by_role("button", name="Done", exact=True).click()
        page.locator("#frame-bar", has_text="ready").wait_for()
        page.locator("#runs").get_by_role("button", name="Run", exact=True).click()
        page.get_by_text("The last run changed").wait_for(timeout=300_000)
    film.shoot(1800)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
