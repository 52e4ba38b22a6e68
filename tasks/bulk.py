"""A night's work: many sequences in bounded chunks, and a summary in the morning."""

import time
from collections.abc import Iterator, MutableSequence, Sequence
from functools import cached_property
from pathlib import Path

import luigi

from stages.core.errors import LisError, StageError
from stages.core.states import State
from stages.formats.night import Outcome, counted, night_folder, table, write_summary
from tasks.choice import Chosen, choose
from tasks.refine import RefineSequence
from tasks.runtime import luigi_hooks, options, runs
from tasks.runtime.luigi_hooks import logger
from tasks.runtime.published import LisTask
from tasks.status import emptiness, seconds_since, standing


class BulkRefine(options.BulkOptions, options.ResultOptions, options.PlanOptions, LisTask):
    """`RefineSequence` for every sequence of a list or a dataset; one that fails does not stop the others.

    Luigi's scheduler grows slow with the square of the tasks that wait, so sequences are scheduled a chunk at a time.
    A central scheduler gets all of them at once, so that its workers can share them.
    """

    list = luigi.Parameter(default="", description="text file: <seq> or <dataset>/<seq> a line, # begins a comment")
    finished = False

    def complete(self) -> bool:
        """Only in the process that ran it: every night ends with a fresh look and a summary."""
        return super().complete() if luigi_hooks.has_central_scheduler() else self.finished

    def is_complete(self) -> bool:
        """For the workers of a central scheduler: the sequences are all there is, if all can be taken."""
        return not any(one.refused for one in self.chosen)

    def requires(self) -> Sequence[luigi.Task]:
        """Nothing at first: it runs its own rounds. In the end, what people still owe, so that Luigi says so."""
        if luigi_hooks.has_central_scheduler():
            return [self.refine(one) for one in self.chosen if not one.refused]
        return [*_owed]

    @cached_property
    def chosen(self) -> Sequence[Chosen]:
        """The sequences; also those that cannot be taken."""
        return choose(self.list, self.dataset, self.data_root)

    def refine(self, one: Chosen) -> RefineSequence:
        """What is made for a sequence."""
        task: RefineSequence = self.clone(RefineSequence, seq=one.seq, dataset=one.dataset)
        return task

    def run(self) -> Iterator[luigi.Task]:
        """Chunk after chunk, then the summary; a failure outweighs waiting."""
        luigi_hooks.end_with_parent()
        luigi_hooks.may_schedule()
        started = time.time()
        outcomes: MutableSequence[Outcome] = []
        total = len(self.chosen)
        for first in range(0, total, self.chunk):
            outcomes += self._run_chunk(self.chosen[first : first + self.chunk])
            logger.info("bulk: %s", counted(outcomes, total))
            if self.set_progress_percentage is not None:
                self.set_progress_percentage(100 * len(outcomes) // total)
        summary = write_summary(night_folder(Path(self.outputs_root), started), outcomes, time.time() - started)
        logger.info("bulk: summary in %s", summary)
        self.finished = True
        if failed := [outcome for outcome in outcomes if outcome.state in (State.FAILED, State.STOPPED)]:
            raise StageError(f"{len(failed)} of {total} sequences failed, see {summary}:\n{table(failed)}")
        if any(outcome.state == State.WAITING for outcome in outcomes):
            yield PeoplesScribbles(summary=str(summary))

    def _run_chunk(self, chosen: Sequence[Chosen]) -> Sequence[Outcome]:
        tasks = {one: self.refine(one) for one in chosen if not one.refused}
        open_tasks = [task for task in tasks.values() if not task.complete()]
        started, failures = time.time(), luigi_hooks.Failures()
        if open_tasks:
            try:
                failures = luigi_hooks.schedule([*open_tasks])
            finally:
                runs.leave_all()
        return [
            Outcome(one.name, State.FAILED, one.refused)
            if one.refused
            else self._outcome(one, tasks[one], failures.get((one.dataset, one.seq), ""), started)
            if tasks[one] in open_tasks
            else Outcome(one.name, State.DONE, tasks[one].emptiness())
            for one in chosen
        ]

    def _outcome(self, one: Chosen, task: RefineSequence, failure: str, started: float) -> Outcome:
        try:
            seconds = seconds_since(task.root, started)
            found = standing(task, failure)
            state = State.WAITING if found.state.waits else found.state
            reason = "; ".join(filter(None, [found.reason, emptiness(task, found)]))
            return Outcome(one.name, state, reason, seconds)
        except LisError as error:
            return Outcome(one.name, State.FAILED, failure or str(error))


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
