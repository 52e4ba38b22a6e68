"""A night's work: many sequences in bounded chunks, and a summary in the morning."""

import time
from collections.abc import Iterator, Mapping, MutableSequence, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

import luigi

from stages.core.errors import InputError, StageError
from stages.core.states import State
from stages.formats.night import SUMMARY_JSON, Outcome, counted, table
from tasks.choice import Chosen, choose
from tasks.night import begun_night, close_killed_nights, outcome_of
from tasks.refine import RefineSequence
from tasks.report import ReportSequence
from tasks.runtime import luigi_hooks, luigi_schedule, options, runs
from tasks.runtime.freezing import news
from tasks.runtime.looks import look_at
from tasks.runtime.luigi_hooks import logger
from tasks.runtime.mistakes import disk_refuses
from tasks.runtime.on_finish import call_on_finish
from tasks.runtime.published import LisTask
from tasks.runtime.questions import one_question
from tasks.runtime.sequence import StageTask
from tasks.status import Standing, standing

_CHUNKS_AHEAD: Final = 8
"""That are looked at together, before the first of them begins: what is finished is told apart from what is not."""


class BulkRefine(options.BulkOptions, options.ResultOptions, options.PlanOptions, LisTask):
    """Masks and a report for every sequence of a list or a dataset; one that fails does not stop the others.

    Luigi's scheduler grows slow with the square of the tasks that wait, so sequences are scheduled a chunk at a time.
    A central scheduler gets all of them at once, so that its workers can share them.
    """

    list = luigi.Parameter(default="", description="text file: <seq> or <dataset>/<seq> a line, # begins a comment")
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
            refused = [f"{one.name}: {one.refused}" for one in self.chosen if one.refused]
            tasks: Sequence[luigi.Task] = [self.wanted(one) for one in self.chosen if not one.refused]
            return [*tasks, *([LeftOut(reasons=tuple(refused))] if refused else [])]
        return [*_owed]

    @cached_property
    def chosen(self) -> Sequence[Chosen]:
        """The sequences; also those that cannot be taken."""
        return choose(self.list, self.dataset, self.data_root)

    def wanted(self, one: Chosen) -> StageTask:
        """What is made for a sequence."""
        task: StageTask = self.refine(one).clone(ReportSequence) if self.reports else self.refine(one)
        return task

    def refine(self, one: Chosen) -> RefineSequence:
        """Its masks."""
        task: RefineSequence = self.clone(RefineSequence, seq=one.seq, dataset=one.dataset)
        return task

    def run(self) -> Iterator[luigi.Task]:
        """Chunk after chunk, then the summary; a failure outweighs waiting."""
        luigi_hooks.end_with_parent()
        luigi_schedule.may_schedule()
        outputs_root = Path(self.outputs_root)
        try:
            close_killed_nights(outputs_root)
            with begun_night(outputs_root, self.to_str_params(), self.chosen) as night:
                outcomes = self._run_chunks()
                tasks = {one.name: self.refine(one) for one in self.chosen if not one.refused}
                summary = night.end(outcomes, tasks)
        except OSError as error:
            raise StageError(disk_refuses(error, outputs_root / "bulk")) from error
        logger.info("bulk: summary in %s", summary)
        call_on_finish(self.on_finish, summary.with_name(SUMMARY_JSON))
        self.finished = True
        if failed := [outcome for outcome in outcomes if outcome.state in (State.FAILED, State.STOPPED)]:
            raise StageError(f"{len(failed)} of {len(outcomes)} sequences failed, see {summary}:\n{table(failed)}")
        if any(outcome.state.waits for outcome in outcomes):
            yield PeoplesScribbles(summary=str(summary))

    def _run_chunks(self) -> Sequence[Outcome]:
        outcomes: MutableSequence[Outcome] = []
        finished: dict[Chosen, Outcome] = {}
        total, looked_at = len(self.chosen), 0
        for first in range(0, total, self.chunk):
            if first >= looked_at:
                looked_at = first + self.chunk * _CHUNKS_AHEAD
                finished = self._finished(self.chosen[first:looked_at])
            outcomes += self._run_chunk(self.chosen[first : first + self.chunk], finished)
            logger.info("bulk: %s", counted(outcomes, total))
            if self.set_progress_percentage is not None:
                self.set_progress_percentage(100 * len(outcomes) // total)
        return outcomes

    def _finished(self, chosen: Sequence[Chosen]) -> dict[Chosen, Outcome]:
        """Those of which nothing is to be made."""

        def look(one: Chosen) -> Outcome | None:
            with one_question():
                if one.refused or not self.wanted(one).complete():
                    return None
                return outcome_of(one.name, self.refine(one), Standing(State.DONE), None)

        seen = zip(chosen, look_at(chosen, look), strict=True)
        return {one: outcome for one, outcome in seen if outcome}

    def _run_chunk(self, chosen: Sequence[Chosen], finished: Mapping[Chosen, Outcome]) -> Sequence[Outcome]:
        tasks = {one: self.wanted(one) for one in chosen if not one.refused and one not in finished}
        started, failures = time.time(), luigi_schedule.Failures()
        try:
            if tasks:
                failures = luigi_schedule.schedule([*tasks.values()])
                runs.end_all()
            return [  # while the sequences are held: what people said meanwhile makes nothing unfinished
                Outcome(one.name, State.FAILED, one.refused)
                if one.refused
                else finished.get(one) or self._outcome(one, failures.get((one.dataset, one.seq), ""), started)
                for one in chosen
            ]
        finally:
            runs.leave_all()

    def _outcome(self, one: Chosen, failure: str, started: float) -> Outcome:
        found = standing(self.refine(one), failure)
        if found.state == State.DONE and self.reports and not self.wanted(one).complete():
            found = Standing(
                State.FAILED, f"the masks are done, the report is not: {failure or 'run the command again'}"
            )
        if found.state == State.DONE:
            task = self.refine(one)
            found = replace(found, reason="; ".join(filter(None, [found.reason, news(task.place, task.terms)])))
        return outcome_of(one.name, self.refine(one), found, started)


class LeftOut(LisTask):
    """What a central scheduler's night cannot take: so it fails, and says why, whatever becomes of the others."""

    reasons = luigi.TupleParameter()

    def is_complete(self) -> bool:
        """Never."""
        return False

    def run(self) -> None:
        """Tell the reasons."""
        raise InputError("; ".join(self.reasons))


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
