"""What leans on Luigi's insides: written for Luigi 3.8.1, each with a canary in tests/tasks/test_luigi_hooks.py.

Luigi says in no document when it calls what, how it reports a mistake, or what a signal does to it. Everything that
rests on having read its code is here, so that a new version of it is checked in one place. The rest of the project sees
`HookedTask`, whose methods have names and promises of their own.
"""

import atexit
import importlib
import io
import logging
import multiprocessing
import os
import signal
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, ClassVar, Final, TypeVar

import luigi
import luigi.interface
import luigi.parameter
import luigi.task_register
import luigi.worker
from luigi.cmdline_parser import CmdlineParser
from luigi.configuration import get_config

from stages.core.errors import LisError
from tasks.runtime import freezing, machine, runs
from tasks.runtime.importing import importing
from tasks.runtime.luigi_command import tell_reason
from tasks.runtime.mailbox import Mailbox
from tasks.runtime.mistakes import explain, one_line
from tasks.runtime.processes import Processes
from tasks.runtime.questions import end_question, one_question

logger = logging.getLogger("lis")
WRITTEN_FOR: Final = "3.8.1"
TaskClass = TypeVar("TaskClass", bound=type[luigi.Task])


# --- the life of a process -------------------------------------------------------------------------------------------


def is_luigis_command() -> bool:
    """Whether this process is `luigi --module tasks ...`: then it is ours; a program that imports us is not."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    started_as = spec.name if spec is not None else Path(sys.argv[0] if sys.argv else "").stem
    return started_as.partition(".")[0] == "luigi"


@cache
def prepare() -> None:
    """Make this process behave when it is told to stop, when it forks, and when it reports a user's mistake; once."""
    if threading.current_thread() is threading.main_thread():
        # Luigi ends its children on KeyboardInterrupt only; a plain SIGTERM would leave them working as orphans.
        forking = ForkLock()
        luigi.worker.fork_lock = forking  # type: ignore[assignment]
        signal.signal(signal.SIGTERM, forking.stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background is deaf to it
            signal.signal(signal.SIGINT, forking.stop)
        os.register_at_fork(after_in_child=_leave_when_told)
    luigi.worker.Worker = _Worker  # type: ignore[misc]
    CmdlineParser._build_parser = staticmethod(_once_for_all_tasks(CmdlineParser._build_parser))  # type: ignore[method-assign]
    sys.excepthook = _explain
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that are not UTF-8 are said all the same
    atexit.register(_leave)
    logging.getLogger("luigi-interface").addFilter(_quiet)
    lines = logging.StreamHandler()
    lines.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)


def _leave() -> None:
    """The run is over: whoever tells it to stop from now on has what was asked for."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    runs.leave_all()


def settle_settings() -> None:
    """What Luigi has to know before its scheduler is made; settings of its own, nothing else changes."""
    settings = get_config()
    if not settings.has_option("resources", machine.MEMORY):
        settings.set("resources", machine.MEMORY, str(machine.memory_to_share_mib()))
    if not settings.has_option("resources", machine.GPU):
        settings.set("resources", machine.GPU, "1")
    luigi.interface.core.ignore_unconsumed |= {"rpc_retry_attempts", "rpc_retry_wait"}  # its client reads them by name


def has_central_scheduler() -> bool:
    """Whether a luigid hands out the tasks: then no two workers get the same one, and they share a sequence."""
    return not _setting("local_scheduler")


def workers() -> int:
    """How many tasks run at once."""
    return int(_setting("workers"))


def _setting(name: str) -> Any:
    """One of Luigi's own settings, as it is now; to make its `core` looks up all of them."""
    return getattr(luigi.interface.core, name).task_value(luigi.interface.core.get_task_family(), name)


_WATCH: Final = "ends with its parent"


def end_with_parent() -> None:
    """End this task's process as soon as its parent is gone, however the parent died (kill -9 included)."""
    parent = multiprocessing.parent_process()
    if parent is not None and not any(thread.name == _WATCH for thread in threading.enumerate()):
        threading.Thread(target=_exit_after, args=(parent.sentinel,), name=_WATCH, daemon=True).start()


def _once_for_all_tasks(build: Callable[..., ArgumentParser]) -> Callable[..., ArgumentParser]:
    """Luigi builds its parser, with the options of all tasks, six times for a command; once for those there are."""

    @cache
    def built(_tasks: int, root_task: str | None, help_all: bool) -> ArgumentParser:
        return build(root_task, help_all)

    return lambda root_task=None, help_all=False: built(len(luigi.task_register.Register._reg), root_task, help_all)


