"""A night's work: many sequences in bounded chunks, and a summary in the morning."""

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import luigi
import luigi.worker
from luigi.interface import core
from luigi.rpc import RemoteScheduler
from luigi.scheduler import Scheduler

from stages.errors import InputError, LisError, StageError
from stages.lookup import list_datasets, list_sequences
from stages.manifest import read_manifest, write_json
from tasks import config, process
from tasks.base import LisTask, logger
from tasks.refine import RefineSequence


@dataclass(frozen=True)
class Outcome:
    """How one sequence fared."""

    sequence: str
    state: str
    """`done`, `waiting` (for scribbles), `failed`, or `stopped` (nothing failed, not everything ran)."""
    reason: str = ""
    seconds: float = 0.0
    """What this run computed for it; 0 if it was found finished."""


class BulkRefine(config.BulkOptions, config.RefineOptions, config.PlanOptions, LisTask):
    """`RefineSequence` for every sequence of a list or a dataset; one that fails does not stop the others.

    Luigi's scheduler grows slow with the square of the tasks that wait, so sequences are scheduled a chunk at a time.
    A central scheduler gets all of them at once, so that its workers can share them.
    """

    list = luigi.Parameter(default="", description="text file: one sequence a line, # begins a comment")
    finished = False

    def complete(self) -> bool:
        """Only in the process that ran it: every night ends with a fresh look and a summary."""
        return super().complete() if process.has_central_scheduler() else self.finished

    def is_complete(self) -> bool:
        """For the workers of a central scheduler: the sequences are all there is."""
        return True

    def requires(self) -> Sequence[luigi.Task]:
        """Nothing at first: it runs its own rounds. In the end, what people still owe, so that Luigi says so."""
        if process.has_central_scheduler():
            return [self.clone(RefineSequence, seq=name) for name in self.names()]
        return [*_owed]

    def names(self) -> Sequence[str]:
        """The sequences."""
        return sequences_of(self.list, self.dataset, self.data_root)

    def run(self) -> Iterator[luigi.Task]:
        """Chunk after chunk, then the summary; a failure outweighs waiting."""
        process.end_with_parent()
        logging.getLogger("luigi-interface").setLevel(logging.ERROR)  # the chunks' own summaries
        luigi.worker.fork_lock = threading.Lock()  # held when this process was forked, so never to be released here
        started = time.time()
        outcomes: MutableSequence[Outcome] = []
        names = self.names()
        for first in range(0, len(names), self.chunk):
            outcomes += self._run_chunk(
                [self.clone(RefineSequence, seq=name) for name in names[first : first + self.chunk]]
            )
            logger.info("bulk: %s", _count(outcomes, len(names)))
            if self.set_progress_percentage is not None:
                self.set_progress_percentage(100 * len(outcomes) // len(names))
        summary = self._write_summary(outcomes, started)
        self.finished = True
        if failed := [outcome for outcome in outcomes if outcome.state in ("failed", "stopped")]:
            raise StageError(f"{len(failed)} of {len(names)} sequences failed, see {summary}:\n{_table(failed)}")
        if any(outcome.state == "waiting" for outcome in outcomes):
            yield PeoplesScribbles(summary=str(summary))

    def _run_chunk(self, tasks: Sequence[RefineSequence]) -> Sequence[Outcome]:
        open_tasks = [task for task in tasks if not task.complete()]
        if not open_tasks:
            return [Outcome(task.seq, "done") for task in tasks]
        open_tasks[0].prepare()  # once for all of the night's processes
        started = time.time()
        services = _LocalServices()
        try:
            luigi.build(open_tasks, services, local_scheduler=True, workers=core().workers)
        finally:
            process.release_all()
        failures = services.failures()
        return [
            self._outcome(task, failures.get(task.seq, ""), started)
            if task in open_tasks
            else Outcome(task.seq, "done")
            for task in tasks
        ]

    def _outcome(self, task: RefineSequence, failure: str, started: float) -> Outcome:
        try:
            seconds = _seconds_since(task.root, started)
            if task.complete():
                return Outcome(task.seq, "done", "", seconds)
            if failure:
                return Outcome(task.seq, "failed", failure, seconds)
            if waiting := task.plan.requested:
                frames = ", ".join(str(index) for index in waiting)
                return Outcome(task.seq, "waiting", f"scribbles on {len(waiting)} frames: {frames}", seconds)
            return Outcome(task.seq, "stopped", "not everything ran; run the command again", seconds)
        except LisError as error:
            return Outcome(task.seq, "failed", failure or str(error))

    def _write_summary(self, outcomes: Sequence[Outcome], started: float) -> Path:
        folder = Path(self.outputs_root) / "bulk" / time.strftime("%Y-%m-%d_%H%M%S", time.localtime(started))
        folder.mkdir(parents=True, exist_ok=True)
        text = f"{_count(outcomes, len(outcomes))} in {time.time() - started:.0f} s\n{_table(outcomes)}\n"
        (folder / "summary.txt").write_text(text, encoding="utf-8")
        states = ("done", "waiting", "failed", "stopped")
        counts = {state: sum(outcome.state == state for outcome in outcomes) for state in states}
        rows = [asdict(outcome) for outcome in outcomes]
        write_json(folder / "summary.json", {"seconds": round(time.time() - started, 1), **counts, "sequences": rows})
        logger.info("bulk: summary in %s", folder / "summary.txt")
        return folder / "summary.txt"


def sequences_of(listed: str, dataset: str, data_root: str) -> Sequence[str]:
    """The names in a text file, or of a dataset, in order, each once.

    Raises:
        InputError: neither is given, or it names no sequence.
    """
    if listed:
        path = Path(listed)
        if not path.is_file():
            raise InputError(f"--list {path}: found no such file. Give a text file with one sequence a line.")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"--list {path}: not UTF-8 text ({error}). Give one sequence a line.") from None
        lines = (line.split("#")[0].strip() for line in text.splitlines())
        names = [line for line in lines if line]
    elif dataset:
        if dataset not in (datasets := list_datasets(Path(data_root))):
            raise InputError(f"found no dataset {dataset!r} in {data_root}: {', '.join(datasets)}.")
        names = list_sequences(Path(data_root), dataset)
    else:
        raise InputError("found neither --list FILE (one sequence a line) nor --dataset NAME, expected one of them.")
    if not names:
        raise InputError(f"no sequence in {listed or f'the dataset {dataset}'}: nothing to do.")
    return [*dict.fromkeys(names)]


