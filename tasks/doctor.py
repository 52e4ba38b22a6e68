"""`lis doctor`: what a run would meet, on one screen, before the night."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stages.core.errors import InputError, LisError, StageError
from stages.core.masks import ids_in
from stages.core.words import how_long
from stages.engines.spec import EXACT, PRECISION
from stages.formats.files import existing, free_mib, takes_files
from stages.formats.frames import read_frame
from stages.formats.given_for import check_given_for
from stages.formats.given_masks import read_given, read_seen
from stages.formats.links import followed
from stages.formats.paintings import check_names
from stages.formats.scribbles import check_video
from tasks.anchors import AnchorMask
from tasks.refine import RefineAnchor, RefineSequence
from tasks.runtime import machine
from tasks.runtime.sequence import EngineTask
from tasks.status import estimate, unfinished
from tasks.tracks import TrackSegment

if TYPE_CHECKING:
    from stages.steps.ask import Reading

_BYTES_PER_PIXEL = 0.25  # all stages together, generous: measured 0.05 to 0.15 on 480p clips


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
    from stages.steps.examine_frames import decoders, examine_frames

    files = task.snapshot.frame_files
    with decoders(machine.processors()) as pool:
        checked = examine_frames(files, pool)
    if checked.faults:
        others = f" (and {len(checked.faults) - 1} more frames)" * (len(checked.faults) > 1)
        raise InputError(f"{checked.faults[0]}{others}")
    width, height = checked.size_wh
    return f"{len(files)} in {task.snapshot.paths.frames}, {width}x{height} ({files[0].name} to {files[-1].name})"


def look_at_strokes(task: RefineSequence) -> "Reading":
    """Read the scribble set, the masks beside it and what waits to be merged, as the next run would, and keep nothing.

    Raises:
        InputError: something of it cannot be used.
    """
    from stages.steps.promote import look_at_waiting

    now = task.snapshot
    check_names(task.root, now.frame_count)
    check_video(now.scribble_file, now.scribbles, now.video, now.scribbles.annotated)
    check_given_for(now.scribble_file, now.paths.name, now.video, now.given)
    names = [path.name for path in now.frame_files]
    given = {i: read_given(mask.path, now.video.size_wh, frame=names[i]) for i, mask in now.given.items()}
    for index, digest in now.scribbles.corrects.items():
        if index not in now.given:
            read_seen(now.scribble_file, index, digest, now.video.size_wh)
    read = look_at_waiting(task.root, now.scribble_file, now.scribbles, now.waiting, now.frame_files)
    if now.waiting and not takes_files(followed(now.scribble_file).parent):
        raise InputError(
            f"{now.scribble_file}: what was painted or drawn waits to be read into it, found a folder that cannot be "
            "written; allow it, or keep scribbles in another folder: --scribbles-root"
        )
    return replace(read, masks={**given, **read.masks})


def _scribbles(task: RefineSequence) -> str:
    now = task.snapshot
    painted = look_at_strokes(task)
    drawn, waiting = painted.scribbles, now.plan.requested
    known, fault = now.names
    ids = sorted({*drawn.object_ids}.union(*map(ids_in, painted.masks.values())))
    objects = ", ".join(
        f"{object_id} {known.of(object_id).name}" if known.listed else str(object_id) for object_id in ids
    )
    objects = objects or "none yet"
    annotated = {*drawn.annotated, *painted.masks}
    found = f"{now.scribble_file}: {len(annotated)} frames annotated, objects: {objects}"
    if now.given:
        found += f"; masks given for the frames {', '.join(str(index) for index in now.given)}"
    if waiting:
        found += f"; waiting for {len(waiting)} frames: {', '.join(str(index) for index in waiting)} (exit code 20)"
    if now.waiting:
        kinds = " and ".join(
            ["painted"] * bool(now.painted) + ["drawn"] * bool(now.waiting.drafts or now.waiting.contrary)
        )
        found += f"; {kinds}, to be read by the next run: {'; '.join(painted.said)}"
    if fault:
        found += f"; warning: {fault}"
    return found


def engine_tasks(task: RefineSequence) -> list[EngineTask]:
    """One task of each kind whose work an engine does."""
    anchor, segment = {"frame": 0}, {"start": 0, "stop": 0}
    return [task.clone(AnchorMask, **anchor), task.clone(TrackSegment, **segment), task.clone(RefineAnchor, **anchor)]


def engines_of(task: RefineSequence, with_segmenter: bool = True) -> str:
    """The engines that a run works with, built once to see that they can be; without a segmenter for masks alone.

    Raises:
        LisError: weights are missing, damaged or another network's.
    """
    others, terms = [], {}
    for each in engine_tasks(task)[0 if with_segmenter else 1 :]:
        network = each.found_engine.network
        if network and network.checkpoint.only_for:
            terms[each.found_engine.name] = f"for {network.checkpoint.only_for} only ({network.checkpoint.licence})"
        published = network.checkpoint.sha256 if network else ""
        others += [name for name, digest in each.engine_weights().items() if published and digest != published]
        each.engine()
    found = f"{task.segmenter} + {task.propagator} + {task.refiner}"
    if computes_in_bfloat16(task):
        found += f"; in bfloat16{'' if machine.knows_bfloat16() else ', which this processor is slow in'}"
    found += "".join(f"; {name} fits its network, but is not the published file" for name in others)
    return found + "".join(f"; the weights of {name} are {what}" for name, what in terms.items())


def computes_in_bfloat16(task: RefineSequence) -> bool:
    """Whether a network of a run does: not every one can, and none that is to be exact."""
    told = (each.found_engine.arguments(each.engine_options) for each in engine_tasks(task))
    return any(it.get(PRECISION.argument) == "bfloat16" and not it.get(EXACT.argument) for it in told)


def _engines(task: RefineSequence) -> str:
    return engines_of(task, task.needs_segmenter)


def _disk(task: RefineSequence) -> str:
    height, width = read_frame(task.snapshot.frame_files[0]).shape[:2]
    return room_for(task, height * width * task.snapshot.frame_count)


def room_for(task: RefineSequence, pixels: int) -> str:
    """Whether the disk has room for the results of so many pixels, all frames together.

    Raises:
        StageError: it has not, or its folder cannot be written.
    """
    root = Path(task.outputs_root)
    below = existing(root)
    free, needed_mib = free_mib(root), pixels * _BYTES_PER_PIXEL / 2**20
    if not takes_files(root):
        raise StageError(f"{below} is no folder that can be written; give another --outputs-root")
    needed = f"about {needed_mib:,.0f} MiB needed ({_BYTES_PER_PIXEL} bytes for each pixel of each frame)"
    if free < needed_mib:
        raise StageError(f"{free:,.0f} MiB free below {below}, {needed}: make room")
    return f"{free:,.0f} MiB free below {below}, {needed}"


def _tasks(task: RefineSequence) -> str:
    count = Counter(stage.stage for stage in unfinished(task))
    if not count:
        return "nothing to do: the result is up to date"
    return f"{count.total()} to run ({', '.join(f'{number} {stage}' for stage, number in count.items())})"


def _time(task: RefineSequence) -> str:
    expected = estimate(list(unfinished(task)))
    if math.isnan(expected.seconds):
        return "unknown: no earlier run with these engines to learn from"
    source = "as in earlier runs" if expected.learnt else "by figures from another machine"
    return f"about {how_long(expected.seconds)} with one worker, {source}"


_CHECKS: dict[str, Callable[[RefineSequence], str]] = {
    "frames": _frames,
    "scribbles": _scribbles,
    "engines": _engines,
    "disk": _disk,
    "tasks": _tasks,
    "time": _time,
}
