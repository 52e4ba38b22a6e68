"""What a person draws becomes the lines and masks that she means: with mouse, pen, fingers and keys, near and far."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from stages.formats.draft_json import Draft, DraftKind
from stages.formats.drafts import mask_of_draft, read_draft
from stages.formats.masks import read_mask
from tests.browser.pointers import EraserEnd, Fingers, Pen, Place, drag, line
from tests.browser.serving import Served
from tests.browser.watching import Watch, check_looks, wait_for
from tests.conftest import Clip

WIDTH, HEIGHT = Clip.width, Clip.height
HALF_A_PIXEL = np.array([0.5 / WIDTH, 0.5 / HEIGHT])
PIECES = """async ([path, from, to, radius]) => {
  const { pieces, simplified } = await import("/static/draw/geometry.js");
  return { pieces: pieces(path, from, to, radius), simple: simplified(path, radius) };
}"""


class Canvas:
    """A frame that is open, and what is saved of it."""

    def __init__(self, tab: Page, served: Served, frame: int) -> None:
        self.tab, self._file, self._frame = tab, served.project.scribble_file, frame
        tab.goto(f"{served.origin}/?seq=toy&frame={frame}")
        expect(tab.locator("#frame-bar")).to_contain_text(f"frame {frame} of")
        expect(tab.locator("#canvas:not(.pans)")).to_have_attribute("aria-busy", "false")

    @property
    def picture(self) -> Locator:
        """Places on it are those of the picture, however near one looks."""
        return self.tab.locator("#picture-layer")

    @property
    def draft(self) -> Draft | None:
        """As the server has it."""
        return read_draft(self._file, self._frame)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def is_mask(self, expected: np.ndarray) -> None:
        """The draft comes to be exactly that mask."""
        file = mask_of_draft(self._file, self._frame)
        draft = self.once(
            lambda draft: draft is not None and draft.kind == DraftKind.MASK and (read_mask(file) == expected).all()
        )
        assert draft is not None and not draft.lines

    def painted(self, x: int, y: int) -> int:
        """How opaque the mask's colour is at a pixel of the picture."""
        layer = self.tab.locator("#mask-layer")
        opaque: int = layer.evaluate("(layer, at) => layer.getContext('2d').getImageData(...at, 1, 1).data[3]", [x, y])
        return opaque

    def lines(self, count: int) -> list[tuple[int, np.ndarray]]:
        """The object and the (N, 2) points of each line, once there are so many."""
        draft = self.once(lambda draft: len(draft.lines if draft else ()) == count)
        return [(each.object_id, np.array(each.path)) for each in draft.lines] if draft else []

    def once(self, holds: Callable[[Draft | None], bool]) -> Draft | None:
        """The draft, once that holds of it."""
        self.wait_for(lambda: holds(self.draft))
        return self.draft

    def wait_for(self, holds: Callable[[], Any]) -> None:
        """Wait until something holds."""
        wait_for(self.tab, holds)


@pytest.fixture
def canvas(tab: Page, served: Served) -> Iterator[Callable[[int], Canvas]]:
    """Opens a frame; in the end all is saved, and not kept in the browser, or the next tab would go on with it."""
    yield lambda frame: Canvas(tab, served, frame)
    expect(tab.locator("#saving")).to_contain_text("all is saved")
    tab.wait_for_timeout(300)


def same_places(path: np.ndarray, *places: Place) -> bool:
    """Whether a line has these points, to half a pixel. Pixel (x, y) has the fractions x / width and y / height."""
    return path.shape == (len(places), 2) and bool((abs(path + HALF_A_PIXEL - places) <= HALF_A_PIXEL + 1e-6).all())


def test_the_mouse_draws_of_an_object_and_of_the_background(canvas: Callable[[int], Canvas]) -> None:
    page = canvas(0)
    drag(page.picture, [*line((0.2, 0.3), (0.4, 0.3)), *line((0.4, 0.3), (0.4, 0.6))])
    drag(page.picture, line((0.6, 0.7), (0.8, 0.8)), button="right")
    page.press("2", "d")
    drag(page.tab.locator("#canvas"), [(0.01, 0.5)])
    drag(page.picture, [(0.7, 0.5)])
    (first, path), (second, other), (third, click) = page.lines(3)
    assert (first, second, third) == (1, 0, 2)
    assert same_places(path, (0.2, 0.3), (0.4, 0.3), (0.4, 0.6))
    assert same_places(other, (0.6, 0.7), (0.8, 0.8)) and same_places(click, (0.7, 0.5))
    draft = page.draft
    assert draft is not None and draft.kind == DraftKind.STROKES
    times = [time for each in draft.lines for time in (each.start_ms, each.end_ms)]
    assert times == sorted(times) and 0 < times[1] < times[-1] < 10_000
    check_looks(page.tab, "drawing")


