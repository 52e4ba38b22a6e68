"""`python -m tasks.page.worker`: makes the previews of one server, in a process of its own.

A question is a line of JSON on its standard input, an answer a line of JSON on its standard output, with the number of
bytes of a mask that follow it:

    {"engine": {"name": "fbrs:lite", "weights_root": "data/weights", "device": "auto", "threads": 1, "options": {}},
     "frame": "00012.jpg", "version": "<changes with the file>", "object": 1, "lines": [[1, [[0.4, 0.5]]]],
     "corrects": "", "seen": null, "absent": []}
    {"size": [854, 480], "done": [1], "left": [], "seconds": 0.14, "scale": 1.0, "bytes": 5120}
    {"error": "<a sentence>", "bytes": 0}

Without a frame, the engine is made ready. The first answer, `{"bytes": 0}`, comes unasked: now it listens.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np

from stages.core.errors import InputError
from stages.core.strokes import FrameScribbles, Line
from stages.engines import registry
from stages.engines.protocols import Segmenter
from stages.formats.files import sha256
from stages.formats.frames import read_frame
from stages.formats.given_masks import read_given
from stages.steps.page.masks import packed
from stages.steps.page.preview import Canvas, Said
from tasks.runtime import machine
from tasks.runtime.mistakes import explain, one_line

FRAMES_KEPT: Final = 8
MOST_BYTES_KEPT: Final = 512 << 20
_Json = dict[str, Any]


class Desk:
    """The frames that were drawn on last."""

    def __init__(self) -> None:
        self._canvases: OrderedDict[str, Canvas] = OrderedDict()
        self._ready: set[str] = set()

    def answer(self, question: _Json) -> tuple[_Json, bytes]:
        """What there is to be seen, and the mask.

        Raises:
            LisError: the engine cannot be built, or a file cannot be used.
        """
        engine = question["engine"]
        if "frame" not in question:
            self._make_ready(engine)
            return {}, b""
        begun = time.perf_counter()
        canvas = self._canvas(engine, Path(question["frame"]), question["version"])
        lines = tuple(Line(each, tuple((x, y) for x, y in path)) for each, path in question["lines"])
        said = Said(FrameScribbles(lines), question["corrects"], tuple(question["absent"]))
        seen = _read_seen(Path(question["seen"]), said.corrects, canvas) if said.corrects else None
        shown = canvas.draw(said, question["object"], seen)
        self._forget()
        height, width = shown.labels.shape
        seconds = round(time.perf_counter() - begun, 3)
        found = {"size": [width, height], "done": shown.done, "left": shown.left, "seconds": seconds}
        return {**found, "scale": round(canvas.scale, 6)}, packed(shown.labels)

    def _make_ready(self, engine: _Json) -> None:
        """Build it, and let it segment something small: a first time takes longer."""
        if (name := json.dumps(engine)) not in self._ready:
            small = np.zeros((64, 64, 3), np.uint8)
            _build(engine).segment(small, FrameScribbles((Line(1, ((0.3, 0.3), (0.7, 0.7))),)))
            self._ready.add(name)

    def _canvas(self, engine: _Json, frame: Path, version: str) -> Canvas:
        name = json.dumps([engine, str(frame), version])
        if name not in self._canvases:
            self._canvases[name] = Canvas(read_frame(frame), _build(engine), _quick(engine))
        self._canvases.move_to_end(name)
        return self._canvases[name]

    def _forget(self) -> None:
        """Frames that were not drawn on for the longest time."""
        while len(self._canvases) > 1 and (
            len(self._canvases) > FRAMES_KEPT
            or sum(each.bytes_kept for each in self._canvases.values()) > MOST_BYTES_KEPT
        ):
            self._canvases.popitem(last=False)


def _build(engine: _Json) -> Segmenter:
    built = registry.segmenter(engine["name"], Path(engine["weights_root"]), engine["device"], engine["options"])
    machine.limit_threads(engine["threads"])  # of what has just been imported
    return built


def _quick(engine: _Json) -> Callable[[], Segmenter] | None:
    """Builds the same for a first look, if that can be had quicker."""
    quick = registry.find("segmenter", engine["name"], Path(engine["weights_root"])).quick
    options = {**engine["options"], **quick}
    return partial(_build, {**engine, "options": options}) if options != engine["options"] else None


def _read_seen(path: Path, digest: str, canvas: Canvas) -> Any:
    if sha256(path) != digest:
        raise InputError(f"{path}: found another mask than the one that the strokes correct; look at it again")
    return read_given(path, canvas.size_wh)


def serve(questions: Iterator[_Json], answers: IO[bytes]) -> None:
    """Answer until nobody asks any more."""
    desk = Desk()
    _say(answers, {}, b"")
    for question in questions:
        try:
            found, mask = desk.answer(question)
        except Exception as error:
            # Whatever one frame did, the next one may be drawn on.
            if not (sentence := explain(error)):
                traceback.print_exc()
                sentence = "a fault of the program; what it was stands where `lis annotate` runs"
            found, mask = {"error": one_line(sentence)}, b""
        _say(answers, found, mask)


def _say(answers: IO[bytes], found: _Json, mask: bytes) -> None:
    answers.write(json.dumps({**found, "bytes": len(mask)}).encode() + b"\n" + mask)
    answers.flush()


def _lines_of(wire: IO[bytes]) -> Iterator[_Json]:
    """What is asked. Once nobody can ask any more, however the server ended, the process ends in the midst of work."""
    asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        for line in wire:
            asked.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield json.loads(asked.get())


def main() -> None:
    """Serve whoever started this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the server, which ends this
    answers = cast("IO[bytes]", os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    machine.keep_freed_memory()
    try:
        serve(_lines_of(sys.stdin.buffer), answers)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
