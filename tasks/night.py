"""A night from its beginning to its summary, which the next command writes if the night was killed."""

import multiprocessing
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from luigi.parameter import ParameterException

from stages.core.errors import LisError
from stages.core.states import State
from stages.formats import files, night, progress, results
from stages.formats.night import NightRecord, Outcome, Summary
from tasks.choice import Chosen
from tasks.overview import glance_at, with_thumbnail
from tasks.refine import RefineSequence
from tasks.runtime import locks
from tasks.runtime.looks import look_at
from tasks.runtime.luigi_hooks import logger
from tasks.runtime.snapshot import paths_of
from tasks.status import Standing, emptiness, seconds_since, standing

Tasks = Mapping[str, RefineSequence]
"""Name of a sequence, as the summary calls it -> what was asked for; those that cannot be taken are left out."""


@dataclass(frozen=True)
class Night:
    """A night that is at work."""

    outputs_root: Path
    folder: Path
    record: NightRecord

    def end(self, outcomes: Sequence[Outcome], tasks: Tasks) -> Path:
        """Write the summary and the page; returns the summary for people."""
        return _publish(self, Summary(outcomes, self.record.started, round(time.time(), 1)), tasks)


@contextmanager
def begun_night(outputs_root: Path, options: Mapping[str, str], chosen: Sequence[Chosen]) -> Iterator[Night]:
    """Make the folder of a night, and write down what is to be done; a lock on it tells that the night is at work."""
    started = time.time()
    folder = night.begin_night(outputs_root, started)
    with locks.held(folder):
        command = multiprocessing.parent_process()
        pid = command.pid if command is not None and command.pid is not None else os.getpid()
        sequences = [
            {"name": one.name, "seq": one.seq, "dataset": one.dataset, "refused": one.refused} for one in chosen
        ]
        record = NightRecord(started, pid, platform.node(), str(Path.cwd()), dict(options), sequences)
        record.write(folder)
        yield Night(outputs_root, folder, record)


def outcome_of(name: str, task: RefineSequence, found: Standing, since: float | None) -> Outcome:
    """What the summary says of a sequence.

    Args:
        name: what the summary calls it.
        task: what was asked for.
        found: how far it is.
        since: what was published since then (seconds since the epoch) was made by the night; None: nothing was.
    """
    try:
        root = task.root
        glance = glance_at(root, found.state)
        page = root / results.REPORT / night.PAGE
        report = page.relative_to(task.outputs_root).as_posix() if page.is_file() else ""
        seconds = 0.0 if since is None else seconds_since(root, since)
        doubt = glance.doubt if glance else None
        reason = "; ".join(filter(None, [found.reason, emptiness(task, found)]))
        return Outcome(name, found.state, reason, seconds, len(found.waiting_for), doubt, report, _drawn_s(task))
    except LisError:
        return Outcome(name, found.state, found.reason)


def _drawn_s(task: RefineSequence) -> float:
    with suppress(LisError):  # scribbles that cannot be read are the reason already
        return round(task.snapshot.scribbles.drawn_s, 1)
    return 0.0


def close_killed_nights(outputs_root: Path) -> None:
    """Write the summaries of nights that were killed; what cannot be written now is left to the next command."""
    for folder in night.nights_without_summary(outputs_root):
        with suppress(LisError, OSError), locks.held(folder) as is_over:
            if is_over and not (folder / night.SUMMARY_JSON).exists():
                _close(Night(outputs_root, folder, NightRecord.read(folder)))


def _close(killed: Night) -> None:
    record, tasks, outcomes = killed.record, dict[str, RefineSequence](), []
    for each in record.sequences:
        name, why = each["name"], each["refused"]
        try:
            if not why:
                task = tasks[name] = _task_of(record, each)
                outcomes.append(outcome_of(name, task, standing(task), record.started))
                continue
        except (LisError, ParameterException) as error:
            why = str(error)
        outcomes.append(Outcome(name, State.FAILED, why))
    ended = max([record.started, *_signs_of_life(tasks, record.started)])
    written = _publish(killed, Summary(outcomes, record.started, round(ended, 1), killed=True), tasks)
    logger.warning("the night of process %d on %s was killed: its summary is in %s", record.pid, record.host, written)


def _task_of(record: NightRecord, sequence: Mapping[str, str]) -> RefineSequence:
    known = {name for name, _ in RefineSequence.get_params()}
    options = {name: value for name, value in record.options.items() if name in known}
    if str(Path.cwd()) != record.cwd:
        for name in ("data_root", "outputs_root", "weights_root", "scribbles_root"):
            options[name] = str(Path(record.cwd, options[name])) if options.get(name) else ""
    task: RefineSequence = RefineSequence.from_str_params(
        {**options, "seq": sequence["seq"], "dataset": sequence["dataset"]}
    )
    return task


def _signs_of_life(tasks: Tasks, started: float) -> list[float]:
    """When the runs of these sequences last said something, if that was after the night had begun."""
    said = []
    for task in tasks.values():
        with suppress(LisError, OSError):
            said.append((task.root / progress.PROGRESS).stat().st_mtime)
    return [time for time in said if time >= started]


def _publish(ended: Night, summary: Summary, tasks: Tasks) -> Path:
    try:
        _write_page(ended, summary, tasks)
    except (LisError, OSError) as error:
        logger.warning("bulk: the page of the night cannot be written: %s", error)
    written = summary.write(ended.folder)
    night.point_latest_at(ended.folder)
    return written


def _write_page(ended: Night, summary: Summary, tasks: Tasks) -> None:
    from stages.steps.night_page import night_page

    def look(outcome: Outcome) -> bytes | None:
        task = tasks.get(outcome.sequence)
        if outcome.doubt is not None and task is not None:
            with suppress(LisError):
                if glance := glance_at(task.root, outcome.state):
                    return with_thumbnail(glance, paths_of(task.place).frames, task.root, outcome.state).thumbnail
        return None

    seen = zip(summary.outcomes, look_at(summary.outcomes, look), strict=True)
    thumbnails = {outcome.sequence: picture for outcome, picture in seen if picture is not None}
    page = night_page(summary, thumbnails, ended.outputs_root, ended.folder)
    files.replace(ended.folder / night.PAGE, page.encode(errors="xmlcharrefreplace"))
