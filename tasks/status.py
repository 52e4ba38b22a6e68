"""How far sequences are, what is still to be made, and how long that took the last time."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import luigi
from luigi.parameter import ParameterException

from stages.core.errors import LisError
from stages.core.states import State
from stages.formats import requests, results
from stages.formats.manifest import read_manifest
from stages.formats.progress import Event, RunProgress, last_failure, read_progress
from tasks.anchors import AnchorMask, SelectAnchors
from tasks.approval import in_words
from tasks.inputs import ImportScribbles
from tasks.refine import RefineSequence
from tasks.runtime import locks
from tasks.runtime.mistakes import explain
from tasks.runtime.published import PublishedTask
from tasks.runtime.questions import once_a_question, one_question
from tasks.runtime.sequence import EngineTask, ScribbledTask, StageTask

_ENDS = {State.DONE.exit_code, State.WAITING.exit_code, State.FAILED.exit_code}
"""What a run ends with that nobody has stopped."""
_PLACES = ("data_root", "weights_root", "outputs_root", "dataset", "seq", "scribbles_root")
"""What says where things lie, not how they are made."""


@dataclass(frozen=True)
class Work:
    """What a run does at this moment."""

    host: str
    pid: int
    tasks: tuple[str, ...]
    """The stages that it works on."""
    percent: int
    """How much of the run's plan is done."""

    def __str__(self) -> str:
        """In words."""
        at = ", ".join(self.tasks) or "between two stages"
        return f"process {self.pid} on {self.host}, {self.percent} %: {at}"


@dataclass(frozen=True)
class Standing:
    """How far a sequence is."""

    state: State
    reason: str = ""
    """Why it waits, failed or stopped; empty if it is done."""
    waiting_for: tuple[int, ...] = ()
    """Frames that people still owe scribbles."""
    to_approve: tuple[int, ...] = ()
    """Frames with masks that they have to approve before anything is carried from there."""
    work: Work | None = None
    """What the run that works on it does; None before it has begun its first stage."""


def standing(task: RefineSequence, failure: str | None = None) -> Standing:
    """How far a sequence is.

    Args:
        task: its result.
        failure: why a run that has just ended failed; "" if it did not; None: as the sequence's folder says.
    """
    try:
        if read_manifest(task.target()) and task.complete():  # the whole graph is asked only where there is a result
            return Standing(State.DONE)
        if other := _finished_otherwise(task):
            return Standing(State.DONE, f"with other options than now: {other}")
        return _not_done(task, failure)
    except (LisError, OSError) as error:
        return Standing(State.FAILED, failure or explain(error))


def standing_of_last_run(task: RefineSequence) -> Standing:
    """How far a sequence is with the options of the run that worked on it last, where no other ones were asked for."""
    found = standing(task)
    if found.state == State.DONE:
        return found
    try:
        other, differing = _with_options(task, _options_of_last_run(task.root))
        if not differing:
            return found
        found = standing(other)
    except (LisError, OSError):
        return found
    return replace(found, reason="; ".join(filter(None, [found.reason, f"with other options than now: {differing}"])))


def as_last_run(task: RefineSequence, scribble_set: str = "") -> RefineSequence:
    """The task with the options of the run that worked on the sequence last, as far as that can be told.

    Args:
        task: itself, if there was none.
        scribble_set: which set is meant; empty: that of the last run.
    """
    last = _with_options(task, _options_of_last_run(task.root))[0]
    chosen: RefineSequence = last.clone(RefineSequence, scribbles=scribble_set or last.scribbles)
    return chosen


def _options_of_last_run(root: Path) -> Mapping[str, str]:
    """Those of its masks, provisional ones before others, and those under which it asked for the scribbles awaited."""
    made = next(filter(None, (read_manifest(root / name) for name in (results.PROVISIONAL, results.MASKS))), None)
    approval = requests.approval_awaited(root)
    asked = {name: str(value) for name, value in (requests.terms_of_waiting(root) or approval).items()}
    return {
        **(made.run.get("options", {}) if made else {}),
        **asked,
        **({"approve_anchors": "True"} if approval else {}),
    }


def as_made(task: RefineSequence, result: str) -> RefineSequence:
    """The task with the options that a result was made with, `masks` or `provisional`."""
    manifest = read_manifest(task.root / result)
    return _with_options(task, manifest.run.get("options", {}) if manifest else {})[0]


