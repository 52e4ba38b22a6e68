"""Who works on a sequence: one run with a scheduler of its own, or the workers of a central one."""

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from stages.core.errors import StageError
from stages.formats import files
from stages.formats.files import sweep
from stages.formats.frozen import thaw
from stages.formats.progress import begin_anew

LOCK: Final = ".lock"


class _Held(NamedTuple):
    """A lock that this run has."""

    file: int
    taken_by: int
    """The process: its children hold the lock, too, and must not sweep what their parent works with."""

    @property
    def is_ours(self) -> bool:
        """Whether this very process took it."""
        return self.taken_by == os.getpid()


_locks: dict[Path, _Held | None] = {}
_shared: set[Path] = set()
_MOMENT_S: Final = 0.01
_PATIENCE_S: Final = 3.0  # a run that was killed a moment ago may have children that are just ending


class BusyError(StageError):
    """Another run works on the sequence."""


def claim(root: Path, *, shared: bool) -> bool:
    """Take a sequence's lock for this run, if it can be had; children inherit it, and a dead process keeps nothing.

    What killed runs left behind is swept by the first to come and by the last to leave: nobody else can be writing.

    Args:
        root: the sequence's folder.
        shared: whether other runs that say so, too, may work on it at the same time.

    Returns:
        Whether this run holds the lock.
    """
    if _locks.get(root) is None:
        files.make_folder(root)
        file = files.disk.open(root / LOCK, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        deadline = time.monotonic() + (0 if root in _locks else _PATIENCE_S)
        while not _enter(file, root, shared):
            if time.monotonic() >= deadline:
                os.close(file)
                _locks[root] = None
                return False
            time.sleep(0.1)
        _locks[root] = _Held(file, os.getpid())
        _shared.update([root] if shared else [])
    return True


def holds(root: Path) -> bool:
    """Whether this run holds a sequence's lock."""
    return _locks.get(root) is not None


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Lock a folder that is no sequence's for a while; whether that worked: nobody else has it."""
    with files.opened(folder / LOCK, os.O_RDWR | os.O_CREAT) as file:
        yield _flock(file, fcntl.LOCK_EX)


def require(root: Path, *, shared: bool) -> None:
    """Check that this run holds a sequence's lock.

    Raises:
        BusyError: another run holds it.
    """
    if not claim(root, shared=shared):
        raise BusyError(
            f"another run works on {root} ({holder(root)}). Wait for it, or stop it; nothing was changed by this run. "
            "Only workers of one central scheduler share a sequence."
        )


def holder(root: Path) -> str:
    """Who holds a sequence's lock, or held it last."""
    try:
        lines = (root / LOCK).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return "; ".join(filter(None, lines)) or "unknown"


def is_taken(root: Path) -> bool:
    """Whether a run, not this one, works on a sequence now; leaves no trace."""
    if holds(root):
        return False
    with suppress(OSError), (root / LOCK).open(encoding="utf-8") as file:
        return not _flock(file, fcntl.LOCK_EX)
    return False


def thaw_if_alone(root: Path) -> None:
    """Delete what was frozen of a sequence whose lock this run has, unless others share it."""
    lock = _locks.get(root)
    if lock is None or not lock.is_ours:
        return
    if _flock(lock.file, fcntl.LOCK_EX):
        thaw(root)
    while root in _shared and not _flock(lock.file, fcntl.LOCK_SH):  # who is refused more has lost its share, too
        time.sleep(_MOMENT_S)


def release_all() -> None:
    """Give back every lock of this run, whose tasks have ended."""
    for root, lock in _locks.items():
        if lock is not None:
            if lock.is_ours and _flock(lock.file, fcntl.LOCK_EX):
                with suppress(OSError):  # the next to come sweeps again, or is told that it cannot
                    _sweep(root)
            os.close(lock.file)
    _locks.clear()
    _shared.clear()


def _enter(file: int, root: Path, shared: bool) -> bool:
    holder = f"process {os.getpid()} on {platform.node()}{', worker of a central scheduler' if shared else ''}\n"
    if first := _flock(file, fcntl.LOCK_EX):
        _sweep(root)
        begin_anew(root)
        os.ftruncate(file, 0)
    # Making an exclusive lock a shared one lets it go for a moment: whoever is faster has it, and we try again.
    if not (_flock(file, fcntl.LOCK_SH) if shared else first):
        return False
    with suppress(OSError):  # a full disk: the lock holds all the same
        files.disk.write(file, holder.encode())
    return True


def _sweep(root: Path) -> None:
    sweep(root)
    thaw(root)


def _flock(file: IO[str] | int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on some network file systems
        return False
    return True