class PeoplesScribbles(luigi.ExternalTask):
    """Stands for the scribbles that a bulk run waits for, so that it ends with Luigi's code for missing data."""

    summary = luigi.Parameter()

    def complete(self) -> bool:
        """Not in this run."""
        return False


_owed: list[PeoplesScribbles] = []


@PeoplesScribbles.event_handler(luigi.Event.DEPENDENCY_MISSING)
def _remember(task: PeoplesScribbles) -> None:
    _owed.append(task)


class _LocalServices:
    """Luigi's factory, keeping hold of the scheduler, which knows why a task failed."""

    def create_local_scheduler(self) -> Scheduler:
        self.scheduler = Scheduler(prune_on_get_work=True, record_task_history=False)
        return self.scheduler

    def create_remote_scheduler(self, url: str) -> RemoteScheduler:
        raise NotImplementedError("a bulk run schedules its chunks itself")

    def create_worker(
        self, scheduler: Scheduler, worker_processes: int, assistant: bool = False
    ) -> luigi.worker.Worker:
        return luigi.worker.Worker(scheduler=scheduler, worker_processes=worker_processes, assistant=assistant)

    def failures(self) -> dict[str, str]:
        """Sequence -> why its first failed task failed."""
        reasons: dict[str, str] = {}
        failed = {
            **self.scheduler.task_list("FAILED", limit=False),
            **self.scheduler.task_list("DISABLED", limit=False),
        }
        for task_id, task in failed.items():
            explanation = self.scheduler.fetch_error(task_id)["error"] or ""
            with contextlib.suppress(ValueError):  # Luigi wraps what a task gave, but not what it says itself
                explanation = json.loads(explanation)
            reasons.setdefault(task["params"]["seq"], f"{task['name']}: {explanation}")
        return reasons


def _seconds_since(root: Path, started: float) -> float:
    """Seconds of the stages that were published since then, from their manifests."""
    published = (path for level in ("*", "*/*") for path in root.glob(f"{level}/manifest.json"))
    fresh = (read_manifest(path.parent) for path in published if path.stat().st_mtime >= started)
    return round(sum(manifest.run["seconds"] for manifest in fresh if manifest), 1)


def _count(outcomes: Sequence[Outcome], total: int) -> str:
    states = ("done", "waiting", "failed", "stopped")
    parts = [f"{n} {state}" for state in states if (n := sum(outcome.state == state for outcome in outcomes))]
    return f"{len(outcomes)} of {total} sequences: {', '.join(parts)}"


def _table(outcomes: Sequence[Outcome]) -> str:
    width = max(len(outcome.sequence) for outcome in outcomes)
    return "\n".join(
        f"{one.sequence:<{width}}  {one.state:<8} {one.seconds:8.1f} s  {one.reason.partition(chr(10))[0]}"
        for one in outcomes
    )