class _Worker(luigi.worker.Worker):
    """Luigi's worker; what its tasks tell it cannot be held up by one that is killed. Each begins a run."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        freezing.begin_anew()
        super().__init__(*args, **kwargs)
        self._task_result_queue = Mailbox()  # type: ignore[assignment]
        self._processes = Processes(self)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """Luigi asks of every task of a graph whether it is complete; they rest on one another: one question."""
        with one_question():
            return bool(super().add(*args, **kwargs))

    def _handle_next_task(self) -> None:
        at_work = len(self._running_tasks)
        super()._handle_next_task()
        if len(self._running_tasks) == at_work:  # it only waited
            self._processes.load_ahead()

    def __exit__(self, *args: Any) -> bool:
        try:
            return bool(super().__exit__(*args))
        finally:
            self._processes.end()


class ForkLock:
    """Luigi's lock around a fork; a signal waits for its end, since Python drops what a handler raises while it forks.

    To block signals is not enough: another thread may take them, and the handler runs in this one all the same.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forks = self._told_to_stop = False

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Handles a signal."""
        runs.stop_all()
        self._told_to_stop = self._forks
        if not self._forks:
            raise KeyboardInterrupt

    def __enter__(self) -> None:
        self._lock.acquire()
        self._forks = threading.current_thread() is threading.main_thread()

    def __exit__(self, *_: object) -> None:
        told_to_stop, self._forks, self._told_to_stop = self._told_to_stop, False, False
        self._lock.release()
        if told_to_stop:
            raise KeyboardInterrupt


def _leave_when_told() -> None:
    """A task's process goes at once and in silence; what it leaves half-written is swept by the next run."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os._exit(128 + number))


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


# --- tasks -----------------------------------------------------------------------------------------------------------


def abstract(task: TaskClass) -> TaskClass:
    """Take a class that only others build on, or require, out of the list of tasks that people may ask for."""
    register = luigi.task_register.Register._reg
    if task in register:
        register.remove(task)
    return task


_made: set[type[luigi.Task]] = set()
"""What tasks were made of: what Luigi has to say of a class's settings, it has said."""


@abstract
class HookedTask(luigi.Task):
    """Luigi's task, with names for what Luigi does to it behind its back."""

    stays_warm: ClassVar[bool] = False
    """Whether its process may go on with another task: it leaves nothing behind there that could be in the way."""

    @classmethod
    @cache
    def get_params(cls) -> list[tuple[str, luigi.Parameter[Any]]]:
        """Luigi searches the whole class for parameters each time a task is made; once per class is enough."""
        return list(super().get_params())

    @classmethod
    @cache
    def _normalizers(cls) -> dict[str, Callable[[Any], Any] | None]:
        """What Luigi does to the values of parameters; None where that is nothing."""
        plain = luigi.Parameter.normalize
        return {
            name: None if type(parameter).normalize is plain else parameter.normalize
            for name, parameter in cls.get_params()
        }

    @classmethod
    def get_param_values(cls, params: Any, args: Any, kwargs: Any) -> Any:
        """Luigi's, but a value in luigi.cfg that cannot be is a user's mistake, as on the command line."""
        if cls in _made and not args and kwargs.keys() == cls._normalizers().keys():
            # Nothing is to be looked for: so it is with clones, by the thousand.
            return [
                (name, normalize(kwargs[name]) if normalize else kwargs[name])
                for name, normalize in cls._normalizers().items()
            ]
        _made.add(cls)
        try:
            return super().get_param_values(params, args, kwargs)
        except ValueError as error:
            name, why = str(error).rpartition(" of '")[2].rstrip("'"), str(error.__cause__ or error)
            where = "luigi.cfg" if name in why else f"luigi.cfg: {name}"
            raise luigi.parameter.ParameterException(f"{where}: {why}") from None

    @cached_property
    def _clones(self) -> dict[tuple[Any, ...], luigi.Task]:
        return {}

    def clone(self, cls: Any = None, **changes: Any) -> Any:
        """Luigi's, remembered, and without its searching: a task asks for the same few all the time."""
        key = (cls, *sorted(changes.items()))
        if key not in self._clones:
            kind, values = cls or type(self), {**self.param_kwargs, **changes}
            names = [name for name, _ in kind.get_params()]
            rest = {name: getattr(self, name) for name in names if name not in values and hasattr(self, name)}
            self._clones[key] = kind(**{name: values[name] for name in names if name in values}, **rest)
        return self._clones[key]

    def modules(self) -> tuple[str, ...]:
        """What its work imports."""
        return ()

    def load(self) -> None:
        """Import and build what all tasks of its kind need; called in the parent, as soon as it has nothing to do."""

    def prepare(self) -> None:
        """Called in the parent just before a process begins with the task."""
        self.load()

    def scheduled(self) -> None:
        """Called in the parent when an incomplete task joins the schedule, and again in the task's own process."""

    def memory_mib(self) -> int:
        """What the task's process takes, in MiB."""
        return 256

    def uses_gpu(self) -> bool:
        """Whether a network of the task works on a GPU."""
        return False

    def deps(self) -> list[luigi.Task]:
        """Luigi asks incomplete tasks, when it schedules them; a mistake that is met here is told by run()."""
        prepare()
        with suppress(LisError, OSError):
            self.scheduled()  # before anything is asked: what is required depends on what was found then
        try:
            return list(super().deps())
        except (LisError, OSError):
            return []

    @property
    def resources(self) -> dict[str, int]:  # type: ignore[override]
        """Shares of the machine's memory and GPU. A central scheduler does not know whose they are, and gets none.

        Of what there is 0 of, nothing is claimed: it has no limit.
        """
        if has_central_scheduler():
            return {}
        claims = {machine.MEMORY: self.memory_mib(), machine.GPU: int(self.uses_gpu())}
        there = {name: get_config().getint("resources", name, 0) for name, claim in claims.items() if claim}
        return {name: min(claims[name], total) for name, total in there.items() if total}

    @property
    def worker_timeout(self) -> None:  # type: ignore[override]
        """No timeout of its own. Luigi asks for it in the parent just before it forks: the last moment to prepare."""
        self.prepare()

    def on_failure(self, exception: BaseException) -> str:
        """What the scheduler keeps as the reason; called in the task's own process."""
        reason = explain(exception) or str(super().on_failure(exception))
        with suppress(OSError):  # the log, and Luigi's summary, have it, too
            tell_reason(reason)
        return reason


