"""Mouse, pen and fingers over an element of the page; places are in [0, 1] of its width and height."""

from collections.abc import Sequence
from typing import Literal

from playwright.sync_api import Locator, Page

Place = tuple[float, float]


def line(start: Place, end: Place, steps: int = 8) -> list[Place]:
    """Places from one to the other."""
    return [
        (start[0] + (end[0] - start[0]) * step / steps, start[1] + (end[1] - start[1]) * step / steps)
        for step in range(steps + 1)
    ]


def drag(on: Locator, places: Sequence[Place], button: Literal["left", "middle", "right"] = "left") -> None:
    """Press the mouse at the first place, move through all, let go."""
    mouse = on.page.mouse
    first, *others = _in_window(on, places)
    mouse.move(*first)
    mouse.down(button=button)
    for place in others:
        mouse.move(*place)
    mouse.up(button=button)


class Pen:
    """A pen."""

    def __init__(self, page: Page) -> None:
        self._devtools = page.context.new_cdp_session(page)

    def drag(self, on: Locator, places: Sequence[Place]) -> None:
        """Put it down at the first place, move through all, lift it."""
        first, *others = _in_window(on, places)
        self._send("mousePressed", first, 1)
        for place in others:
            self._send("mouseMoved", place, 1)
        self._send("mouseReleased", (others or [first])[-1], 0)

    def _send(self, kind: str, place: Place, buttons: int) -> None:
        event = {"type": kind, "x": place[0], "y": place[1], "pointerType": "pen", "force": 0.5, "buttons": buttons}
        self._devtools.send("Input.dispatchMouseEvent", {**event, "button": "left", "clickCount": 1})


class EraserEnd:
    """The other end of a pen. The browser's door for tests knows none, so the page makes the events itself."""

    _SEND = """(element, [kind, clientX, clientY, buttons]) => element.dispatchEvent(new PointerEvent(kind, {
      pointerId: 1, pointerType: "pen", button: 5, buttons, clientX, clientY, bubbles: true, cancelable: true}))"""

    def drag(self, on: Locator, places: Sequence[Place]) -> None:
        """Put it down at the first place, move through all, lift it; on the element that listens."""
        first, *others = _in_window(on, places)
        on.evaluate(self._SEND, ["pointerdown", *first, 32])
        for place in others:
            on.evaluate(self._SEND, ["pointermove", *place, 32])
        on.evaluate(self._SEND, ["pointerup", *(others or [first])[-1], 0])


class Fingers:
    """One finger, or several at once."""

    def __init__(self, page: Page) -> None:
        self._devtools = page.context.new_cdp_session(page)

    def drag(self, on: Locator, *paths: Sequence[Place], lifts: bool = True) -> None:
        """Each finger goes along its own path, all in step; without `lifts` they stay down."""
        placed = [_in_window(on, path) for path in paths]
        for step, places in enumerate(zip(*placed, strict=True)):
            self._send("touchMove" if step else "touchStart", places)
        if lifts:
            self.lift()

    def lift(self) -> None:
        """Take all fingers away."""
        self._send("touchEnd", ())

    def _send(self, kind: str, places: Sequence[Place]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self._devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def _in_window(on: Locator, places: Sequence[Place]) -> list[Place]:
    on.scroll_into_view_if_needed()
    box = on.bounding_box()
    assert box is not None, "it is not shown"
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
