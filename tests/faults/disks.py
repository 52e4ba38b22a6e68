"""A disk that counts, refuses, or kills the process, at the n-th call; the count is kept across processes."""

import errno
import fcntl
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from stages.formats.files import Bytes, Disk


class Kind(StrEnum):
    """What happens at the n-th call."""

    NO_ROOM = "ENOSPC"
    NO_ROOM_ANY_MORE = "ENOSPC, from then on"
    BROKEN = "EIO"
    BROKEN_FROM_NOW_ON = "EIO, from then on"
    KILLED = "SIGKILL"

    @property
    def persists(self) -> bool:
        """Whether it happens at all later calls, too."""
        return self in (Kind.NO_ROOM_ANY_MORE, Kind.BROKEN_FROM_NOW_ON)

    @property
    def number(self) -> int:
        """The system's."""
        return errno.ENOSPC if self in (Kind.NO_ROOM, Kind.NO_ROOM_ANY_MORE) else errno.EIO


_TAKES_NO_ROOM: Final = ("unlink", "rmdir", "fsync")


@dataclass
class FaultyDisk(Disk):
    """Counts its calls in a file, and lets one of them fail."""

    counter: Path
    """Grows by a line with each call: the call, and the file's name."""
    at: int = 0
    """The number of the call, counted from 1; 0: never."""
    kind: Kind = Kind.BROKEN

    def open(self, path: Path, flags: int) -> int:
        if flags & (os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_RDWR):
            self._count("open", path)
        return super().open(path, flags)

    def write(self, descriptor: int, content: Bytes) -> int:
        """Half of it is written before it fails."""
        self._count("write", descriptor, lambda: super(FaultyDisk, self).write(descriptor, _half(content)))
        return super().write(descriptor, content)

    def fsync(self, descriptor: int) -> None:
        self._count("fsync", descriptor)
        super().fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._count("rename", target)
        super().rename(source, target)

    def mkdir(self, path: Path) -> None:
        self._count("mkdir", path)
        super().mkdir(path)

    def unlink(self, path: Path) -> None:
        self._count("unlink", path)
        super().unlink(path)

    def rmdir(self, path: Path) -> None:
        self._count("rmdir", path)
        super().rmdir(path)

    def _count(self, call: str, where: Path | int, first: Callable[[], Any] = lambda: None) -> None:
        name = where if isinstance(where, Path) else Path(f"/proc/self/fd/{where}").readlink()
        number = _next(self.counter, f"{call} {name}")
        if not self.at or number < self.at or (number > self.at and not self.kind.persists):
            return
        if self.kind is Kind.KILLED:
            first()
            os.kill(os.getpid(), signal.SIGKILL)
        if call in _TAKES_NO_ROOM and self.kind.number == errno.ENOSPC and number > self.at:
            return  # a full disk lets files go
        first()
        raise OSError(self.kind.number, os.strerror(self.kind.number), str(name))


def calls(counter: Path) -> list[str]:
    """What was called, in order."""
    return counter.read_text(encoding="utf-8").splitlines() if counter.exists() else []


def _next(counter: Path, line: str) -> int:
    descriptor = os.open(counter, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX)  # a killed process keeps nothing
        os.write(descriptor, (line.replace("\n", " ") + "\n").encode())
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).count(b"\n")
    finally:
        os.close(descriptor)


def _half(content: Bytes) -> bytes:
    return bytes(content[: len(content) // 2])
