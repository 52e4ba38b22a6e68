"""How good the pipeline's masks are, and how fast it makes them, on videos with ground truth.

    python -m benchmarks.quality --root DAVIS_ROOT --json quality.json
    python -m benchmarks.quality --root DAVIS_ROOT --sequences cows,dog --segmenter grabcut --propagator flow \
        --refiner guided --mosaic --json mosaic.json

Every sequence is annotated as a person would: the scribble set 001 on its own frame, and centre-line strokes drawn
from ground truth on the other anchors (seven by `eq1`, or as --requests and --placement say). Then the real command
runs, in a process of its own, on copies of the frames and scribbles; ground truth enters nowhere else, but for the
scores.

J and F are means over all frames (interactive protocol), `anchor_J` is J of the anchor masks before refinement. Each
object weighs the same in the overall means, as in DAVIS. Time is that of whole runs, from a cold start on.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

from benchmarks.clips import Clip, clip_names, mosaic, open_clip
from benchmarks.strokes import centre_lines
from stages.core.errors import InputError, LisError, StageError
from stages.core.metrics import SequenceScores, score_sequence, statistics
from stages.core.plan import Plan
from stages.formats.layout import sequence_paths
from stages.formats.masks import read_mask
from stages.formats.scribbles import ScribbleSet, merge, read_scribbles, write_scribbles
from stages.steps.place_anchors import plan

REQUESTS, _PLACEMENT = 7, "eq1"
DATASET = "benchmark"
_TAIL_LINES = 30
_PROJECT = Path(__file__).resolve().parents[1]  # where luigi.cfg lies
_COLUMNS = {
    "J": ("J", ".4f"),
    "F": ("F", ".4f"),
    "J&F": ("J&F", ".4f"),
    "anchor_J": ("anchor J", ".4f"),
    "frames_per_second": ("fps", ".2f"),
    "cpu_seconds_per_frame": ("CPU s/frame", ".3f"),
    "peak_memory_mib": ("MiB", ".0f"),
}


@dataclass(frozen=True)
class Run:
    """What one run of the pipeline cost."""

    seconds: float
    """Wall clock, from a cold start on."""
    cpu_seconds: float
    """Of all its processes."""
    peak_memory_mib: float
    """Of its largest process. Never below this process's own peak, which the system hands down to its children."""


def lazy_scribbles(clip: Clip, requests: int = REQUESTS, placement: str = _PLACEMENT) -> tuple[Plan, ScribbleSet]:
    """A plan of anchors, and strokes on every one of them: the clip's own on the first, centre lines on the others.

    Args:
        clip: with ground truth.
        requests: anchors beyond the first.
        placement: as in luigi.cfg.

    Raises:
        InputError: the scribble set 001 does not fit the clip.
    """
    count = len(clip.frames)
    scribbles = read_scribbles(clip.scribbles, clip.name, count)
    if strangers := sorted(set(scribbles.object_ids) - set(clip.object_ids())):
        raise InputError(
            f"{clip.scribbles}: found strokes of the objects {strangers}, expected those of the ground truth: "
            f"{list(clip.object_ids())}; take the scribbles that were drawn for these annotations"
        )
    chosen = plan(count, scribbles.annotated, requests, placement)
    for index in chosen.requested:
        scribbles = merge(scribbles, index, centre_lines(read_mask(clip.truths[index])))
    return chosen, scribbles


def annotate(clip: Clip, data_root: Path, requests: int = REQUESTS, placement: str = _PLACEMENT) -> tuple[int, ...]:
    """Put a clip's frames, and scribbles on every anchor (see `lazy_scribbles`), into a data root.

    Returns:
        The anchors, ascending.

    Raises:
        InputError: the scribble set 001 does not fit the clip.
    """
    chosen, scribbles = lazy_scribbles(clip, requests, placement)
    paths = sequence_paths(data_root, DATASET, clip.name)
    for folder in (paths.frames, paths.scribbles):
        folder.mkdir(parents=True)
    for frame in clip.frames:
        shutil.copyfile(frame, paths.frames / frame.name)
    write_scribbles(paths.scribbles / "001.json", scribbles)
    return chosen.anchors


