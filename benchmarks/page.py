"""How the page does: until it is there, a step from frame to frame, from pen to pixel, and memory while scrolling.

    python -m benchmarks.page                          # 5,000 frames of 1920 x 1080; needs Chromium, and Playwright
    python -m benchmarks.page --frames 200 --size 3840x2160       # also how long it is from the pen to the pixel

Frames and masks are hard links of a few pictures. Times are the browser's own, from a key to what is drawn.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from stages.core.states import Source
from stages.formats import results
from stages.formats.files import publishing
from stages.formats.frames_csv import FrameQuality, write_frames_csv
from stages.formats.manifest import publish
from stages.formats.masks import write_mask

_DIFFERENT = 8
"""Pictures; all others are links to them."""
_ANCHOR_EVERY = 250
_CURL = 150
"""Places of the pen in a stroke that is timed."""
_NOTE_WHAT_IS_DRAWN = """
const drawn = window.drawn = {};
const prototype = CanvasRenderingContext2D.prototype;
for (const [name, layer] of [["drawImage", "picture-layer"], ["putImageData", "mask-layer"]]) {
  const draw = prototype[name];
  prototype[name] = function (...rest) {
    draw.apply(this, rest);
    if (this.canvas.id === layer) drawn[layer] = performance.now();
  };
}
addEventListener("keydown", () => (window.pressed = performance.now()), true);
"""
_NOTE_WHEN_IT_IS_SEEN = """
window.took = [];
const note = ({ timeStamp }) => requestAnimationFrame(() => setTimeout(() => took.push(performance.now() - timeStamp)));
document.getElementById("stroke-layer").addEventListener("pointermove", note);
addEventListener("keydown", note);
"""
_BOTH_DRAWN = "(drawn['picture-layer'] ?? 0) > pressed && (drawn['mask-layer'] ?? 0) > pressed"
_TOOK = "Math.max(drawn['picture-layer'], drawn['mask-layer']) - pressed"


def main() -> int:
    """Make the sequence, serve it, look at it, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--steps", type=int, default=40, help="steps from frame to frame that are timed (%(default)s)")
    parser.add_argument("--folder", type=Path, help="where there is room [the system's temporary folder]")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    with TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        _make(folder, options.frames, (width, height))
        with _served(folder) as (address, server), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            _measure(browser, address, server, options.frames, options.steps)
            browser.close()
    return 0


