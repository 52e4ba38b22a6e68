"""The inbox's lines, looked up from what lies on disk, and kept until a file changes that one was made from."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from stages.core.errors import LisError
from stages.core.states import State
from stages.formats import results
from stages.formats.digests import Stamp
from stages.formats.drafts import drafts_folder, read_drafts
from stages.formats.manifest import MANIFEST
from stages.formats.progress import PROGRESS
from stages.formats.report_data import Suggestion
from stages.steps.page.doubt import doubts_of
from stages.steps.page.inbox import Line, in_order
from tasks.choice import Chosen
from tasks.overview import glance_at
from tasks.page.sequences import Sequences, head_of
from tasks.refine import RefineSequence
from tasks.runtime import locks
from tasks.status import as_last_run, standing_of_last_run

A_PAGE: Final = 50
_CHANGES_WITH_STATE: Final = (
    *(PROGRESS, locks.LOCK, results.ANCHOR_MASKS, results.TRACKS, results.REFINED, results.FRAMES),
    *(f"{folder}/{MANIFEST}" for folder in (results.MASKS, results.PROVISIONAL)),
)
"""What of a folder of results is another one when the sequence's state is."""


class _Seen(NamedTuple):
    task: RefineSequence
    stamps: tuple[Any, ...]
    line: Line


class Inbox:
    """Every sequence in a line; the second look at one costs a few stamps."""

    def __init__(self, sequences: Sequences) -> None:
        self._sequences = sequences
        self._seen: dict[tuple[str, str], _Seen] = {}

    def look(self) -> list[Line]:
        """All of them as they are now, those first that are worth a person's next minute; one look at a time.

        Raises:
            InputError: there is no folder of datasets.
        """
        return in_order(map(self._line, self._sequences.all()))

    def _line(self, one: Chosen) -> Line:
        if one.refused:
            return Line(one.name, one.dataset, State.FAILED, one.refused)
        key = one.dataset, one.seq
        try:
            seen = self._seen.get(key)
            if seen is None or seen.line.state == State.RUNNING or seen.stamps != _stamps(seen.task):
                task = as_last_run(self._sequences.task(one.seq, one.dataset))
                seen = self._seen[key] = _Seen(task, _stamps(task), _look_at(task))
        except (LisError, OSError) as error:
            return Line(one.seq, one.dataset, State.FAILED, str(error))
        return seen.line


def as_json(line: Line) -> dict[str, Any]:
    """A line for the page."""
    gains = line.suggestion
    return {
        "sequence": line.sequence,
        "dataset": line.dataset,
        "state": str(line.state),
        "need": line.need.name.lower(),
        "why": line.why.partition("\n")[0],
        "frame_count": line.frame_count,
        "waiting_for": line.waiting_for,
        "to_approve": line.to_approve,
        "drafts": [*map(head_of, line.drafts)],
        "doubt": asdict(line.doubt) if line.doubt else None,
        "suggestion": {"frame": gains.frame, "expected_gain": gains.gain} if gains else None,
    }


def _look_at(task: RefineSequence) -> Line:
    found, snapshot = standing_of_last_run(task), task.snapshot
    glance = glance_at(task.root, found.state)
    return Line(
        snapshot.paths.name,
        snapshot.paths.dataset,
        found.state,
        found.reason,
        snapshot.frame_count,
        found.waiting_for,
        found.to_approve,
        tuple(read_drafts(snapshot.scribble_file).values()),
        glance.doubt if glance else None,
        _best_next(task.root / results.MASKS) if found.state == State.DONE else None,
    )


def _best_next(masks: Path) -> Suggestion | None:
    with suppress(LisError):
        doubts = doubts_of(masks)
        return doubts.best_next() if doubts else None
    return None


def _stamps(task: RefineSequence) -> tuple[Any, ...]:
    """What is another one when the sequence's line is. A frame that is overwritten in place is seen by the next run."""
    snapshot, root = task.snapshot, task.root
    files = [root, *(root / name for name in _CHANGES_WITH_STATE), drafts_folder(snapshot.scribble_file)]
    return snapshot.fingerprint, *map(_stamp, files)


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path.stat())
    except OSError:
        return None