def run_pipeline(
    name: str, arguments: Sequence[str], log: Path, task: str = "RefineSequence", by: str = "--seq"
) -> Run:
    """Run a task on one sequence, or on what else the option `by` names.

    Raises:
        StageError: it failed; the message ends with the tail of its output.
    """
    command = [str(Path(sys.executable).with_name("luigi")), "--module", "tasks", task, by, name]
    start = time.perf_counter()
    with (
        log.open("wb") as output,
        subprocess.Popen([*command, *arguments], cwd=_PROJECT, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        _, status, usage = os.wait4(process.pid, 0)  # unlike wait(), it tells what this run used, and no other
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        tail = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        raise StageError(
            f"The run of {name!r} ended with exit code {process.returncode}: {shlex.join([*command, *arguments])}\n"
            f"The end of its output:\n" + "\n".join(tail)
        )
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def evaluate(clip: Clip, anchors: Sequence[int], results: Path, run: Run) -> dict[str, Any]:
    """Score one sequence's folder of results.

    Raises:
        InputError: a mask is missing or has another shape than the ground truth.
    """
    ids, count = clip.object_ids(), len(clip.frames)
    masks = (read_mask(results / "masks" / f"{frame.stem}.png") for frame in clip.frames)
    scores = score_sequence(masks, clip.read_truths(), ids)
    anchor_masks = (read_mask(results / "anchor_masks" / f"{index:05d}" / "mask.png") for index in anchors)
    anchor_truths = (read_mask(clip.truths[index]) for index in anchors)
    anchor_region = score_sequence(anchor_masks, anchor_truths, ids).region
    objects = dict(zip(map(str, ids), _object_scores(scores, anchor_region), strict=True))
    return {
        **_mean(list(objects.values())),
        "frames_per_second": count / run.seconds,
        "cpu_seconds_per_frame": run.cpu_seconds / count,
        "frames": count,
        "seconds": run.seconds,
        "cpu_seconds": run.cpu_seconds,
        "peak_memory_mib": run.peak_memory_mib,
        "anchors": list(anchors),
        "objects": objects,
    }


def _object_scores(scores: SequenceScores, anchor_region: np.ndarray[Any, Any]) -> Iterator[dict[str, float]]:
    for column in range(len(scores.object_ids)):
        region, boundary = statistics(scores.region[:, column]), statistics(scores.boundary[:, column])
        yield {
            "J": region.mean,
            "F": boundary.mean,
            "J&F": (region.mean + boundary.mean) / 2,
            "anchor_J": float(anchor_region[:, column].mean()),
            "J_recall": region.recall,
            "J_decay": region.decay,
            "F_recall": boundary.recall,
            "F_decay": boundary.decay,
        }


def _mean(objects: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([scores[key] for scores in objects])) for key in ("J", "F", "J&F", "anchor_J")}


def summarise(sequences: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The figures of all sequences together: objects weigh the same in J and F, frames weigh the same in times."""
    frames = sum(sequence["frames"] for sequence in sequences.values())
    return {
        **_mean([scores for sequence in sequences.values() for scores in sequence["objects"].values()]),
        "frames_per_second": frames / sum(sequence["seconds"] for sequence in sequences.values()),
        "cpu_seconds_per_frame": sum(sequence["cpu_seconds"] for sequence in sequences.values()) / frames,
        "peak_memory_mib": max(sequence["peak_memory_mib"] for sequence in sequences.values()),
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    packages = ("numpy", "opencv-python-headless", "torch", "luigi")
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def print_table(sequences: dict[str, dict[str, Any]], mean: dict[str, float]) -> None:
    """Print one row per sequence, and their mean."""
    table = Table(Column("sequence", min_width=18, overflow="fold"), box=SIMPLE, padding=(0, 1, 0, 0))
    for title, _ in _COLUMNS.values():
        table.add_column(title, justify="right")
    for name, row in (*sequences.items(), ("mean", mean)):
        figures = (f"{row[key]:{style}}" for key, (_, style) in _COLUMNS.items())
        table.add_row(name, *figures, end_section=name == list(sequences)[-1])
    Console().print(table)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parse()
    try:
        options.json.parent.mkdir(parents=True, exist_ok=True)  # now, not after an hour's work
        with _scratch(options.scratch) as scratch:
            sequences = _measure(options, scratch)
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    mean = summarise(sequences)
    report = {"mean": mean, "sequences": sequences, "command": shlex.join(sys.orig_argv), "machine": machine()}
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print_table(sequences, mean)
    return 0


@contextmanager
def _scratch(kept: Path | None) -> Iterator[Path]:
    """A folder that vanishes afterwards, or the one to keep."""
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="lis-quality-") as temporary:
            yield Path(temporary).resolve()
    elif kept.exists():
        raise InputError(f"{kept} exists, expected the name of a new folder: results of another run would be reused")
    else:
        kept.mkdir(parents=True)
        yield kept.resolve()


def _measure(options: argparse.Namespace, scratch: Path) -> dict[str, dict[str, Any]]:
    data_root, outputs_root = scratch / "data", scratch / "outputs"
    arguments = ["--data-root", str(data_root), "--outputs-root", str(outputs_root), "--workers", str(options.workers)]
    for kind in ("segmenter", "propagator", "refiner"):
        if engine := getattr(options, kind):
            arguments += [f"--{kind}", engine]
    if (options.requests, options.placement) != (REQUESTS, _PLACEMENT):
        arguments += ["--requests", str(options.requests), "--placement", options.placement]
    clips = [open_clip(options.root, name) for name in options.sequences or clip_names(options.root)]
    if options.mosaic:
        if len(clips) % 2:
            raise InputError(f"--mosaic pairs up neighbours: found {len(clips)} sequences, expected an even number")
        clips = [mosaic(left, right, scratch / "mosaics") for left, right in zip(clips[::2], clips[1::2], strict=True)]
    sequences = {}
    for clip in track(clips, "Sequences", console=Console(stderr=True), transient=True):
        anchors = annotate(clip, data_root, options.requests, options.placement)
        run = run_pipeline(clip.name, arguments, scratch / f"{clip.name}.log")
        sequences[clip.name] = evaluate(clip, anchors, outputs_root / clip.name, run)
    return sequences


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--sequences", type=lambda names: names.split(","), help="A,B; default: all with ground truth")
    parser.add_argument("--segmenter", help="an engine; default, here and below: as luigi.cfg says")
    parser.add_argument("--propagator")
    parser.add_argument("--refiner")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="anchors beyond the first (%(default)s)")
    parser.add_argument("--placement", choices=("eq1", "spread"), default=_PLACEMENT, help="of anchors (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes of one run (%(default)s)")
    parser.add_argument("--mosaic", action="store_true", help="put neighbours side by side: two objects, one hidden")
    parser.add_argument("--scratch", type=Path, help="a new folder that keeps frames, scribbles, results and logs")
    parser.add_argument("--json", type=Path, required=True, help="the file for all figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
