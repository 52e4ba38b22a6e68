"""The life of a process that runs tasks: signals, orphans, locks, imports before a fork, and quiet logs."""

import atexit
import contextlib
import ctypes
import fcntl
import importlib
import logging
import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import IO

import luigi.interface
import luigi.parameter
import luigi.task_register
import psutil
from luigi.configuration import get_config

from stages.errors import LisError, StageError
from stages.manifest import sweep

logger = logging.getLogger("lis")

_USER_ERRORS = (LisError, luigi.parameter.ParameterException, luigi.task_register.TaskClassException)


def prepare() -> None:
    """Make this process behave when it is told to stop, when it forks, and when it reports a user's mistake."""
    if threading.current_thread() is threading.main_thread():
        # Luigi ends its children on KeyboardInterrupt only; a plain SIGTERM would leave them working as orphans.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        os.register_at_fork(after_in_child=_leave_when_told)
    share_memory()
    luigi.interface.core.ignore_unconsumed |= {"rpc_retry_attempts", "rpc_retry_wait"}  # its client reads them by name
    sys.excepthook = _explain
    atexit.register(release_all)
    logging.getLogger("luigi-interface").addFilter(_quiet)
    lines = logging.StreamHandler()
    lines.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)


# --- imports ---------------------------------------------------------------------------------------------------------

_imported: set[str] = set()
_GPUS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""What the drivers of NVIDIA and AMD, and Windows' subsystem, put there."""


def import_before_fork(modules: tuple[str, ...]) -> None:
    """Import in the parent what a task's process is about to need: every child would otherwise pay for torch again.

    Nothing is computed: a parent whose thread pools have started must not fork.
    """
    for module in modules:
        if module not in _imported:
            importlib.import_module(module)
            _imported.add(module)


def build_before_fork(build: Callable[[], object], device: str) -> None:
    """Build in the parent what every child would otherwise load again, and keep a copy of.

    On one thread, since a parent whose thread pools have started must not fork, and only what stays on the CPU, since a
    GPU's context does not survive a fork (asking torch for a GPU would make one). What is wrong with it, whatever it
    is, is left for the task to meet, and to tell.
    """
    torch = sys.modules.get("torch")
    if torch is not None and (device == "cpu" or (device == "auto" and not any(map(Path.exists, _GPUS)))):
        torch.set_num_threads(1)
        with contextlib.suppress(Exception):
            build()


# --- memory ----------------------------------------------------------------------------------------------------------

MEMORY = "memory_mib"
"""Luigi's resource of this name: together, the tasks of a run claim no more than there is of it."""
_SHARE_OF_MEMORY = 0.75
_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def share_memory() -> None:
    """Let the tasks of a run take three quarters of the memory that there is, if `[resources]` does not say otherwise.

    Workers that have none left wait, instead of being killed.
    """
    settings = get_config()
    if not settings.has_option("resources", MEMORY):
        available = min([psutil.virtual_memory().total, *_limits_of_container()])
        settings.set("resources", MEMORY, str(int(_SHARE_OF_MEMORY * available / 2**20)))


