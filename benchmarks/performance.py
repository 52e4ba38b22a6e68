"""How fast the pipeline is, where its time goes, and how that grows.

    python -m benchmarks.performance --root DAVIS_ROOT --json performance.json
    python -m benchmarks.performance stages growth --root DAVIS_ROOT --frames 16 --rounds 1 --lengths 9,16 --objects 1,2
    python -m benchmarks.performance stages --root DAVIS_ROOT -- --segmenter grabcut --propagator flow --refiner guided

Sections, all of them (an hour) if none is named:

* stages: the pipeline on one sequence, with one worker and with two in turns; what each stage takes of it.
* growth: more frames, more objects, larger pictures; all else is the base case, the first of --lengths and one object.
* finished: trivial sequences labelled in one night, and the same night looked at again.
* networks: those of the paper, in exact mode (as published) and in default mode; see benchmarks/originals.py.

Anchors are eight, by `eq1`, with centre-line strokes from ground truth. A whole run starts cold: interpreter, torch and
networks are loaded, every file is read and written. Run it on a machine that does nothing else, with OMP_NUM_THREADS=1.
What follows `--` goes to each run of the pipeline.
"""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import originals
from benchmarks.clips import Clip, open_clip
from benchmarks.quality import DATASET, machine, run_pipeline
from benchmarks.runs import MOST_OBJECTS, Row, annotated, at_lines, copies_in_a_grid, cut, pipeline, there_and_back
from stages.core.errors import InputError, LisError
from stages.core.strokes import Line
from stages.formats.frames import Frames
from stages.formats.layout import sequence_paths
from stages.formats.masks import read_mask
from stages.formats.scribbles import ScribbleSet, merge, write_scribbles
from stages.steps.place_anchors import plan
from tasks.runtime.machine import keep_freed_memory

STAGES = {
    "frames": "frames: names and digests",
    "anchors": "choice of the anchors",
    "anchor_masks": "anchor masks",
    "tracks": "propagation",
    "refined": "refinement",
    "masks": "result",
}
_CHECKS = 3  # of a finished night


@dataclass(frozen=True)
class Bench:
    """What is measured."""

    clip: Clip
    scratch: Path
    options: argparse.Namespace
    arguments: Sequence[str]


def stages(bench: Bench) -> dict[str, Row]:
    """Medians of some rounds: each stage with one worker, then whole runs with one and with two."""
    runs: dict[int, list[Row]] = {1: [], 2: []}
    for _ in range(bench.options.rounds):
        for workers, rows in runs.items():
            rows.append(pipeline(partial(annotated, bench.clip), bench.arguments, workers))
    one, two = (median(rows) for rows in runs.values())

    def costs(part: Row) -> Row:
        return {"CPU s a frame": part["cpu_s"] / one["frames"], "share": part["cpu_s"] / one["cpu_s"],
                "wall s": part.get("wall_s"), "peak MiB": part.get("peak_mib")}  # fmt: skip

    table = {title: costs(one["stages"][name]) for name, title in STAGES.items()}
    known = sum(stage["cpu_s"] for stage in one["stages"].values())
    table["start, scheduling, checks"] = costs({"cpu_s": one["cpu_s"] - known})
    for title, run in (("whole run, 1 worker", one), ("whole run, 2 workers", two)):
        table[title] = costs(run) | {"frames a second": run["frames"] / run["wall_s"]}
    # Frames between anchors, against half of the seconds that both workers spent on them.
    table["propagation alone, 2 workers"] = {"frames a second": 2 * two["tracked"] / two["stages"]["tracks"]["wall_s"]}
    return table


def median(rows: Sequence[Row]) -> Row:
    """Number by number."""
    return {
        key: median([row[key] for row in rows])
        if isinstance(first, dict)
        else statistics.median(row[key] for row in rows)
        for key, first in rows[0].items()
    }


def growth(bench: Bench) -> dict[str, Row]:
    """One axis at a time."""
    base = cut(bench.clip, bench.options.lengths[0], bench.scratch / "base")
    cases = {f"frames: {length}": (length, partial(there_and_back, base, length)) for length in bench.options.lengths}
    cases |= {f"objects: {count}": (count, partial(copies_in_a_grid, base, count)) for count in bench.options.objects}
    cases |= {f"lines: {lines}": (1, partial(at_lines, base, lines)) for lines in bench.options.lines}
    table = {}
    for name, (amount, prepare) in cases.items():
        run = pipeline(prepare, bench.arguments)
        table[name] = {"wall s": run["wall_s"], "CPU s": run["cpu_s"], "CPU s for each": run["cpu_s"] / amount,
                       "peak MiB": run["peak_mib"]}  # fmt: skip
    return table


def finished(bench: Bench) -> dict[str, Row]:
    """Sequences of six frames of 48x32 pixels with three anchors, by two workers; wall seconds."""
    root, count = bench.scratch / "night", bench.options.finished
    for number in range(count):
        trivial_sequence(root / "data", f"s{number:04d}")
    words = ["--data-root", str(root / "data"), "--outputs-root", str(root / "outputs"), "--placement", "given",
             "--workers", "2", *bench.arguments]  # fmt: skip
    first, *again = (
        run_pipeline(DATASET, words, root / "log.txt", "BulkRefine", "--dataset").seconds for _ in range(1 + _CHECKS)
    )
    return {f"{count} sequences": {"labelled": first, "looked at again": statistics.median(again)}}


