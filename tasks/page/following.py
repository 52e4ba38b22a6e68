"""What happens to sequences while somebody looks at them: runs, and what others write, seen by stamps of files."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple

from stages.formats import results
from stages.formats.classes_json import CLASSES_JSON
from stages.formats.digests import Stamp
from stages.formats.drafts import drafts_folder
from stages.formats.given_masks import masks_folder
from stages.formats.manifest import MANIFEST
from stages.formats.objects_json import OBJECTS_JSON
from stages.formats.page_log import PAGE_LOG
from stages.formats.paintings import FOLDER, REQUESTS_JSON
from stages.formats.progress import PROGRESS, last_failure, read_progress
from stages.formats.review_json import review_file
from tasks.page.runs import Runs, as_json
from tasks.page.sequences import Sequences
from tasks.refine import RefineSequence
from tasks.runtime import locks
from tasks.status import work_of

LOOK_EVERY_S: Final = 0.5
_KEPT_FOR: Final = 10
"""So many looks, what nobody watches is kept: somebody may be about to."""
_FILES_EVERY: Final = 4
"""Of so many looks, one is at what people write: file systems of a network are slow."""


class Watched(NamedTuple):
    """What somebody looks at."""

    sequence: str
    dataset: str
    scribble_set: str


@dataclass
class _Known:
    task: RefineSequence
    files: dict[str, tuple[Path, ...]]
    """What people write, and what runs publish: a word for it -> where it lies."""
    run: Any = None
    """What a run's news were told of last."""
    page_run: Any = None
    """The same of the run that a page has started."""
    stamps: dict[str, Any] = field(default_factory=dict)
    asked_at: int = 0
    """The look before somebody has begun to look at it last."""


class Follower:
    """Finds what is new."""

    def __init__(self, sequences: Sequences, runs: Runs) -> None:
        self._sequences, self._runs = sequences, runs
        self._known: dict[Watched, _Known] = {}
        self._looks = 0
        self._lock = Lock()

    def begin(self, watched: Watched) -> dict[str, Any]:
        """What a run does with it now, for somebody who has just begun to look.

        Raises:
            LisError: there is no such sequence or set.
        """
        task = self._sequences.task(watched.sequence, watched.dataset, scribbles=watched.scribble_set)
        root, scribble_file = task.root, task.snapshot.scribble_file
        folder, dataset_folder = scribble_file.parent, task.snapshot.paths.dataset_folder
        known = _Known(
            task,
            {
                "drafts": (drafts_folder(scribble_file),),
                "set": (scribble_file, masks_folder(scribble_file)),
                "review": (review_file(scribble_file),),
                "objects": (folder / OBJECTS_JSON, dataset_folder / CLASSES_JSON),
                "requests": (root / REQUESTS_JSON, root / FOLDER),
                "anchors": (root / results.ANCHOR_MASKS,),
                "result": tuple(root / name / MANIFEST for name in (results.MASKS, results.PROVISIONAL)),
            },
        )
        known.run, known.stamps = _run_stamp(root), _stamps(known)
        known.page_run = self._page_run_stamp(root)
        with self._lock:
            self._known.setdefault(watched, known).asked_at = self._looks
        return _run_news(watched, root)

    def look(self, watched: Collection[Watched]) -> list[tuple[Watched, dict[str, Any]]]:
        """What is new since the last look; what is not watched any more is forgotten."""
        with self._lock:
            self._looks += 1
            for each in [*self._known]:
                if each not in watched and self._known[each].asked_at < self._looks - _KEPT_FOR:
                    del self._known[each]
            followed = [*self._known.items()]
        news = []
        for each, known in followed:
            root = known.task.root
            run, page_run = _run_stamp(root), self._page_run_stamp(root)
            if run != known.run:
                known.run = run
                news.append((each, _run_news(each, root)))
            if page_run != known.page_run:
                known.page_run = page_run
                told = as_json(self._runs.told(known.task), root)
                news.append((each, {"event": "page_run", **named(each), **told}))
            if self._looks % _FILES_EVERY == 0:
                stamps = _stamps(known)
                changed = [what for what, stamp in stamps.items() if stamp != known.stamps[what]]
                known.stamps = stamps
                if changed:
                    news.append((each, {"event": "changed", **named(each), "what": changed}))
        return news

    def _page_run_stamp(self, root: Path) -> tuple[Any, ...]:
        return self._runs.mine(root), locks.is_taken(root), _stamp(root / PAGE_LOG)


def _run_news(watched: Watched, root: Path) -> dict[str, Any]:
    runs, running = read_progress(root), locks.is_taken(root)
    work = work_of(runs) if running else None
    last = runs[-1].exit_code if runs else None
    return {
        "event": "run",
        **named(watched),
        "running": running,
        "host": work.host if work else "",
        "pid": work.pid if work else 0,
        "percent": work.percent if work else 0,
        "tasks": work.tasks if work else (),
        "exit": None if running else last,
        "failure": "" if running else last_failure(runs),
    }


def named(watched: Watched) -> dict[str, str]:
    """As a page says it."""
    return {"sequence": watched.sequence, "dataset": watched.dataset, "set": watched.scribble_set}


def _run_stamp(root: Path) -> tuple[Any, ...]:
    return _stamp(root / PROGRESS), locks.is_taken(root)


def _stamps(known: _Known) -> dict[str, Any]:
    return {what: tuple(map(_stamp, paths)) for what, paths in known.files.items()}


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path.stat())
    except OSError:
        return None
