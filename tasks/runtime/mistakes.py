"""What went wrong, in a message: what people did, and what their disks refused, needs no stack trace."""

import errno
from pathlib import Path
from typing import Final

import luigi.parameter
import luigi.task_register

from stages.core.errors import LisError
from stages.formats.files import free_mib
from stages.formats.links import broken_link

_USERS: Final = (LisError, luigi.parameter.ParameterException, luigi.task_register.TaskClassException)
_NOT_THERE: Final = "Unfulfilled depend"
"""So Luigi begins, when a task's turn comes and something that it requires is not complete any more."""
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


def explain(error: BaseException | None) -> str:
    """What an error says to people; of one that was raised from another, both. Empty: a fault of the program."""
    if isinstance(error, _USERS):
        return str(error)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return disk_refuses(error)
    if error is None:
        return ""
    if str(error).startswith(_NOT_THERE):
        return f"{error}: it was deleted, or what it is made from changed, while the run worked; run the command again"
    behind = explain(error.__cause__ or _mistake_before(error))
    return f"{error}: {behind}" if behind else ""


def disk_refuses(error: OSError, target: Path | None = None) -> str:
    """What the disk refused, while `target` was made."""
    place = error.filename or target
    where = str(place or "the disk")
    if error.errno in _NO_ROOM:
        room = f" ({free_mib(Path(place)):.0f} MiB free)" if place else ""
        return (
            f"no room to write {target or where}: {error.strerror}{room}. Nothing half-written was kept. Make room, "
            "and run the same command again."
        )
    broken = broken_link(Path(place)) if place else ""
    what = f"{where}: {f'found {broken}' if broken else error.strerror or error}"
    if target and str(target) != where:
        what += f", while writing {target}"
    if error.errno in _NOT_ALLOWED:
        return (
            f"{what}. Allow it, or give a folder that can be written: --outputs-root for results, --scribbles-root for "
            "the scribbles of a dataset that is not to be written."
        )
    return f"{what}. Check that it is there, is the file or the folder that it should be, and can be read and written."


def one_line(message: str) -> str:
    """A message of several lines on one."""
    return ", ".join(message.splitlines()).replace(":,", ":")


def _mistake_before(error: BaseException) -> BaseException | None:
    """The mistake during whose handling the error was raised, if it was one: a refusal of the disk may be any."""
    before = error.__context__
    while before is not None and not isinstance(before, _USERS):
        before = before.__cause__ or before.__context__
    return before
