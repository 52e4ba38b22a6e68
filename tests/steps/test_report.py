"""The report stands on its own, shows the worst first, and does not hold the video in memory."""

import json
import math
import re
import weakref
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from PIL import Image

from stages.core.plan import Plan
from stages.core.states import Source
from stages.core.strokes import FrameScribbles, Line
from stages.formats.frames_csv import FrameQuality
from stages.formats.masks import write_mask
from stages.formats.objects_json import NAMELESS, NamedObject, Objects
from stages.formats.report_data import read_quality_csv
from stages.steps.report import FinishedSequence, coarse_masks, final_masks, write_report

HEIGHT, WIDTH = 54, 96


class Counted(np.ndarray):
    """A picture that is counted while it lives, and so are all that are made of it."""

    alive: ClassVar[weakref.WeakSet["Counted"]] = weakref.WeakSet()
    most_alive = 0
    __hash__ = object.__hash__

    def __array_finalize__(self, made_of: object) -> None:
        Counted.alive.add(self)
        Counted.most_alive = max(Counted.most_alive, len(Counted.alive))


class Video(Sequence[Any]):
    """Frames made when asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return np.full((HEIGHT, WIDTH, 3), 40 + index % 100, np.uint8).view(Counted)


def labels(index: int) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[10:40, 10 + index % 30 : 40 + index % 30] = 1
    found[5:20, 70:90] = 2
    return found


def quality(frame: int, object_id: int, anchors: Sequence[int], worst: int) -> FrameQuality:
    anchored = frame in anchors
    one_sided = frame < anchors[0] or frame > anchors[-1]
    source = Source.ANCHOR if anchored else Source.BOTH
    if one_sided:
        source = Source.BACKWARD if frame < anchors[0] else Source.FORWARD
    near_worst = abs(frame - worst) <= 2 and object_id == 2
    agreement = math.nan if anchored or one_sided else 0.1 + 0.05 * abs(frame - worst) if near_worst else 0.95
    area_px = 900 if object_id == 1 else 300 * (not 30 <= frame < 34)
    sureness = 0.2 + 0.05 * abs(frame - worst) if near_worst else 0.95
    seen = {"sureness": sureness, "largest": 1.0}
    return FrameQuality(frame, object_id, 1.0, agreement, source, True, "", area_px, **seen)


def report(
    folder: Path,
    count: int = 40,
    *,
    sequence: str = "gym",
    objects: Sequence[int] = (1, 2),
    known: Objects = NAMELESS,
) -> None:
    anchors = [4, 20, count - 4]
    folder.mkdir()
    masks = labels if objects else lambda index: labels(index) * np.uint8(0)
    finished = FinishedSequence(
        sequence=sequence,
        frames=Video(count),
        names=[f"frame_{index}.jpg" for index in range(count)],
        anchors=anchors,
        scribbles={4: FrameScribbles((Line(1, ((0.2, 0.5), (0.4, 0.5))), Line(0, ((0.9, 0.9), (0.95, 0.9)))))},
        coarse=masks,
        masks=masks,
        rows=[quality(frame, object_id, anchors, worst=12) for frame in range(count) for object_id in objects],
        from_boxes={4: (2,)},
        known=known,
    )
    write_report(folder, finished)


class Page(HTMLParser):
    """What a page links to, the text of its heading, and the frames of its cards."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.cards: list[int] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.links += [
            value for key in ("href", "src", "poster", "srcset", "action", "data") if (value := given.get(key))
        ]
        if given.get("class") == "card":
            self.cards.append(int(given["data-frame"] or -1))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "report"
    report(folder)
    return folder


def test_says_at_the_top_which_objects_came_out_empty(folder: Path) -> None:
    text = Page(folder / "index.html").text
    assert "object 2: empty on frames 30-33" in text[: text.index("Scribble here next")]
    assert "object 1: empty" not in text


