"""A schedule of Luigi's inside of one of its tasks, and why what failed there did.

It leans on Luigi's insides like `luigi_hooks`, written for the same version and with canaries in the same tests.
"""

import json
import logging
from contextlib import suppress

import luigi
import luigi.worker
from luigi.rpc import RemoteScheduler
from luigi.scheduler import Scheduler

from tasks.runtime.luigi_hooks import ForkLock, workers

Failures = dict[tuple[str, str], str]
"""`dataset` and `seq` of every task that failed -> why the first one of that sequence failed."""


def schedule(tasks: list[luigi.Task]) -> Failures:
    """Run tasks to the end inside of another task's process, with a scheduler of their own."""
    services = _LocalServices()
    luigi.build(tasks, services, local_scheduler=True, workers=workers())
    return services.failures()


def may_schedule() -> None:
    """Called in a task's process before `schedule`: the lock was held when it was forked, never to be released here."""
    luigi.worker.fork_lock = ForkLock()  # type: ignore[assignment]
    logging.getLogger("luigi-interface").setLevel(logging.ERROR)  # the schedule's own summaries


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

    def failures(self) -> Failures:
        reasons: Failures = {}
        failed = {
            **self.scheduler.task_list("FAILED", limit=False),
            **self.scheduler.task_list("DISABLED", limit=False),
        }
        for task_id, task in failed.items():
            explanation = self.scheduler.fetch_error(task_id)["error"] or ""
            with suppress(ValueError):  # Luigi wraps what a task gave, but not what it says itself
                explanation = json.loads(explanation)
            params = task["params"]
            reasons.setdefault((params.get("dataset", ""), params["seq"]), f"{task['name']}: {explanation}")
        return reasons