def test_a_pen_draws_and_its_other_end_erases(canvas: Callable[[int], Canvas]) -> None:
    page = canvas(1)
    Pen(page.tab).drag(page.picture, line((0.2, 0.5), (0.8, 0.5)))
    ((_, path),) = page.lines(1)
    assert same_places(path, (0.2, 0.5), (0.8, 0.5))
    EraserEnd().drag(page.tab.locator("#stroke-layer"), line((0.5, 0.2), (0.5, 0.8)))
    assert [len(path) for _, path in page.lines(2)] == [2, 2]


def test_a_finger_draws_two_zoom_and_after_a_pen_it_pans(
    open_context: Callable[..., BrowserContext], served: Served, watch: Watch
) -> None:
    tab = watch.over(open_context(has_touch=True).new_page())
    tab.goto(served.address)
    expect(tab).to_have_url(f"{served.origin}/")  # the token is traded
    page, fingers = Canvas(tab, served, 2), Fingers(tab)
    fingers.drag(page.picture, line((0.3, 0.4), (0.6, 0.4)))
    ((_, path),) = page.lines(1)
    assert same_places(path, (0.3, 0.4), (0.6, 0.4))
    before = page.picture.bounding_box()
    fingers.drag(page.picture, line((0.45, 0.5), (0.35, 0.5)), line((0.55, 0.5), (0.65, 0.5)))
    after = page.picture.bounding_box()
    assert before and after and after["width"] == pytest.approx(3 * before["width"], rel=0.01)
    Pen(tab).drag(page.picture, line((0.45, 0.45), (0.55, 0.5)))
    fingers.drag(page.picture, line((0.45, 0.45), (0.5, 0.45)))
    moved = page.picture.bounding_box()
    assert moved and moved["x"] - after["x"] == pytest.approx(0.05 * after["width"], abs=1)
    assert len(page.lines(2)) == 2


def test_keys_alone_draw_exactly(canvas: Callable[[int], Canvas]) -> None:
    page = canvas(3)
    page.tab.locator("#canvas").focus()
    page.press("ArrowLeft", "Enter", "Shift+ArrowLeft", "ArrowLeft", "ArrowUp", "Enter")
    page.press("Enter", "Shift+ArrowDown", "Escape", "Shift+ArrowDown", "Alt+Enter", "ArrowRight", "Enter")
    (first, path), (second, other) = page.lines(2)
    assert (first, second) == (1, 0)
    pixels = (path * (WIDTH, HEIGHT)).round(3).tolist()
    assert pixels == [[63, 48], [52, 48], [52, 47]]
    assert (other * (WIDTH, HEIGHT)).round(3).tolist() == [[52, 67], [53, 67]]


def test_the_eraser_cuts_what_it_touches_and_all_can_be_undone(canvas: Callable[[int], Canvas]) -> None:
    page = canvas(4)
    drag(page.picture, line((0.2, 0.3), (0.8, 0.3)))
    drag(page.picture, line((0.2, 0.6), (0.8, 0.6)))
    whole = page.lines(2)
    page.press("e", "]")
    drag(page.picture, line((0.5, 0.1), (0.5, 0.4)))
    erased = page.lines(3)
    (_, left), (_, right), (_, other) = erased
    assert other.tolist() == whole[1][1].tolist()
    gap = (right[0, 0] - left[-1, 0]) * WIDTH
    assert 15 < gap < 17, "15 pixels, and the width of a line as it is seen"
    page.press("Control+z")
    assert [path.tolist() for _, path in page.lines(2)] == [path.tolist() for _, path in whole]
    page.press("Control+z", "Control+z")
    page.lines(0)
    expect(page.tab.get_by_role("button", name="Undo", exact=True)).to_be_disabled()
    page.press("Control+Shift+z", "Control+Shift+z", "Control+Shift+z")
    assert [path.tolist() for _, path in page.lines(3)] == [path.tolist() for _, path in erased]


