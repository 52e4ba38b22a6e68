"""How fast the pipeline is and where its time goes: every figure of docs/performance.md.

    python -m benchmarks.performance --root DAVIS_ROOT --out OUT
    python -m benchmarks.performance stages scaling --root DAVIS_ROOT --out OUT --frames 16 --lengths 16,32
    python -m benchmarks.performance --targets --root DAVIS_ROOT --out OUT --fill docs/performance.md

Sections, all of them if none is named:

* peak: what one core can do, and the multiply-adds of the default networks: the least time that they could take.
* stages: the default pipeline on one sequence, with one worker and with two in turns; what each stage takes of it.
* original: the paper's networks step by step as published, against their default mode and the default pipeline.
* scaling: frames, workers, objects, sequences; one axis at a time.
* finished: a night with nothing to do.
* shortcuts: what the default refiner leaves out, and what that changes.

Every figure is kept in OUT/<section>.json as soon as it is measured, and is not measured again: a stopped benchmark
goes on where it was, and a finished one only prints its tables. What is given after `--` goes to each run of the
pipeline.
Run it on a machine that does nothing else, with OMP_NUM_THREADS=1.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import bulk, cascadepsp, fbrs, siammask
from benchmarks import performance_runs as runs
from benchmarks.clips import Clip, clip_names, open_clip
from benchmarks.performance_runs import Row
from benchmarks.performance_tables import fill, read_report, tables
from benchmarks.quality import annotate, machine, run_pipeline
from benchmarks.refine_check import check
from stages.core.errors import InputError, LisError
from stages.engines import registry as weights
from stages.engines.refiners.cascadepsp.refiner import CascadePSP, Mask
from stages.formats.frames import Frames
from stages.formats.manifest import beside
from stages.formats.masks import read_mask
from stages.steps.place_anchors import plan
from stages.steps.refine import GuardedRefiner
from tasks import process

Measurement = tuple[str, Callable[[], Row]]

SHORTCUTS: dict[str, dict[str, Any]] = {
    "two passes instead of three": {"passes": 3},
    "a large object shrunk to 256 pixels instead of 512": {"longest_side": 512},
    "a large object shrunk and not looked at again in windows": {"windows": True},
}
"""Of `cascadepsp:lite` (names without a comma), and the options that build the refiner without each."""

_OURS = {"--data-root", "--outputs-root", "--placement", "--workers", "--seq", "--dataset"}
"""Options of the pipeline that every section gives itself."""


@dataclass(frozen=True)
class Bench:
    """What is measured, and how often."""

    root: Path
    out: Path
    sequence: str
    frames: int
    rounds: int
    sample: int
    lengths: Sequence[int]
    objects: Sequence[int]
    counts: Sequence[int]
    finished: int
    development: Sequence[str]
    arguments: Sequence[str]

    @cached_property
    def clip(self) -> Clip:
        """The sequence's first frames, with strokes on every anchor."""
        return self.cut(self.sequence)

    def cut(self, sequence: str) -> Clip:
        """The first frames of any sequence, with strokes on every anchor."""
        return runs.cut(open_clip(self.root, sequence), self.frames, self.out / "strokes")

    @property
    def inputs(self) -> dict[str, Any]:
        """What figures depend on, besides the code and the machine."""
        return {
            "root": str(self.root),
            "sequence": self.sequence,
            "frames": self.frames,
            "sample": self.sample,
            "base": self.lengths[0],
            "arguments": [*self.arguments],
        }

    @property
    def turns(self) -> range:
        """Numbers of the rounds."""
        return range(1, self.rounds + 1)

    def run(self, prepare: Callable[[Path], str], workers: int = 1, task: str = "RefineSequence") -> Callable[[], Row]:
        """A run of the pipeline, still to be made; see `runs.pipeline`."""
        return partial(runs.pipeline, prepare, self.arguments, workers, task)

    def samples(self) -> list[tuple[int, Mask]]:
        """Some frames that show the first object and have a successor, spread over the clip, with its true mask."""
        truths = (read_mask(path) == self.clip.object_ids()[0] for path in self.clip.truths[:-1])
        shown = [(index, truth) for index, truth in enumerate(truths) if truth.any()]
        return [shown[len(shown) * i // self.sample] for i in range(min(self.sample, len(shown)))]


# ---------------------------------------------------------------------------------------------- peak


def measure_peak(bench: Bench) -> Iterator[Measurement]:
    """Products of matrices, and each default network on real input."""
    yield "float32", partial(runs.peak, torch.float32)
    yield "bfloat16", partial(runs.peak, torch.bfloat16)
    yield from runs.default_networks(bench.clip, bench.sample)


# ---------------------------------------------------------------------------------------------- stages


def measure_stages(bench: Bench) -> Iterator[Measurement]:
    """Whole runs with one worker and with two, in turns."""
    for turn in bench.turns:
        for workers in (1, 2):
            yield f"workers {workers}, round {turn}", bench.run(partial(runs.annotated, bench.clip), workers)


# ---------------------------------------------------------------------------------------------- original


def measure_original(bench: Bench) -> Iterator[Measurement]:
    """The paper's networks, both modes in turns, and the default pipeline; all of it once a round."""
    video, rng, chosen = Frames(bench.clip.frames), np.random.default_rng(0), bench.samples()
    true = [(video[index], truth) for index, truth in chosen]
    given = [(frame, cascadepsp.perturbed(truth, rng)) for frame, truth in true]
    steps = [
        siammask.Step(frame, mask.astype(np.float32), video[index + 1])
        for (frame, mask), (index, _) in zip(given, chosen, strict=True)
    ]
    parts: dict[str, Callable[[], Row]] = {
        "fbrs": partial(fbrs.measure_anchors, true),
        "siammask": partial(siammask.measure, steps),
        "cascadepsp": partial(cascadepsp.measure, given, chosen=("exact", "default")),
        "pipeline": bench.run(partial(runs.annotated, bench.clip)),
    }
    yield "amounts", partial(_amounts, len(video))
    for turn in bench.turns:
        for name, part in parts.items():
            yield f"{name}, round {turn}", part


def _amounts(frame_count: int) -> Row:
    """How often each part is called for one object on the whole sequence."""
    anchors = plan(frame_count, ())
    return {
        "anchors": len(anchors.anchors),
        "starts": sum(len(segment.anchors) for segment in anchors.segments),
        "steps": sum(len(segment.anchors) * len(segment.frames) for segment in anchors.segments),
        "refined": frame_count,
    }


# ---------------------------------------------------------------------------------------------- scaling


def measure_scaling(bench: Bench) -> Iterator[Measurement]:
    """One axis at a time; all else is the base case: the shortest video, one object, one sequence, one worker."""
    base = runs.cut(bench.clip, bench.lengths[0], bench.out / "strokes")
    for length in bench.lengths:
        yield f"frames {length}", bench.run(partial(runs.there_and_back, base, length))
    for workers in (1, 2):
        yield f"workers {workers}", bench.run(partial(runs.annotated, base), workers)
    for objects in bench.objects:
        yield f"objects {objects}", bench.run(partial(runs.copies_in_a_grid, base, objects))
    for count in bench.counts:
        yield f"sequences {count}", bench.run(partial(runs.short_copies, bench.clip, count), task="BulkRefine")


# ---------------------------------------------------------------------------------------------- finished


def measure_finished(bench: Bench) -> Iterator[Measurement]:
    """Trivial sequences that are labelled already."""
    yield f"{bench.finished} sequences", partial(bulk.measure, bench.finished, 2, bench.arguments, checks=3)


# ---------------------------------------------------------------------------------------------- shortcuts


def measure_shortcuts(bench: Bench) -> Iterator[Measurement]:
    """Soft masks of the default pipeline on each sequence, refined with all shortcuts and without each, in turns."""
    entry, settings = weights.entry("cascadepsp:lite"), runs.settings()
    assert entry is not None
    network = weights.load_network(entry.engine, runs.WEIGHTS)
    refiners = {
        name: GuardedRefiner(
            CascadePSP(network, **{**entry.options, **without}),
            float(settings["guard_iou"]),
            float(settings["guard_area"]),
        )
        for name, without in {"default": {}, **SHORTCUTS}.items()
    }
    for sequence in bench.development or clip_names(bench.root):
        for name, refiner in refiners.items():
            yield f"{name}, {sequence}", partial(_refined, bench, sequence, refiner)


def _refined(bench: Bench, sequence: str, refiner: GuardedRefiner) -> Row:
    clip, folder = bench.cut(sequence), bench.out / "shortcuts" / sequence
    if not (folder / "outputs" / sequence / "masks").is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        annotate(clip, folder / "data")
        where = ["--data-root", str(folder / "data"), "--outputs-root", str(folder / "outputs"), "--placement", "given"]
        run_pipeline(sequence, [*where, *bench.arguments, "--refiner", "none"], folder / "log.txt")
    figures, _ = check(clip, folder / "outputs" / sequence, refiner, every=1)
    return {"J": figures["J"], "F": figures["F"], "cpu_s": figures["CPU s"]}


# ---------------------------------------------------------------------------------------------- all of them


SECTIONS: dict[str, Callable[[Bench], Iterator[Measurement]]] = {
    "peak": measure_peak,
    "stages": measure_stages,
    "original": measure_original,
    "scaling": measure_scaling,
    "finished": measure_finished,
    "shortcuts": measure_shortcuts,
}


def check_before(bench: Bench, wanted: Sequence[str]) -> None:
    """Find out at once what would end a section hours later.

    Raises:
        InputError: the clip is shorter than the base case of `scaling`, or a development sequence is not there.
    """
    if "scaling" in wanted and len(bench.clip.frames) < bench.lengths[0]:
        raise InputError(
            f"found {len(bench.clip.frames)} frames, expected at least the first of --lengths, {bench.lengths[0]}: "
            "give a shorter one, or more --frames"
        )
    if "shortcuts" in wanted:
        for sequence in bench.development:
            open_clip(bench.root, sequence)


def measure(bench: Bench, name: str) -> None:
    """Measure what a section lacks; each figure is written at once.

    Raises:
        InputError: what is there was measured on other inputs, or cannot be read.
    """
    path, inputs = bench.out / f"{name}.json", bench.inputs
    new = {"inputs": inputs, "machine": machine(), "load": os.getloadavg()[0], "cases": {}}
    report: dict[str, Any] = (read_report(path) or new) | {"complete": False}  # more may be asked for than before
    if report["inputs"] != inputs:
        raise InputError(
            f"{path}: found figures of {report['inputs']}, expected {inputs}; give the same options, or another --out"
        )
    for case, take in SECTIONS[name](bench):
        if case not in report["cases"]:
            Console(stderr=True).print(f"{name}: {case}", markup=False)
            report["cases"][case] = take()
            _write(path, report)
    _write(path, report | {"complete": True})


def _write(path: Path, report: dict[str, Any]) -> None:
    """A stopped benchmark leaves the old text or the new; cases stay in the order in which they were measured."""
    temporary = beside(path)
    try:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    process.keep_freed_memory()  # as tasks do
    own, arguments = _divide(sys.argv[1:] if words is None else words)
    options = _parse(own, arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    wanted = [] if options.targets else options.sections or [*SECTIONS]
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        bench = Bench(
            root=options.root.resolve(),
            out=options.out.resolve(),
            sequence=options.sequence,
            frames=options.frames,
            rounds=options.rounds,
            sample=options.sample,
            lengths=options.lengths,
            objects=options.objects,
            counts=options.counts,
            finished=options.finished,
            development=options.development,
            arguments=arguments,
        )
        check_before(bench, wanted)
        for name in wanted:
            measure(bench, name)
        made = tables(bench.out)
        for name in wanted or ["targets"]:
            Console(width=140).print(Markdown(f"# {name}\n\n{made.get(name, 'Figures are missing: no table yet.')}"))
        if options.fill:
            fill(options.fill, made)
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    return 0


def _divide(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is ours, and what comes after `--`."""
    first = words.index("--") if "--" in words else len(words)
    return words[:first], words[first + 1 :]


def _parse(words: Sequence[str], arguments: Sequence[str]) -> argparse.Namespace:
    def listed(text: str) -> list[str]:
        return text.split(",")

    def count(text: str) -> int:
        if not text.isdecimal() or not int(text):
            raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of 1 or more")
        return int(text)

    def counts(text: str) -> list[int]:
        return [count(number) for number in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--out", type=Path, required=True, help="folder of all figures; what is there is used")
    parser.add_argument("--sequence", default="breakdance", help="which one (%(default)s)")
    parser.add_argument("--frames", type=count, default=70, help="so many of its first frames (%(default)s)")
    parser.add_argument("--rounds", type=count, default=3, help="of everything that is done in turns (%(default)s)")
    parser.add_argument(
        "--sample", type=count, default=4, help="frames that stand for all in peak and original (%(default)s)"
    )
    parser.add_argument(
        "--lengths", type=counts, default=[50, 100, 200, 500, 1000], help="scaling: frames; first the base"
    )
    parser.add_argument("--objects", type=counts, default=[1, 2, 4, 8], help="scaling: up to 9")
    parser.add_argument("--counts", type=counts, default=[1, 5, 20, 50], help="scaling: sequences")
    parser.add_argument("--finished", type=count, default=200, help="sequences without work (%(default)s)")
    parser.add_argument("--development", type=listed, default=[], help="shortcuts: A,B; default: all sequences")
    parser.add_argument("--targets", action="store_true", help="measure nothing; print the targets, met or missed")
    parser.add_argument("--fill", type=Path, help="a document to put all tables into, between its markers")
    options = parser.parse_args(words)
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section is called {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    if max(options.objects) > runs.MOST_OBJECTS:
        parser.error(f"--objects: found {max(options.objects)}, expected {runs.MOST_OBJECTS} at most")
    if options.fill and not options.fill.is_file():
        parser.error(f"--fill: found no document {options.fill}")
    if ours := {word.partition("=")[0] for word in arguments} & _OURS:
        parser.error(f"after `--`: {', '.join(sorted(ours))} is the benchmark's own to give")
    return options


if __name__ == "__main__":
    sys.exit(main())
