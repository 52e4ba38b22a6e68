"""How far sequences are, what is still to be made, and how long that took the last time."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import luigi

from stages.core.errors import LisError
from stages.core.states import State
from stages.formats import results
from stages.formats.log import last_failure
from stages.formats.manifest import read_manifest
from tasks.refine import RefineSequence
from tasks.runtime import locks
from tasks.runtime.published import PublishedTask
from tasks.runtime.sequence import EngineTask, StageTask
from tasks.tracks import SegmentTask

_PLACES = ("data_root", "weights_root", "outputs_root", "dataset", "seq", "scribbles_root")
"""What says where things lie, not how they are made."""


@dataclass(frozen=True)
class Standing:
    """How far a sequence is."""

    state: State
    reason: str = ""
    """Why it waits, failed or stopped; empty if it is done."""
    waiting_for: tuple[int, ...] = ()
    """Frames that people still owe scribbles."""


def standing(task: RefineSequence, failure: str | None = None) -> Standing:
    """How far a sequence is.

    Args:
        task: its result.
        failure: why a run that has just ended failed; "" if it did not; None: look into the sequence's log.
    """
    try:
        if task.complete():
            return Standing(State.DONE)
        if other := _finished_otherwise(task):
            return Standing(State.DONE, f"with other options than now: {other}")
        if failure is None and locks.is_taken(task.root):
            return Standing(State.RUNNING)
        if reason := last_failure(task.root) if failure is None else failure:
            return Standing(State.FAILED, reason)
        return _unfailed(task, is_new=failure is None and not (task.root / results.FRAMES).is_dir())
    except LisError as error:
        return Standing(State.FAILED, failure or str(error))


def _finished_otherwise(task: RefineSequence) -> str:
    """The options that differ from the task's, if the result on disk was made with them and is up to date."""
    manifest = read_manifest(task.target())
    recorded = manifest.run.get("options", {}) if manifest else {}
    if not recorded:
        return ""
    now = task.to_str_params()
    then = {name: value for name, value in recorded.items() if name in now and name not in _PLACES}
    differing = {name: value for name, value in then.items() if now[name] != value}
    made = RefineSequence.from_str_params({**now, **then})
    return ", ".join(f"{name} {value}" for name, value in differing.items()) if made.complete() else ""


def _unfailed(task: RefineSequence, *, is_new: bool) -> Standing:
    if waiting := task.snapshot.plan.requested:
        frames = ", ".join(str(index) for index in waiting)
        return Standing(
            State.NEW if is_new else State.WAITING,
            f"scribbles on {len(waiting)} frame{'s' * (len(waiting) > 1)}: {frames}",
            waiting,
        )
    return Standing(State.NEW) if is_new else Standing(State.STOPPED, "not everything ran; run the command again")


def unfinished(task: PublishedTask) -> Iterator[StageTask]:
    """Every stage that a run of the task would make, as far as that can be told now; what is asked first comes last.

    Raises:
        LisError: a run would fail.
    """
    seen: set[str] = set()
    queue: list[luigi.Task] = [task]
    while queue:
        current = queue.pop()
        if current.task_id not in seen and not current.complete():
            seen.add(current.task_id)
            queue += luigi.task.flatten(current.requires())
            if isinstance(current, StageTask):
                yield current


@dataclass(frozen=True)
class Estimate:
    """How long stages will take."""

    seconds: float
    """With one worker; NaN if nothing is known of an engine."""
    learnt: bool
    """Whether all of it comes from earlier runs with the same results' folder."""


def estimate(stages: list[StageTask]) -> Estimate:
    """How long stages will take: as they took with the same engines before, or by the figures of the engines."""
    seconds, learnt = 0.0, True
    earlier: dict[tuple[str, str], float | None] = {}
    for stage in stages:
        if not isinstance(stage, EngineTask):
            continue
        kind = stage.stage, stage.engine_name
        if kind not in earlier:
            earlier[kind] = _seconds_per_unit(stage)
        known = earlier[kind]
        if known is None:
            known, learnt = stage.found_engine.cost.seconds or math.nan, False
        seconds += _units(stage) * known
    return Estimate(seconds, learnt)


def seconds_since(root: Path, started: float) -> float:
    """Seconds of the stages of a sequence that were published since then, from their manifests."""
    return round(sum(manifest.run["seconds"] for manifest in results.published_since(root, started)), 1)


def how_long(seconds: float) -> str:
    """A duration as people say it."""
    return f"{seconds:.0f} s" if seconds < 120 else time.strftime("%H:%M:%S", time.gmtime(seconds))


def _units(stage: EngineTask) -> int:
    return len(stage.segment.frames) if isinstance(stage, SegmentTask) else 1


def _seconds_per_unit(stage: EngineTask) -> float | None:
    """What the same stage with the same engine took in earlier runs below the same root of results."""
    taken = units = 0.0
    for manifest in results.published_before(Path(stage.outputs_root), stage.stage):
        if manifest.key.get(stage.plug) == stage.engine_name:
            taken += manifest.run["seconds"]
            units += results.frames_in(manifest)
    return taken / units if units else None