def trivial_sequence(data_root: Path, name: str) -> None:
    """A red square on grey, moving by a pixel a frame, with a stroke on every second frame."""
    width, height, count = 48, 32, 6
    paths, scribbles = sequence_paths(data_root, DATASET, name), ScribbleSet(name, count)
    for folder in (paths.frames, paths.scribbles):
        folder.mkdir(parents=True)
    for index in range(count):
        left = 4 + index
        picture = np.full((height, width, 3), 90, np.uint8)
        picture[8:20, left : left + 12] = (200, 30, 30)
        Image.fromarray(picture).save(paths.frames / f"{index:05d}.png")
        if index % 2:
            stroke = Line(1, tuple(((left + x) / width, 14 / height) for x in range(2, 11)))
            scribbles = merge(scribbles, index, [stroke])
    write_scribbles(paths.scribbles / "001.json", scribbles)


def networks(bench: Bench) -> dict[str, Row]:
    """CPU seconds of each piece of work in both modes, and of as many as one object of the sequence needs."""
    video, rng = Frames(bench.clip.frames), np.random.default_rng(0)
    truths = (read_mask(path) == bench.clip.object_ids()[0] for path in bench.clip.truths[:-1])
    shown = [(index, truth) for index, truth in enumerate(truths) if truth.any()]
    chosen = [shown[len(shown) * i // bench.options.sample] for i in range(bench.options.sample)]
    samples = [
        originals.Sample(video[index], truth, originals.perturbed(truth, rng), video[index + 1])
        for index, truth in chosen
    ]
    seconds = originals.compare(samples)
    segments = plan(len(video), ()).segments
    amounts = {
        originals.ANCHOR: len(plan(len(video), ()).anchors),
        originals.START: sum(len(segment.anchors) for segment in segments),
        originals.STEP: sum(len(segment.anchors) * len(segment.frames) for segment in segments),
        originals.REFINED: len(video),
    }
    table = {f"{name} (1 of {amounts[name]})": _compared(row) for name, row in seconds.items()}
    totals = {mode: sum(amounts[name] * row[mode] for name, row in seconds.items()) for mode in originals.MODES}
    return table | {"the whole sequence": _compared(totals)}


def _compared(row: Row) -> Row:
    return {"exact": row["exact"], "default": row["default"], "times less": row["exact"] / row["default"]}


SECTIONS: dict[str, Callable[[Bench], dict[str, Row]]] = {
    "stages": stages,
    "growth": growth,
    "finished": finished,
    "networks": networks,
}


def show(title: str, table: dict[str, Row]) -> None:
    """Print a section; what a row does not have stays empty."""
    columns = list(dict.fromkeys(key for row in table.values() for key in row))
    shown = Table(title, box=SIMPLE, padding=(0, 1, 0, 0))
    for column in columns:
        shown.add_column(column, justify="right")
    for name, row in table.items():
        shown.add_row(name, *(_cell(row.get(column)) for column in columns))
    Console(width=140).print(shown)


def _cell(figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    given = [*(sys.argv[1:] if words is None else words)]
    end = given.index("--") if "--" in given else len(given)
    options, arguments = _parse(given[:end]), given[end + 1 :]
    keep_freed_memory()  # as tasks do
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    report: dict[str, Row] = {"sections": {}}
    try:
        with tempfile.TemporaryDirectory(prefix="lis-performance-") as folder:
            scratch = Path(folder)
            clip = cut(open_clip(options.root, options.sequence), options.frames, scratch / "strokes")
            if "growth" in options.sections and len(clip.frames) < options.lengths[0]:
                raise InputError(f"--lengths: found {options.lengths[0]} first, expected {len(clip.frames)} at most")
            for name in options.sections:
                table = SECTIONS[name](Bench(clip, scratch, options, arguments))
                report["sections"][name] = table
                if options.json:  # after every section: they take a while
                    about = {"command": shlex.join(sys.orig_argv), "machine": machine()}
                    options.json.write_text(json.dumps(report | about, indent=1) + "\n", encoding="utf-8")
                show(name, table)
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    def counts(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--sequence", default="breakdance", help="which one (%(default)s)")
    parser.add_argument("--frames", type=int, default=70, help="so many of its first frames (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of stages (%(default)s)")
    parser.add_argument("--lengths", type=counts, default=[50, 100, 200, 500], help="of growth; first the base case")
    parser.add_argument("--objects", type=counts, default=[1, 2, 4, 8], help=f"of growth, up to {MOST_OBJECTS}")
    parser.add_argument("--lines", type=counts, default=[480, 720, 1080], help="of growth: heights of the pictures")
    parser.add_argument("--finished", type=int, default=200, help="sequences of the finished night (%(default)s)")
    parser.add_argument("--sample", type=int, default=4, help="frames that stand for all in networks (%(default)s)")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    options = parser.parse_args(words)
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section is called {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    if min(options.frames, options.rounds, options.sample, *options.lengths, *options.objects, *options.lines) < 1:
        parser.error("expected numbers of 1 or more")
    if max(options.objects) > MOST_OBJECTS:
        parser.error(f"--objects: found {max(options.objects)}, expected {MOST_OBJECTS} at most")
    options.sections = options.sections or [*SECTIONS]
    return options


if __name__ == "__main__":
    sys.exit(main())
