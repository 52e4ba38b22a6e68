"""How long is it from a stroke to its mask in the page?

    python -m benchmarks.preview --segmenter fbrs:lite --height 480 --strokes 40

The demo's strokes are drawn on the demo's frames one after the other, through a server as `lis annotate` starts it. Of
each stroke: until the mask of its object is there, over HTTP and unpacked, and until all objects are done. The first
one waits for the engine as well. `--frames 5000` repeats the clip until it is so long.
"""

import argparse
import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from PIL import Image
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from stages.core.errors import LisError
from stages.formats.draft_json import lines_as_json
from stages.formats.scribbles import read_scribbles
from stages.steps.demo import DEMO, demo_clip, demo_scribbles

_TOKEN = "a-token-of-this-measurement-alone"
_Json = dict[str, Any]


def write_clip(frames: Path, height: int, count: int) -> int:
    """Write the demo's frames; returns how many the clip itself has."""
    frames.mkdir(parents=True)
    with av.open(str(demo_clip())) as video:
        for number, each in enumerate(video.decode(video=0)):
            width = round(each.width * height / each.height)
            Image.fromarray(each.to_ndarray(width=width, height=height, format="rgb24")).save(
                frames / f"{number:05d}.jpg", quality=95
            )
    for more in range(number + 1, count):
        os.link(frames / f"{more % (number + 1):05d}.jpg", frames / f"{more:05d}.jpg")
    return number + 1


class Page:
    """Somebody who draws."""

    def __init__(self, port: int) -> None:
        self._wire = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"Origin": f"http://127.0.0.1:{port}"}
        _, headers = self.post("/api/session", {"token": _TOKEN})
        self._headers["Cookie"] = headers["Set-Cookie"].partition(";")[0]

    def post(self, path: str, body: _Json) -> tuple[bytes, Any]:
        """What comes back, and its headers."""
        self._wire.request("POST", path, json.dumps(body), self._headers)
        answer = self._wire.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise LisError(content.decode())
        return content, answer.headers

    def preview(self, frame: int, said: _Json) -> _Json:
        """What is said of a mask that has come."""
        content, headers = self.post(f"/api/seq/{DEMO.seq}/set/001/preview/{frame}", said)
        gzip.decompress(content)
        found: _Json = json.loads(headers["X-Preview"])
        return found

    def close(self) -> None:
        """Hang up."""
        self._wire.close()


@contextmanager
def served(folder: Path, segmenter: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server over a folder, and its port."""
    (folder / "luigi.cfg").write_text(f"[lis]\nsegmenter = {segmenter}\n")
    token = folder / "token"
    token.write_text(_TOKEN)
    token.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tasks", "annotate", "--port", str(port), "--token-file", str(token)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            yield process, port
        finally:
            process.terminate()


def strokes(count: int, length: int) -> Iterator[tuple[int, int, list[_Json]]]:
    """Frame, object and all lines so far, of one stroke after the other."""
    drawn = read_scribbles(demo_scribbles(), DEMO.seq, length)
    every = [(frame, number) for frame in drawn.annotated for number in range(len(drawn.frame(frame).lines))]
    for frame, number in every[:count]:
        lines = drawn.frame(frame).lines[: number + 1]
        yield frame, lines[-1].object_id, lines_as_json(lines)


def measure(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Figures with their names."""
    with tempfile.TemporaryDirectory(prefix="lis-preview-") as scratch:
        folder = Path(scratch)
        frames = folder / "data" / DEMO.dataset / "JPEGImages" / "480p" / DEMO.seq
        length = write_clip(frames, options.height, options.frames)
        with served(folder, options.segmenter) as (process, port), closing(Page(port)) as page:
            first, beside, whole = list[float](), list[float](), list[float]()
            for frame, object_id, lines in strokes(options.strokes, length):
                said = {"object": object_id, "lines": lines}
                begun = time.perf_counter()
                shown = page.preview(frame, said)
                first.append(time.perf_counter() - begun)
                beside.append(first[-1] - shown["seconds"])
                left = shown["left"]
                while left:
                    left = page.preview(frame, {**said, "object": left[0]})["left"]
                whole.append(time.perf_counter() - begun)
            yield "the first stroke, with the start of the engine, s", f"{first[0]:.2f}"
            for name, seconds in {
                "from stroke to mask, s": first,
                "of that, beside the worker's work, s": beside,
                "until all objects are done, s": whole,
            }.items():
                yield (
                    name,
                    "median {:.3f}, 95 % {:.3f}, longest {:.3f}".format(*np.quantile(seconds[1:], [0.5, 0.95, 1])),
                )
            server = psutil.Process(process.pid)
            (worker,) = server.children()
            yield "the worker's CPU time for a stroke, all objects, s", f"{_cpu_s(worker) / len(whole):.3f}"
            for name, each in (("server", server), ("worker", worker)):
                yield f"memory of the {name}, MiB", f"{each.memory_info().rss / 2**20:.0f}"


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segmenter", default="fbrs:lite", help="the engine (%(default)s)")
    parser.add_argument("--height", type=int, default=480, help="of the frames (%(default)s)")
    parser.add_argument("--frames", type=int, default=0, help="of the sequence, at least (%(default)s)")
    parser.add_argument("--strokes", type=int, default=40, help="(%(default)s)")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    try:
        rows = list(measure(options))
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    table = Table("", "", show_header=False, box=SIMPLE)
    for row in (*rows, ("load of the machine before and after", f"{before:.1f}, {os.getloadavg()[0]:.1f}")):
        table.add_row(*row)
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