def test_holds_everything_that_is_promised(folder: Path) -> None:
    promised = {"index.html", "quality.csv", "next_scribbles.json", "contact_sheet.jpg", "thumbs", "stages"}
    assert {path.name for path in folder.iterdir()} == promised | {"frames.mp4", "overlay.mp4", "masks"}


def test_explains_every_figure_of_its_table(folder: Path) -> None:
    head = (folder / "quality.csv").read_text(encoding="utf-8").partition("\n")[0].split(",")
    page = (folder / "index.html").read_text(encoding="utf-8")
    speak_for_themselves = {"frame", "name", "object_id", "area_px", "reason", "why"}
    figures = {name.replace("_", " ") for name in head if name not in speak_for_themselves}
    assert [name for name in sorted(figures) if f"<td>{name}</td>" not in page] == []


def test_links_only_to_its_own_files(folder: Path) -> None:
    links = [link for link in Page(folder / "index.html").links if not link.startswith("#")]
    assert links
    for link in links:
        assert not re.match(r"[a-z]+:|/|\.\.", link), f"{link} leaves the folder"
        assert (folder / link.partition("#")[0]).is_file(), f"{link} is missing"
    linked = {(folder / link.partition("#")[0]) for link in links} | {*(folder / "masks").iterdir()}
    assert {path for path in folder.rglob("*") if path.is_file()} - linked == {folder / "index.html"}