def _limits_of_container() -> Iterator[int]:
    """In bytes, of this process's control groups (version 1 or 2) and of those that they lie in."""
    with contextlib.suppress(OSError):  # another system
        for line in _OWN_CGROUPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            _, controllers, own = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            top, name = (_CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (_CGROUPS, "memory.max")
            folder = top / own.strip("/")
            for group in (folder, *folder.parents):
                if group.is_relative_to(top):
                    with contextlib.suppress(OSError, ValueError):  # not to be seen from inside; "max": no limit
                        yield int((group / name).read_text(encoding="ascii"))


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES = 1 << 29
_KEPT_BYTES_BEFORE = 1 << 25
"""What glibc before 2.35 accepts at most."""


def keep_freed_memory() -> None:
    """Keep what was freed for the next allocation.

    glibc returns large blocks to the system at once, and a network asks for the same ones frame after frame: fetching
    them again, page by page, is a fifth of its time.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        # Without the first the second would do harm.
        if mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES) or mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES_BEFORE):
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


# --- orphans ---------------------------------------------------------------------------------------------------------


def end_with_parent() -> None:
    """End this task's process as soon as its parent is gone, however the parent died (kill -9 included)."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _leave_when_told() -> None:
    """A task's process goes at once and in silence; what it leaves half-written is swept by the next run."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: os._exit(128 + number))


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


# --- who works on a sequence: one run with a scheduler of its own, or the workers of a central one --------------------

_locks: dict[Path, IO[str] | None] = {}
_PATIENCE_S = 3.0  # a run that was killed a moment ago may have children that are just ending


def has_central_scheduler() -> bool:
    """Whether a luigid hands out the tasks: then no two workers get the same one, and they share a sequence."""
    return not luigi.interface.core().local_scheduler


def claim(root: Path, *, alone: bool = False) -> bool:
    """Take a sequence's lock for this run, if it can be had; children inherit it, and a dead process keeps nothing.

    What killed runs left behind is swept by the first to come and by the last to leave: nobody else can be writing.

    Args:
        root: the sequence's folder.
        alone: whether other workers of the same central scheduler are to stay away, too.
    """
    if _locks.get(root) is None:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / ".lock").open("a+", encoding="utf-8")
        shared = has_central_scheduler() and not alone
        deadline = time.monotonic() + (0 if root in _locks else _PATIENCE_S)
        while not _enter(file, root, shared):
            if time.monotonic() >= deadline:
                file.close()
                _locks[root] = None
                return False
            time.sleep(0.1)
        _locks[root] = file
    return True


def require(root: Path, *, alone: bool = False) -> None:
    """Check that this run holds a sequence's lock.

    Raises:
        StageError: another run holds it.
    """
    if not claim(root, alone=alone):
        holders = (root / ".lock").read_text(encoding="utf-8").split("\n")
        raise StageError(
            f"another run works on {root} ({'; '.join(filter(None, holders)) or 'unknown'}). Wait for it, or stop it; "
            "nothing was changed by this run. Only workers of one central scheduler share a sequence."
        )


def release_all() -> None:
    """Give back every lock of this run, whose tasks have ended."""
    for root, file in _locks.items():
        if file is not None:
            if _flock(file, fcntl.LOCK_EX):
                sweep(root)
            file.close()
    _locks.clear()


def _enter(file: IO[str], root: Path, shared: bool) -> bool:
    holder = f"process {os.getpid()} on {platform.node()}{', worker of a central scheduler' if shared else ''}\n"
    if first := _flock(file, fcntl.LOCK_EX):
        sweep(root)
        file.truncate(0)
    # Making an exclusive lock a shared one lets it go for a moment: whoever is faster has it, and we try again.
    if not (_flock(file, fcntl.LOCK_SH) if shared else first):
        return False
    file.write(holder)
    file.flush()
    return True


def _flock(file: IO[str] | int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on some network file systems
        return False
    return True


# --- what people read ------------------------------------------------------------------------------------------------

_NOISE = (
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
    error = record.exc_info[1] if record.exc_info else None
    if mistake := _users_mistake(error):
        record.msg = str(mistake) if mistake is error else f"{error}: {mistake}"
        record.args = ()
        record.exc_info = record.exc_text = None
    message = record.getMessage()
    return record.levelno >= logging.ERROR or not (
        message.startswith(_NOISE)
        or (message.startswith("[pid ") and (" running   " in message or " done   " in message))
    )


def _users_mistake(error: BaseException | None) -> BaseException | None:
    """The error itself, or the one that it was raised from, that a message explains."""
    while error is not None and not isinstance(error, _USER_ERRORS):
        error = error.__cause__ or error.__context__
    return error


def _explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("stopped; finished stages are kept: the same command goes on from here\n")
    elif issubclass(kind, _USER_ERRORS):
        sys.stderr.write(f"{error}\n")
    else:
        sys.__excepthook__(kind, error, trace)