@HookedTask.event_handler(luigi.Event.START)
def _requirements_are_there(_task: luigi.Task) -> None:
    """Now the work begins: from here on, everything is looked at anew."""
    end_question()


# --- before a fork ---------------------------------------------------------------------------------------------------

_imported: set[str] = set()


def import_before_fork(modules: tuple[str, ...]) -> None:
    """Import in the parent what a task's process is about to need: every child would otherwise pay for torch again.

    Nothing is computed: a parent whose thread pools have started must not fork. What cannot be imported is left for the
    task to meet, and to tell.
    """
    for module in modules:
        if module not in _imported:
            _imported.add(module)
            with suppress(Exception), importing():
                importlib.import_module(module)
    atexit.unregister(_leave)
    atexit.register(_leave)  # before what they do at exit: what was registered last comes first


def build_before_fork(build: Callable[[], object], device: str) -> None:
    """Build in the parent what every child would otherwise load again, and keep a copy of.

    On one thread, since a parent whose thread pools have started must not fork, and only what stays on the CPU, since a
    GPU's context does not survive a fork. What is wrong with it, whatever it is, is left for the task to meet, and to
    tell.
    """
    torch = sys.modules.get("torch")
    if torch is not None and not machine.uses_gpu(device):
        torch.set_num_threads(1)
        with suppress(Exception):
            build()


# --- what people read ------------------------------------------------------------------------------------------------

_NOISE: Final = (
    "Informed scheduler that task",
    "Data for ",
    "Running Worker with",
    "Done scheduling tasks",
    "logging configured",
    "Loaded ",
    "Worker Worker(",
)


def _quiet(record: logging.LogRecord) -> bool:
    """Drop Luigi's bookkeeping, and the stack trace of a mistake that its message explains."""
    if explained := explain(record.exc_info[1] if record.exc_info else None):
        record.msg, record.args = explained, ()
        record.exc_info = record.exc_text = None
    message = record.getMessage()
    return record.levelno >= logging.ERROR or not (
        message.startswith(_NOISE)
        or (message.startswith("[pid ") and (" running   " in message or " done   " in message))
    )


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("stopped; finished stages are kept: the same command goes on from here\n")
    elif explained := explain(error):
        sys.stderr.write(f"{one_line(explained)}\n")
    else:
        sys.__excepthook__(kind, error, trace)