def _measure(browser: Browser, address: str, server: int, frames: int, steps: int) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.add_init_script(_NOTE_WHAT_IS_DRAWN)
    opened = []
    for frame in (frames // 3, frames // 2):
        page.goto(address.replace("/#", f"/?seq=long&frame={frame}#"))
        _until(page, "window.drawn?.['mask-layer'] > 0")
        there = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
        opened.append((there, *(page.evaluate(f"drawn['{layer}']") for layer in ("picture-layer", "mask-layer"))))
        page.goto("about:blank")
        page.goto(address)
    for what, (paint, picture, mask) in zip(("first time", "again"), opened, strict=True):
        print(f"opened, {what}: page {paint:.0f} ms, picture {picture:.0f} ms, mask {mask:.0f} ms", _load())

    page.goto(address.replace("/#", f"/?seq=long&frame={frames // 4}#"))
    _until(page, "window.drawn?.['mask-layer'] > 0")
    page.wait_for_timeout(3000)
    _say_steps("a step to the next frame, fetched ahead", [_step(page, "ArrowRight", 400) for _ in range(steps)])
    back_and_forth = [_step(page, key, 50) for _ in range(steps // 4) for key in ("ArrowLeft", "ArrowRight")]
    _say_steps("a step between frames that are kept", back_and_forth)
    _say_steps("a step of ten frames, not fetched", [_step(page, "Shift+ArrowRight", 400) for _ in range(steps)])
    _draw(page)
    _scroll(page, browser, server, frames)


def _draw(page: Page) -> None:
    """Curl over the picture with each tool, then go near and far: from an event to the end of the next frame."""
    page.evaluate(_NOTE_WHEN_IT_IS_SEEN)
    box = page.locator("#stroke-layer").bounding_box()
    assert box is not None
    angles = np.linspace(0, 6 * np.pi, _CURL)
    curl = np.stack([0.5 + 0.3 * np.cos(angles), 0.5 + 0.3 * np.sin(1.1 * angles)], axis=1)
    for what, key in (("a stroke", "s"), ("the eraser", "e"), ("a stroke anew", "s"), ("the brush", "b")):
        page.keyboard.press(key)
        places = [(box["x"] + float(x) * box["width"], box["y"] + float(y) * box["height"]) for x, y in curl]
        page.mouse.move(*places[0])
        page.mouse.down()
        page.wait_for_timeout(200)
        page.evaluate("took = []")
        for place in places[1:]:
            page.mouse.move(*place)
        page.wait_for_timeout(200)
        _say_steps(f"{what}, from pen to pixel", page.evaluate("took"))
        page.mouse.up()
        page.wait_for_timeout(1000)
    page.evaluate("took = []")
    for key in ("+", "-") * 20:
        page.keyboard.press(key)
        page.wait_for_timeout(20)
    _say_steps("zoom, from key to pixel", page.evaluate("took"))


def _until(page: Page, holds: str) -> None:
    page.evaluate(
        f"new Promise(done => {{ const look = () => ({holds}) ? done() : requestAnimationFrame(look); look() }})"
    )


def _step(page: Page, key: str, rest_ms: int) -> float:
    page.wait_for_timeout(rest_ms)
    page.keyboard.press(key)
    _until(page, _BOTH_DRAWN)
    return float(page.evaluate(_TOOK))


def _say_steps(what: str, took: list[float]) -> None:
    worst = statistics.quantiles(took, n=20)[-1]
    print(f"{what}: median {statistics.median(took):.0f} ms, 95 of 100 within {worst:.0f} ms", _load())


def _scroll(page: Page, browser: Browser, server: int, frames: int) -> None:
    """Drag along the strip from the first frame to the last, and tell of memory on the way."""
    devtools, inside = browser.new_browser_cdp_session(), page.context.new_cdp_session(page)
    inside.send("Performance.enable")
    strip = page.locator("#strip")
    box = strip.bounding_box()
    assert box is not None
    y, quarter = box["y"] + box["height"] / 2, box["width"] / 4
    page.mouse.move(box["x"] + 1, y)
    page.mouse.down()
    begun, shown = time.perf_counter(), set()
    for part in range(5):
        for x in np.arange(max(0, part - 1) * quarter, part * quarter):
            page.mouse.move(box["x"] + float(x), y)
            shown.add(strip.get_attribute("aria-valuenow"))
        page.wait_for_timeout(1000)
        metrics = {each["name"]: each["value"] for each in inside.send("Performance.getMetrics")["metrics"]}
        processes = devtools.send("SystemInfo.getProcessInfo")["processInfo"]
        renderer, gpu = (
            max(_memory_mib(int(each["id"])) for each in processes if each["type"] == kind)
            for kind in ("renderer", "GPU")
        )
        heap = metrics["JSHeapUsedSize"] / 2**20
        print(
            f"dragged over {part / 4:.0%} of {frames} frames: JavaScript {heap:.0f} MiB, its process {renderer:.0f} MiB"
            f", GPU {gpu:.0f} MiB, server {_memory_mib(server):.0f} MiB"
        )
    page.mouse.up()
    print(f"{len(shown)} places in {time.perf_counter() - begun - 5:.0f} s", _load())


def _make(folder: Path, frames: int, size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    rng = np.random.default_rng(1)
    models, pictures = folder / "models", folder / "data" / "films" / "JPEGImages" / "480p" / "long"
    for each in (models, pictures):
        each.mkdir(parents=True)
    grain = np.asarray(Image.fromarray(rng.integers(0, 255, (height // 8, width // 8, 3), np.uint8)).resize(size_wh))
    y, x = np.mgrid[:height, :width]
    for number in range(_DIFFERENT):
        Image.fromarray(np.roll(grain, 16 * number, axis=1)).save(models / f"{number}.jpg", quality=90)
        labels = np.zeros((height, width), np.uint8)
        for id_, at in ((1, 0.3), (2, 0.6)):
            labels[(x - (at * width + 9 * number)) ** 2 + (y - height / 2) ** 2 < (height / 5) ** 2] = id_
        write_mask(models / f"{number}.png", labels)
    names = [f"{index:05d}.jpg" for index in range(frames)]
    for index, name in enumerate(names):
        (pictures / name).hardlink_to(models / f"{index % _DIFFERENT}.jpg")

    anchors = list(range(0, frames, _ANCHOR_EVERY))
    lines = [[_line(id_) for id_ in (1, 2)] if index in {*anchors} else [] for index in range(frames)]
    scribbles = folder / "data" / "films" / "Scribbles" / "long" / "001.json"
    scribbles.parent.mkdir(parents=True)
    scribbles.write_text(json.dumps({"scribbles": lines, "sequence": "long", "annotated_frames": anchors}))

    masks = folder / "outputs" / "long" / results.MASKS
    with publishing(masks) as temporary:
        for index in range(frames):
            results.result_file(temporary, names[index]).hardlink_to(models / f"{index % _DIFFERENT}.png")
        agreement = 0.9 + 0.1 * np.cos(np.arange(frames) / 40)
        sources = [Source.ANCHOR if index in {*anchors} else Source.BOTH for index in range(frames)]
        write_frames_csv(
            temporary,
            [
                FrameQuality(index, id_, 0.9, float(agreement[index]), sources[index], True, "", width * height // 9)
                for index in range(frames)
                for id_ in (1, 2)
            ],
        )
        publish(
            *(temporary, masks),
            stage="masks",
            key={"names": names, "anchor_frames": [f"{index:05d}" for index in anchors]},
            weights={},
            objects=[1, 2],
            run={"options": {"scribbles": "001"}},
            known=lambda path: "0" * 64,
        )


def _line(object_id: int) -> dict[str, object]:
    return {
        "path": [[0.3 * object_id, 0.5], [0.3 * object_id, 0.52]],
        "object_id": object_id,
        "start_time": 0,
        "end_time": 9,
    }


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, int]]:
    log = folder / "annotate.log"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with log.open("w") as out:
        command = [sys.executable, "-m", "tasks", "annotate", "--port", port]
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
    try:
        while not (said := re.search(r"http://\S+", log.read_text())):
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        yield said[0], process.pid
    finally:
        process.terminate()
        process.wait()


def _memory_mib(process: int) -> float:
    """Its own, and its share of what it has together with others."""
    try:
        said = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(map(int, re.findall(r"^Pss:\s+(\d+)", said, re.MULTILINE))) / 1024


def _load() -> str:
    return f"(load {os.getloadavg()[0]:.1f})"


if __name__ == "__main__":
    sys.exit(main())
