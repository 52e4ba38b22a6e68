"""How a night grows on a cluster: what a sequence asks of a shared folder, and what a central scheduler must hold.

    python -m benchmarks.cluster --lengths 16,64 --tasks 1000,4000,16000

*Folder*: sequences of so many frames of 48x32 pixels, eight anchors, engines without weights, run under `strace`; every
system call that names something under the data or results is counted. Between two lengths it is a straight line, so
what a frame costs and what a sequence costs can be told apart, and longer videos be foreseen.
*Scheduler*: Luigi's own, in this process, is given the tasks of so many sequences (27 each) as workers
give them; memory, and the time of one question for work while all of them wait.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import luigi.scheduler
import numpy as np
from PIL import Image
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.quality import DATASET
from stages.core.strokes import Line
from stages.formats.layout import sequence_paths
from stages.formats.scribbles import ScribbleSet, merge, write_scribbles
from stages.steps.place_anchors import plan

STAGES = 27
"""Tasks of a sequence with eight anchors: frames, plan, result, and one each to segment, track and refine."""
_KINDS = {
    "looked up": r"\w*stat\w*|\w*access\w*|readlink\w*",
    "opened": r"open\w*",
    "listed": r"getdents\w*",
    "made": r"mkdir\w*|link\w*|symlink\w*",
    "renamed": r"rename\w*",
    "removed": r"unlink\w*|rmdir",
    "synced": r"f(data)?sync",
}
_CHEAP = ("--segmenter", "grabcut", "--propagator", "flow", "--refiner", "guided")


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=_numbers, default=[16, 64], help="frames of the two sequences")
    parser.add_argument("--tasks", type=_numbers, default=[1000, 4000, 16000], help="tasks that wait at once")
    options = parser.parse_args()
    console = Console(width=110)
    if shutil.which("strace"):
        short, long = sorted(options.lengths)[:: len(options.lengths) - 1]
        console.print(folder_table(short, long))
    else:
        console.print("found no strace: operations on the folder were not counted")
    console.print(scheduler_table(options.tasks))
    return 0


# --- the shared folder -----------------------------------------------------------------------------------------------


def folder_table(short: int, long: int) -> Table:
    """Operations of a first run and of one that finds everything done, for both lengths and for 1,000 frames."""
    first, again = {}, {}
    for frames in (short, long):
        with tempfile.TemporaryDirectory(prefix="lis-benchmark-") as scratch:
            first[frames] = operations(Path(scratch), frames)
            left = [*os.walk(Path(scratch) / "outputs")]
            first[frames]["files left"] = sum(len(files) for _, _, files in left)
            first[frames]["folders left"] = len(left)
            again[frames] = operations(Path(scratch), frames)
    table = Table("", *(f"{n} frames" for n in (short, long)), "a frame", "1,000 frames", "finished", box=SIMPLE)
    for kind in first[long]:
        a_frame = (first[long][kind] - first[short][kind]) / (long - short)
        thousand = first[long][kind] + a_frame * (1000 - long)
        finished = again[long].get(kind, 0) if kind in _KINDS else ""
        table.add_row(
            kind, *(f"{first[n][kind]:,}" for n in (short, long)), f"{a_frame:.1f}", f"{thousand:,.0f}", f"{finished}"
        )
    return table


def operations(scratch: Path, frames: int) -> Counter[str]:
    """Run a sequence, made if it is not there yet, and count the calls that touch data or results."""
    if not (scratch / "data").exists():
        moving_square(scratch / "data", "toy", frames)
    trace = scratch / "trace.txt"
    calls = "trace=%file,getdents64,fsync,fdatasync"
    pipeline = [sys.executable, "-m", "luigi", "--module", "tasks", "RefineSequence", "--seq", "toy", *_CHEAP]
    where = ["--data-root", str(scratch / "data"), "--outputs-root", str(scratch / "outputs")]
    subprocess.run(
        ["strace", "-f", "-y", "-qq", "-e", calls, "-o", str(trace), *pipeline, *where], check=True, capture_output=True
    )
    counted: Counter[str] = Counter(dict.fromkeys(_KINDS, 0))
    for line in trace.read_text(errors="replace").splitlines():
        call = re.match(r"\d+\s+(\w+)\(", line)
        if call and (f"{scratch}/data/" in line or f"{scratch}/outputs" in line):
            for kind, names in _KINDS.items():
                counted[kind] += re.fullmatch(names, call[1]) is not None
    return counted


def moving_square(data_root: Path, name: str, frames: int) -> None:
    """A red square on grey, with a stroke on each frame that is asked for."""
    width, height = 48, 32
    paths, scribbles = sequence_paths(data_root, DATASET, name), ScribbleSet(name, frames)
    for folder in (paths.frames, paths.scribbles):
        folder.mkdir(parents=True)
    for index in range(frames):
        left = 4 + index % 30
        picture = np.full((height, width, 3), 90, np.uint8)
        picture[8:20, left : left + 12] = (200, 30, 30)
        Image.fromarray(picture).save(paths.frames / f"{index:05d}.png")
        if index in plan(frames, ()).anchors:
            stroke = Line(1, tuple(((left + x) / width, 14 / height) for x in range(2, 11)))
            scribbles = merge(scribbles, index, [stroke])
    write_scribbles(paths.scribbles / "001.json", scribbles)


# --- the scheduler ---------------------------------------------------------------------------------------------------


def scheduler_table(numbers: Sequence[int]) -> Table:
    """What a scheduler takes to hold so many tasks, and to answer one question for work."""
    table = Table("tasks waiting", "sequences", "held, MiB", "given, ms a task", "one question, s", box=SIMPLE)
    for number in numbers:
        before, started = _memory_mib(), time.perf_counter()
        scheduler = luigi.scheduler.Scheduler()  # type: ignore[no-untyped-call]
        for index in range(number):
            sequence, stage = divmod(index, STAGES)
            name = f"Stage{stage}_s{sequence:05d}_0123456789"
            after = [f"Stage{stage - 1}_s{sequence:05d}_0123456789"] if stage else []
            scheduler.add_task(worker="w", task_id=name, deps=after, params=_PARAMETERS, family=f"Stage{stage}")
        given = time.perf_counter() - started
        started = time.perf_counter()
        scheduler.get_work(worker="w")
        asked = time.perf_counter() - started
        held = _memory_mib() - before
        table.add_row(
            f"{number:,}", f"{number // STAGES:,}", f"{held:.0f}", f"{1e3 * given / number:.2f}", f"{asked:.2f}"
        )
    return table


_PARAMETERS = {f"option_{number}": "a value" for number in range(40)}
"""About as many as a stage has."""


def _memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