def test_near_or_far_a_stroke_lies_where_it_was_drawn(canvas: Callable[[int], Canvas]) -> None:
    page = canvas(5)
    page.press("z", *["+"] * 5)
    expect(page.tab.get_by_label("Zoom")).to_have_text("305 %")
    drag(page.picture, line((0.37, 0.41), (0.45, 0.53)))
    page.tab.keyboard.down(" ")
    drag(page.picture, line((0.5, 0.5), (0.3, 0.4)))
    page.tab.keyboard.up(" ")
    drag(page.picture, line((0.52, 0.61), (0.58, 0.71)))
    page.press("f", *["-"] * 6)
    drag(page.picture, line((0.1, 0.1), (0.9, 0.2)))
    paths = [path for _, path in page.lines(3)]
    assert same_places(paths[0], (0.37, 0.41), (0.45, 0.53)) and same_places(paths[1], (0.52, 0.61), (0.58, 0.71))
    assert same_places(paths[2], (0.1, 0.1), (0.9, 0.2))


def test_a_stroke_stays_on_the_frame_where_it_was_begun(canvas: Callable[[int], Canvas], served: Served) -> None:
    page = canvas(6)
    box = page.picture.bounding_box()
    assert box is not None
    page.tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    page.press("ArrowRight")
    page.tab.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.9 * box["height"])
    page.tab.mouse.up()
    ((_, path),) = page.lines(1)
    assert same_places(path, (0.3, 0.5), (0.6, 0.5))
    expect(page.tab.locator("#frame-bar")).to_contain_text("frame 7 of")
    assert read_draft(served.project.scribble_file, 7) is None


def test_a_box_gives_strokes(canvas: Callable[[int], Canvas]) -> None:
    page = canvas(8)
    page.press("2", "t")
    drag(page.picture, line((0.4, 0.5), (0.7, 0.9)))
    draft = page.once(lambda draft: draft is not None and draft.from_boxes == (2,))
    assert draft is not None and {each.object_id for each in draft.lines} == {0, 2}
    (inside,) = [np.array(each.path) for each in draft.lines if each.object_id == 2]
    assert ((inside > (0.4, 0.5)) & (inside < (0.7, 0.9))).all()
    page.press("s")
    drag(page.picture, line((0.5, 0.6), (0.6, 0.8)))
    page.once(lambda draft: draft is not None and draft.from_boxes == ())


def test_the_brush_makes_a_mask_of_exact_ids(canvas: Callable[[int], Canvas]) -> None:
    page = canvas(9)
    page.press("b", "]")  # 15 pixels
    drag(page.picture, [(0.3, 0.51), (0.5, 0.51)])
    first = near((0.3, 0.51), (0.5, 0.51), 7.5).astype(np.uint8)
    page.is_mask(first)
    page.press("2")
    drag(page.picture, [(0.45, 0.31), (0.45, 0.71)])
    crossing = near((0.45, 0.31), (0.45, 0.71), 7.5)
    page.is_mask(np.where(crossing, 2, first))
    page.press("Control+z")
    page.is_mask(first)
    page.press("1")
    page.tab.get_by_role("button", name="Lock object 1", exact=True).click()
    page.press("2")
    drag(page.picture, [(0.45, 0.31), (0.45, 0.71)])
    page.is_mask(np.where(crossing & (first == 0), 2, first))
    page.tab.get_by_role("button", name="Rubber").click()
    drag(page.picture, [(0.3, 0.61), (0.6, 0.61)])
    rubbed = near((0.3, 0.61), (0.6, 0.61), 7.5)
    last = np.where(crossing & ~rubbed & (first == 0), 2, first)
    page.is_mask(last)
    page.press(*["Control+z"] * 3)
    page.once(lambda draft: draft is None)
    page.press(*["Control+Shift+z"] * 3)
    page.is_mask(last)
    expect(page.tab.locator("#saving")).to_contain_text("all is saved")
    page.tab.reload()
    page.wait_for(lambda: page.painted(40, 49) > 0)


