"""`python -m tasks doctor --seq X`: what a run would meet, on one screen, before the night."""

import math
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import luigi
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stages.errors import LisError, StageError
from stages.frames import read_frame
from stages.manifest import read_manifest
from tasks.base import StageTask
from tasks.refine import RefineSequence
from tasks.tracks import SegmentTask

_BYTES_PER_PIXEL = 0.25  # all stages together, generous: measured 0.05 to 0.15 on 480p clips

_PLUG = {"anchor_masks": "segmenter", "tracks": "propagator", "refined": "refiner"}
"""Stage -> the option that names its engine."""

_SECONDS = {
    "anchor_masks": {"fbrs:lite": 0.5, "grabcut": 1.0},
    "tracks": {"match:lite": 0.18, "match:trunk": 0.14, "flow": 0.06},
    "refined": {"cascadepsp:lite": 0.14, "guided": 0.05, "none": 0.02},
}
"""Seconds for one anchor or one frame (854x480, one object, one core), where no earlier run can tell."""


def examine(task: RefineSequence, console: Console) -> bool:
    """Print what a run of the task would meet.

    Args:
        task: the run in question.
        console: where to print.

    Returns:
        Whether nothing stands in its way; scribbles that are still to be drawn do not.
    """
    table = Table(title=f"doctor: {task.seq}", show_header=False, title_justify="left")
    table.add_column()
    table.add_column()
    table.add_column(overflow="fold")
    well = True
    for name, check in _CHECKS.items():
        try:
            found, good = check(task), True
        except (LisError, OSError) as error:
            found, good = str(error), False
        well &= good
        table.add_row(name, "[green]ok[/]" if good else "[red]problem[/]", escape(found))
        if not good:
            break  # what follows rests on it
    console.print(table)
    return well


def _frames(task: RefineSequence) -> str:
    files = task.frame_files
    height, width = read_frame(files[0]).shape[:2]
    return f"{len(files)} in {task.paths.frames}, {width}x{height} ({files[0].name} to {files[-1].name})"


def _scribbles(task: RefineSequence) -> str:
    drawn, waiting = task.scribble_set, task.plan.requested
    objects = ", ".join(str(object_id) for object_id in drawn.object_ids) or "none yet"
    found = f"{task.scribble_file}: {len(drawn.annotated)} frames annotated, objects: {objects}"
    if waiting:
        found += f"; waiting for {len(waiting)} frames: {', '.join(str(index) for index in waiting)} (exit code 20)"
    return found


def _engines(task: RefineSequence) -> str:
    for engine in (task.segmenter, task.propagator, task.refiner):
        task.checkpoint(engine)
    return f"{task.segmenter} + {task.propagator} + {task.refiner}"


def _disk(task: RefineSequence) -> str:
    root = Path(task.outputs_root).absolute()
    existing = next(path for path in (root, *root.parents) if path.exists())
    free_mib = shutil.disk_usage(existing).free / 2**20
    height, width = read_frame(task.frame_files[0]).shape[:2]
    needed_mib = height * width * task.frame_count * _BYTES_PER_PIXEL / 2**20
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise StageError(f"{existing} is no folder that can be written; give another --outputs-root")
    if free_mib < needed_mib:
        raise StageError(f"{free_mib:.0f} MiB free below {existing}, about {needed_mib:.0f} MiB needed: make room")
    return f"{free_mib:.0f} MiB free below {existing}, about {needed_mib:.0f} MiB needed"


def _tasks(task: RefineSequence) -> str:
    stages = list(_unfinished(task))
    if not stages:
        return "nothing to do: the result is up to date"
    count: dict[str, int] = defaultdict(int)
    for stage in stages:
        count[stage.stage] += 1
    return f"{len(stages)} to run ({', '.join(f'{number} {stage}' for stage, number in count.items())})"


def _time(task: RefineSequence) -> str:
    seconds, learnt = 0.0, True
    for stage in _unfinished(task):
        units = _units(stage)
        known = _seconds_per_unit(stage)
        if known is None:
            engine = getattr(task, _PLUG.get(stage.stage, ""), "")
            known, learnt = _SECONDS.get(stage.stage, {}).get(engine, 0.0 if units == 0 else math.nan), False
        seconds += units * known
    if math.isnan(seconds):
        return "unknown: no earlier run with these engines to learn from"
    return f"about {seconds:.0f} s with one worker, " + (
        "as in earlier runs" if learnt else "by figures from another machine"
    )


_CHECKS: dict[str, Callable[[RefineSequence], str]] = {
    "frames": _frames,
    "scribbles": _scribbles,
    "engines": _engines,
    "disk": _disk,
    "tasks": _tasks,
    "time": _time,
}


def _unfinished(task: RefineSequence) -> Iterator[StageTask]:
    seen: set[str] = set()
    queue: list[luigi.Task] = [task]
    while queue:
        current = queue.pop()
        if current.task_id not in seen and not current.complete():
            seen.add(current.task_id)
            queue += current.requires()
            if isinstance(current, StageTask):
                yield current


def _units(stage: StageTask) -> int:
    if isinstance(stage, SegmentTask):
        return len(stage.segment.frames)
    return 1 if stage.stage == "anchor_masks" else 0


def _seconds_per_unit(stage: StageTask) -> float | None:
    """What the same stage with the same engine took in earlier runs below the same root of results."""
    taken = units = 0.0
    for path in Path(stage.outputs_root).glob(f"*/{stage.stage}/*/manifest.json"):
        manifest = read_manifest(path.parent)
        plug = _PLUG.get(stage.stage)
        if manifest and plug and manifest.key.get(plug) == getattr(stage, plug):
            taken += manifest.run["seconds"]
            masks = sum(name.startswith("masks/") for name in manifest.files["sha256"])
            units += masks or 1
    return taken / units if units else None