def test_loads_nothing_from_a_network(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(\s*['\"]?(https?:|//)|fetch\(|XMLHttpRequest", page)
    namespaces = re.findall(r'xmlns(?::\w+)?="[^"]*"', page)
    assert len(re.findall(r"https?://", page)) == len(namespaces)


def test_names_no_place_of_the_machine_that_made_it(folder: Path) -> None:
    text = "".join(
        (folder / name).read_text(encoding="utf-8") for name in ("index.html", "next_scribbles.json", "quality.csv")
    )
    assert str(folder.parent) not in text
    assert str(Path.cwd()) not in text


def test_video_shows_every_frame(folder: Path) -> None:
    with av.open(str(folder / "overlay.mp4")) as container:
        decoded = [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]
    assert len(decoded) == 40
    inside = decoded[0][25, 20].astype(int)
    assert inside[0] > inside[1] + 20, "object 1 is red"


def test_review_queue_shows_the_worst_frames_first(folder: Path) -> None:
    rows = read_quality_csv(folder)
    doubt = {row.frame: max(other.doubt for other in rows if other.frame == row.frame) for row in rows}
    suggestions = json.loads((folder / "next_scribbles.json").read_text(encoding="utf-8"))["suggestions"]
    cards = Page(folder / "index.html").cards
    suggested, reviewed = cards[: len(suggestions)], cards[len(suggestions) :]
    assert suggested == [suggestion["frame"] for suggestion in suggestions]
    assert reviewed == sorted(doubt, key=lambda frame: (-doubt[frame], frame))[: len(reviewed)]
    assert reviewed[0] == 12 and {30, 31} < {*reviewed[:8]} < {*range(10, 15), *range(30, 34)}


def test_next_scribbles_go_to_the_doubtful_stretches(folder: Path) -> None:
    suggestions = json.loads((folder / "next_scribbles.json").read_text(encoding="utf-8"))["suggestions"]
    first, second = sorted(suggestion["frame"] for suggestion in suggestions[:2])
    assert first in range(10, 15) and second in range(30, 34)
    assert suggestions[0]["objects"][0] == 2
    assert "From a box, look at it: frame 4 (object 2)" in " ".join(Page(folder / "index.html").text.split())
    assert all(suggestion["paint_on"] in Page(folder / "index.html").text for suggestion in suggestions)
    assert suggestions[0]["name"] == f"frame_{suggestions[0]['frame']}.jpg"


def test_curves_take_the_pages_colours(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    curves = page[page.index("<svg", page.index("Over time")) :]
    for name in ("currentColor", "var(--object-1)", "var(--object-2)"):
        assert name in curves
    assert "#010203" not in page


def test_thumbnails_are_pictures_of_the_frames_proportions(folder: Path) -> None:
    for path in (folder / "thumbs").iterdir():
        with Image.open(path) as picture:
            width, height = picture.size
        assert width / height == pytest.approx(WIDTH / HEIGHT, rel=0.05)


@pytest.mark.slow
def test_a_long_video_costs_no_memory_and_no_endless_page(tmp_path: Path) -> None:
    Counted.most_alive = 0
    report(tmp_path / "long", 700)
    assert 0 < Counted.most_alive < 100
    assert len(list((tmp_path / "long" / "thumbs").iterdir())) <= 24 + 5
    page = (tmp_path / "long" / "index.html").read_text(encoding="utf-8")
    assert "more in quality.csv" in page
    assert len(read_quality_csv(tmp_path / "long")) == 1400


def test_who_came_out_empty_is_called_by_name(tmp_path: Path) -> None:
    report(tmp_path / "named", 60, known=Objects({2: NamedObject(2, "<Tom>", "cat", "#008000")}))
    assert "<Tom> (object 2): empty on frames" in Page(tmp_path / "named" / "index.html").text


def test_names_are_text_and_not_markup(tmp_path: Path) -> None:
    tom = NamedObject(1, "<script>alert(1)</script>&amp;\"'", "<i>犬</i>", "#12345;")
    report(tmp_path / "odd", 30, sequence="<b>tom & jerry</b>", known=Objects({1: tom}))
    page = Page(tmp_path / "odd" / "index.html")
    assert "<b>tom & jerry</b>" in page.text
    assert page.text.count(tom.name) >= 4, "at the top, where colours are said, and in both tables"
    assert tom.class_name in page.text
    assert "object 2" in page.text


def test_a_video_without_objects_has_a_report(tmp_path: Path) -> None:
    report(tmp_path / "empty", 30, objects=())
    page = Page(tmp_path / "empty" / "index.html")
    assert "no object" in page.text
    assert page.cards == []
    assert read_quality_csv(tmp_path / "empty") == []


def test_is_written_from_the_folders_of_the_stages(tmp_path: Path) -> None:
    plan = Plan(9, (2, 6), ())
    (tmp_path / "masks").mkdir()
    rows = [quality(frame, object_id, plan.anchors, worst=4) for frame in range(9) for object_id in (1, 2)]
    for index in range(9):
        write_mask(tmp_path / "masks" / f"shot_{index}.png", labels(index))
    anchor_masks = {index: tmp_path / "anchor_masks" / f"{index:05d}" for index in plan.anchors}
    for index, path in anchor_masks.items():
        path.mkdir(parents=True)
        write_mask(path / "mask.png", labels(index))
    tracks = {segment: tmp_path / "tracks" / segment.name for segment in plan.segments}
    for segment, path in tracks.items():
        (path / "masks").mkdir(parents=True)
        for index in segment.frames:
            write_mask(path / "masks" / f"{index:05d}.png", labels(index))
    (tmp_path / "report").mkdir()
    seen: list[int] = []

    def progress(items: Any, total: int) -> Any:
        assert total == 9
        for item in items:
            seen.append(item)
            yield item

    names = [f"shot_{index}.jpg" for index in range(9)]
    finished = FinishedSequence(
        sequence="gym",
        frames=Video(9),
        names=names,
        anchors=plan.anchors,
        scribbles={index: FrameScribbles(()) for index in plan.anchors},
        coarse=coarse_masks(anchor_masks, tracks),
        masks=final_masks(tmp_path / "masks", names),
        rows=rows,
    )
    write_report(tmp_path / "report", finished, progress)
    assert seen == list(range(9))
    assert {row.object_id for row in read_quality_csv(tmp_path / "report")} == {1, 2}
    assert (tmp_path / "report" / "index.html").is_file()