def _with_options(task: RefineSequence, options: Mapping[str, str]) -> tuple[RefineSequence, str]:
    """The task with other options, as far as it has such and they still can be, and in words which ones differ."""
    now = task.to_str_params()
    then = {name: value for name, value in options.items() if name in now and name not in _PLACES}
    differing = {name: value for name, value in then.items() if now[name] != value}
    try:
        other = RefineSequence.from_str_params({**now, **then})
    except (LisError, ParameterException):  # an engine that has gone, for instance
        return task, ""
    return other, ", ".join(f"{name} {value}" for name, value in differing.items())


def emptiness(task: RefineSequence, found: Standing) -> str:
    """Objects that came out empty in the masks that a sequence has, in one line; nothing if there are none."""
    masks = {State.DONE: task, State.PROVISIONAL: task.provisional_result()}.get(found.state)
    return masks.emptiness() if masks is not None else ""


def _finished_otherwise(task: RefineSequence) -> str:
    """The options that differ from the task's, if the result on disk was made with them and is up to date."""
    manifest = read_manifest(task.target())
    made, differing = _with_options(task, manifest.run.get("options", {}) if manifest else {})
    return differing if differing and made.complete() else ""


def _not_done(task: RefineSequence, failure: str | None) -> Standing:
    runs = read_progress(task.root)
    made = [run for run in runs if not _is_export(run)]
    if failure is None and locks.is_taken(task.root):
        work = work_of(runs)
        return Standing(State.RUNNING, str(work or locks.holder(task.root)), work=work)
    if reason := last_failure(made) if failure is None else failure:
        return Standing(State.FAILED, reason)
    waiting = task.snapshot.plan.requested
    if failure is None and not (task.root / results.FRAMES).is_dir():
        return Standing(State.NEW, _owed(waiting), waiting)
    to_approve = tuple(each.frame for each in task.unapproved() if each.waits)
    if waiting:
        return replace(_waiting(task, waiting), to_approve=to_approve)
    if to_approve:
        return Standing(State.WAITING_FOR_APPROVAL, in_words(to_approve), to_approve=to_approve)
    return _unfinished(task, made, is_look=failure is None)


def _is_export(run: RunProgress) -> bool:
    """Whether a run was an export's: it takes what is there, and its end says nothing of how far the masks are."""
    return any(Path(name).parts[0] in (results.EXPORT, results.EXPORT_PARTS) for name in (*run.planned, *run.tasks))


def _waiting(task: RefineSequence, frames: tuple[int, ...]) -> Standing:
    meanwhile = task.provisional_result()
    if meanwhile is None or not meanwhile.complete():
        return Standing(State.WAITING, _owed(frames), frames)
    return Standing(State.PROVISIONAL, f"{_owed(frames)}; provisional masks in {meanwhile.target()}", frames)


def _owed(frames: tuple[int, ...]) -> str:
    if not frames:
        return ""
    listed = ", ".join(str(index) for index in frames)
    return f"scribbles on {len(frames)} frame{'s' * (len(frames) > 1)}: {listed}"


def work_of(runs: Sequence[RunProgress]) -> Work | None:
    """What the runs do that have not ended, of a sequence that is worked on; of several, the processes are one's."""
    open_runs = [run for run in runs if run.exit_code is None and run.host]
    if not open_runs:
        return None
    at = [task.task for run in open_runs for task in run.in_state(Event.START, Event.PART)]
    share = max(run.share_done for run in open_runs)
    return Work(open_runs[0].host, open_runs[0].pid, tuple(dict.fromkeys(at)), math.floor(100 * share))


