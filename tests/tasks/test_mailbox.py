"""What tasks tell the scheduling process, whatever becomes of them."""

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tasks.runtime.mailbox import Mailbox
from tests.conftest import Project


def in_a_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    return child


def test_messages_of_other_processes_and_of_ones_own_arrive_whole_and_in_order() -> None:
    box = Mailbox()
    long = ("task", "FAILED", "x" * 500_000, [], [])
    child = in_a_child(lambda: [box.put(message) for message in (1, long, {"a": None})])
    assert [box.get(5), box.get(5), box.get(5)] == [1, long, {"a": None}]
    os.waitpid(child, 0)
    for number in range(1000):
        box.put(number)  # nobody reads meanwhile
    assert [box.get(0) for _ in range(1000)] == [*range(1000)]
    with pytest.raises(queue.Empty):
        box.get(0.01)
    box.close()


def test_who_is_killed_in_the_middle_of_telling_keeps_nobody_from_it() -> None:
    box = Mailbox()

    def tell_for_ever() -> None:
        while True:
            box.put("again")

    for _ in range(20):
        child = in_a_child(tell_for_ever)
        assert box.get(5) == "again"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    while True:  # what they told
        try:
            assert box.get(0.05) == "again"
        except queue.Empty:
            break
    os.waitpid(in_a_child(lambda: box.put("last")), 0)
    assert box.get(5) == "last"
    box.close()


def test_luigis_workers_have_one(project: Project) -> None:
    program = (
        "import luigi.worker, luigi.scheduler\n"
        "from tasks.runtime import luigi_hooks, mailbox\n"
        "luigi_hooks.prepare()\n"
        "worker = luigi.worker.Worker(scheduler=luigi.scheduler.Scheduler())\n"
        "assert isinstance(worker._task_result_queue, mailbox.Mailbox)\n"
    )

    subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=project.folder, check=True)
