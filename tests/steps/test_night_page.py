"""The page of a night: everything in one file, nothing of a name taken for HTML or an address."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from PIL import Image

from stages.core.states import State
from stages.formats.glance import Doubt
from stages.formats.night import Outcome, Summary
from stages.steps.night_page import night_page, thumbnail

ODD = "<img src=x onerror=alert(1)> #1 100% \"'&\u202e\U0001f600"


class Page(HTMLParser):
    """The page's tags, links and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] if data.strip() else []


def page_of(*outcomes: Outcome, thumbnails: dict[str, bytes] | None = None, killed: bool = False) -> Page:
    root = Path("outputs")
    return Page(night_page(Summary(outcomes, 0, 90, killed), thumbnails or {}, root, root / "bulk" / "now"))


def test_failures_come_first_then_what_waits_then_the_most_doubtful() -> None:
    page = page_of(
        Outcome("sure", State.DONE, doubt=Doubt(0.1, 0.2, 3)),
        Outcome("doubtful", State.DONE, doubt=Doubt(0.1, 0.9, 3)),
        Outcome("idle", State.WAITING, "scribbles on 2 frames: 3, 9", owed=2),
        Outcome("half", State.PROVISIONAL, owed=1),
        Outcome("broken", State.FAILED, "Frames: 00003.png is cut short"),
        Outcome("late", State.STOPPED),
    )
    names = [text for text in page.texts if text in ("sure", "doubtful", "idle", "half", "broken", "late")]
    assert names == ["broken", "late", "idle", "half", "doubtful", "sure"]
    assert "worst 0.90, frame 3" in page.texts
    assert "2 done, 1 waiting, 1 failed, 1 stopped, 1 provisional" in page.texts


def test_any_name_is_text_and_its_link_leads_to_its_report() -> None:
    page = page_of(Outcome(ODD, State.DONE, ODD, report=f"{ODD}/report/index.html"))
    assert page.texts.count(ODD) == 2
    assert "img" not in page.tags and "script" not in page.tags
    (link,) = [each for each in page.addresses if "report" in each]
    assert re.fullmatch(r"[\w./%-]+", link)
    assert unquote(link) == f"../../{ODD}/report/index.html"


def test_nothing_is_fetched_from_elsewhere_and_pictures_are_inside() -> None:
    picture = thumbnail(np.full((96, 128, 3), 90, np.uint8), np.eye(96, 128, dtype=np.uint8))
    shown = Image.open(io.BytesIO(picture))
    assert (shown.format, shown.size) == ("JPEG", (128, 96))
    page = page_of(Outcome("gym", State.DONE, doubt=Doubt(0, 0, 0)), thumbnails={"gym": picture})
    assert page.tags.count("img") == 1
    outside = [each for each in page.addresses if not each.startswith("data:")]
    assert outside == ["summary.txt", "summary.json"]


def test_a_killed_night_says_so() -> None:
    assert "This night was killed." in page_of(killed=True).texts
    assert "This night was killed." not in page_of().texts