def _unfinished(task: RefineSequence, runs: Sequence[RunProgress], *, is_look: bool) -> Standing:
    """Nobody works on it, nothing failed, nobody is waited for, and the result is not up to date."""
    last = runs[-1] if runs else None
    if last is not None and last.exit_code is None:
        at = work_of([last]) or "a run was just beginning"
        return Standing(State.STOPPED, f"interrupted ({at}); run the command again")
    if last is not None and last.exit_code not in _ENDS:
        return Standing(State.STOPPED, "a run was stopped; run the command again")
    if is_look and read_manifest(task.target()):
        again = Counter(stage.stage for stage in unfinished(task))
        stages = ", ".join(f"{number} {stage}" for stage, number in again.items())
        return Standing(State.STALE, f"what it was made from has changed; a run would make again: {stages}")
    if last is not None and last.exit_code == State.WAITING.exit_code:
        what = "the anchor masks are approved" if task.approve_anchors else "the scribbles are there"
        return Standing(State.STOPPED, f"{what}; run the command again")
    if last is not None and last.exit_code == State.DONE.exit_code and results.MASKS not in last.planned:
        return Standing(State.STOPPED, f"a part of it was asked for, and is made; lis refine {task.seq} makes the rest")
    return Standing(State.STOPPED, "not everything ran; run the command again")


def unfinished(task: PublishedTask) -> list[StageTask]:
    """Every stage that a run of the task would make, as far as that can be told now; what is asked first comes last.

    What people said since the last run counts as read: it makes its own frames anew, and what rests on them.

    Raises:
        LisError: a run would fail.
    """
    found: list[StageTask] = []
    seen: set[str] = set()
    queue: list[luigi.Task] = [task]
    with one_question(_as_if_read(task) if isinstance(task, ScribbledTask) else {}):
        while queue:
            current = queue.pop()
            if current.task_id not in seen and not current.complete():
                seen.add(current.task_id)
                queue += luigi.task.flatten(current.requires())
                if isinstance(current, StageTask):
                    read_manifest(current.target())  # raises where a newer version of LIS has worked
                    found.append(current)
    return found


def _as_if_read(task: ScribbledTask) -> dict[tuple[str, str], bool]:
    now = task.snapshot
    drawn = {*now.painted, *now.waiting.drafts}
    anew: list[StageTask] = [task.clone(AnchorMask, frame=index) for index in drawn]
    if not drawn.issubset(now.annotated):
        anew.append(task.clone(SelectAnchors))
    return {task.clone(ImportScribbles).question: True, **{stage.question: False for stage in anew}}


def without_people(stages: Iterable[StageTask]) -> list[StageTask]:
    """Those that can be made before anybody does what a run waits for."""
    with one_question():
        return [stage for stage in stages if not _rests_on_people(stage)]


def _rests_on_people(task: luigi.Task) -> bool:
    def look() -> bool:
        if isinstance(task, luigi.ExternalTask):
            return not task.complete()
        return any(map(_rests_on_people, luigi.task.flatten(task.requires())))

    return once_a_question(("rests on people", task.task_id), look)


@dataclass(frozen=True)
class Estimate:
    """How long stages will take."""

    seconds: float
    """With one worker; NaN if nothing is known of an engine."""
    learnt: bool
    """Whether all of it comes from earlier runs with the same results' folder."""


Known = dict[tuple[str, str], float | None]
"""Stage and engine -> seconds a frame in earlier runs, if there were any."""


def estimate(stages: Sequence[StageTask], earlier: Known | None = None) -> Estimate:
    """How long stages will take: as they took with the same engines before, or by the figures of the engines.

    Args:
        stages: what is still to be made.
        earlier: what former questions found out, and this one adds to: all earlier results are read for it.
    """
    seconds, learnt = 0.0, True
    earlier = {} if earlier is None else earlier
    for stage in stages:
        if not isinstance(stage, EngineTask) or not stage.needs_engine:
            continue
        kind = stage.stage, stage.engine_name
        if kind not in earlier:
            earlier[kind] = _seconds_per_unit(stage)
        known = earlier[kind]
        if known is None:
            known, learnt = stage.found_engine.cost.seconds or math.nan, False
        seconds += stage.frames_covered() * known
    return Estimate(seconds, learnt)


def seconds_since(root: Path, started: float) -> float:
    """Seconds of the stages of a sequence that were published since then, from their manifests."""
    return round(sum(manifest.run["seconds"] for manifest in results.published_since(root, started)), 1)


def _seconds_per_unit(stage: EngineTask) -> float | None:
    """What the same stage with the same engine took in earlier runs below the same root of results."""
    taken = units = 0.0
    for manifest in results.published_before(Path(stage.outputs_root), stage.stage):
        if manifest.key.get(stage.plug) == stage.engine_name:
            taken += manifest.run["seconds"]
            units += results.frames_in(manifest)
    return taken / units if units else None