def test_an_outline_is_filled_and_so_is_what_hangs_together(canvas: Callable[[int], Canvas]) -> None:
    page = canvas(10)
    page.press("l")
    drag(page.picture, [(0.251, 0.251), (0.751, 0.251), (0.751, 0.751), (0.251, 0.751)])
    filled = np.zeros((HEIGHT, WIDTH), np.uint8)
    filled[24:72, 32:96] = 1
    page.is_mask(filled)
    page.press("2")
    drag(page.picture, [(0.1, 0.1)])
    page.is_mask(np.where(filled == 0, 2, filled))
    drag(page.picture, [(0.5, 0.5)], button="right")
    page.is_mask(np.where(filled == 0, 2, 0))
    drag(page.picture, line((0.2, 0.2), (0.3, 0.3)))
    expect(page.tab.locator("#said")).to_be_hidden()
    page.press("s")
    drag(page.picture, line((0.2, 0.2), (0.3, 0.3)))
    expect(page.tab.locator("#said")).to_contain_text("strokes do not count beside it")


def test_the_mask_of_a_stroke_is_shown_while_one_draws(canvas: Callable[[int], Canvas], watch: Watch) -> None:
    watch.expect("/draft/11/mask")  # whoever looks while a step is undone may ask for a mask that has just gone
    page = canvas(11)
    (x, y), _ = Clip().centres(11)
    assert page.painted(x, y + 8) == 0
    drag(page.picture, line(((x - 8) / WIDTH, y / HEIGHT), ((x + 8) / WIDTH, y / HEIGHT)))
    page.wait_for(lambda: page.painted(x, y + 8) > 0)
    assert page.painted(10, 90) == 0
    page.press("m")
    assert page.painted(x, y + 8) == 0
    page.press("m", "b")
    drag(page.picture, [(10 / WIDTH, 90 / HEIGHT)])
    assert page.painted(10, 90) > 0 < page.painted(x, y + 8)
    page.press("Control+z")
    page.wait_for(lambda: page.painted(10, 90) == 0)
    page.wait_for(lambda: page.painted(x, y + 8) > 0)
    page.press("Control+z")
    page.wait_for(lambda: page.painted(x, y + 8) == 0)


def test_a_simpler_line_is_nowhere_far_from_what_was_drawn(tab: Page) -> None:
    path = wander(400)
    simple = tab.evaluate(PIECES, [path.tolist(), [0, 0], [0, 0], 0.5])["simple"]
    assert 2 < len(simple) < len(path) and simple[0] == path[0].tolist() and simple[-1] == path[-1].tolist()
    assert distance(path, np.array(simple)).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("end", [40, 20], ids=["along a way", "at one place"])
def test_an_eraser_leaves_all_that_it_does_not_touch_and_nothing_else(tab: Page, end: int) -> None:
    path, radius = wander(60), 6.0
    eraser = path[[20, end]]
    found = tab.evaluate(PIECES, [path.tolist(), *eraser.tolist(), radius])["pieces"]
    assert len(found) > 1
    kept = [dense(np.array(piece)) for piece in found]
    assert min(distance(points, eraser).min() for points in kept) >= radius - 1e-6
    outside = dense(path)[distance(dense(path), eraser) > radius]
    assert np.min([distance(outside, np.array(piece)) for piece in found], axis=0).max() < 1e-6


def wander(count: int) -> np.ndarray:
    """(N, 2) pixels: where a hand goes that does not know where to."""
    return np.cumsum(np.random.default_rng(5).normal(0, 3, (count, 2)), axis=0) + 30


def dense(path: np.ndarray) -> np.ndarray:
    """(M, 2): points all along a line."""
    at = np.linspace(0, len(path) - 1, 50 * len(path)) if len(path) > 1 else np.zeros(1)
    return np.stack([np.interp(at, np.arange(len(path)), axis) for axis in path.T], axis=1)


def distance(points: np.ndarray, path: np.ndarray) -> np.ndarray:
    """(N,): of each point to a line."""
    if len(path) == 1:
        path = np.concatenate([path, path])
    starts, along = path[:-1], np.diff(path, axis=0)
    away = points[:, None] - starts
    part = np.clip((away * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12), 0, 1)
    return np.linalg.norm(away - part[..., None] * along, axis=-1).min(axis=1)


def near(start: Place, end: Place, radius: float) -> np.ndarray:
    """(H, W) bool: pixels whose middles are that near to a line through two places of the picture."""
    middles = np.stack(np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5), axis=-1).reshape(-1, 2)
    return (distance(middles, np.array([start, end]) * (WIDTH, HEIGHT)) <= radius).reshape(HEIGHT, WIDTH)
