"""A night's work: many sequences in bounded chunks, and a summary in the morning."""

import time
from collections.abc import Iterator, MutableSequence, Sequence
from pathlib import Path

import luigi

from stages.core.errors import InputError, LisError, StageError
from stages.core.states import State
from stages.formats.layout import list_datasets, list_sequences
from stages.formats.night import Outcome, counted, night_folder, table, write_summary
from tasks.refine import RefineSequence
from tasks.runtime import luigi_hooks, options, runs
from tasks.runtime.luigi_hooks import logger
from tasks.runtime.published import LisTask
from tasks.status import seconds_since, standing


class BulkRefine(options.BulkOptions, options.RefineOptions, options.PlanOptions, LisTask):
    """`RefineSequence` for every sequence of a list or a dataset; one that fails does not stop the others.

    Luigi's scheduler grows slow with the square of the tasks that wait, so sequences are scheduled a chunk at a time.
    A central scheduler gets all of them at once, so that its workers can share them.
    """

    list = luigi.Parameter(default="", description="text file: one sequence a line, # begins a comment")
    finished = False

    def complete(self) -> bool:
        """Only in the process that ran it: every night ends with a fresh look and a summary."""
        return super().complete() if luigi_hooks.has_central_scheduler() else self.finished

    def is_complete(self) -> bool:
        """For the workers of a central scheduler: the sequences are all there is."""
        return True

    def requires(self) -> Sequence[luigi.Task]:
        """Nothing at first: it runs its own rounds. In the end, what people still owe, so that Luigi says so."""
        if luigi_hooks.has_central_scheduler():
            return [self.clone(RefineSequence, seq=name) for name in self.names()]
        return [*_owed]

    def names(self) -> Sequence[str]:
        """The sequences."""
        return sequences_of(self.list, self.dataset, self.data_root)

    def run(self) -> Iterator[luigi.Task]:
        """Chunk after chunk, then the summary; a failure outweighs waiting."""
        luigi_hooks.end_with_parent()
        luigi_hooks.may_schedule()
        started = time.time()
        outcomes: MutableSequence[Outcome] = []
        names = self.names()
        for first in range(0, len(names), self.chunk):
            outcomes += self._run_chunk(
                [self.clone(RefineSequence, seq=name) for name in names[first : first + self.chunk]]
            )
            logger.info("bulk: %s", counted(outcomes, len(names)))
            if self.set_progress_percentage is not None:
                self.set_progress_percentage(100 * len(outcomes) // len(names))
        summary = write_summary(night_folder(Path(self.outputs_root), started), outcomes, time.time() - started)
        logger.info("bulk: summary in %s", summary)
        self.finished = True
        if failed := [outcome for outcome in outcomes if outcome.state in (State.FAILED, State.STOPPED)]:
            raise StageError(f"{len(failed)} of {len(names)} sequences failed, see {summary}:\n{table(failed)}")
        if any(outcome.state == State.WAITING for outcome in outcomes):
            yield PeoplesScribbles(summary=str(summary))

    def _run_chunk(self, tasks: Sequence[RefineSequence]) -> Sequence[Outcome]:
        open_tasks = [task for task in tasks if not task.complete()]
        if not open_tasks:
            return [Outcome(task.seq, State.DONE) for task in tasks]
        started = time.time()
        try:
            failures = luigi_hooks.schedule([*open_tasks])
        finally:
            runs.leave_all()
        return [
            self._outcome(task, failures.get(task.seq, ""), started)
            if task in open_tasks
            else Outcome(task.seq, State.DONE)
            for task in tasks
        ]

    def _outcome(self, task: RefineSequence, failure: str, started: float) -> Outcome:
        try:
            seconds = seconds_since(task.root, started)
            found = standing(task, failure)
            return Outcome(task.seq, found.state, found.reason, seconds)
        except LisError as error:
            return Outcome(task.seq, State.FAILED, failure or str(error))


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
            raise InputError(
                f"found no dataset {dataset!r} in {data_root}; there are: {', '.join(datasets) or 'none'}."
            )
        names = list_sequences(Path(data_root), dataset)
    else:
        raise InputError(
            "found neither a list of sequences (a file, one a line) nor --dataset NAME, expected one of them."
        )
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
