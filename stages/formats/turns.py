"""Several programs write the same file of people's work, on several hosts: one after the other."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.core.errors import StageError
from stages.formats import files


@contextmanager
def my_turn(lock: Path, what: str) -> Iterator[None]:
    """Wait until no other program has this lock, and keep it; its folder is made.

    Args:
        lock: the file of the lock.
        what: is written meanwhile, for messages: "the draft".

    Raises:
        StageError: the disk refuses, now or within.
    """
    try:
        files.make_folder(lock.parent)
        with files.opened(lock, os.O_RDWR | os.O_CREAT) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StageError(
            f"{error.filename or lock.parent}: {what} cannot be written: {error.strerror}; make room or allow it, or "
            "keep scribbles in another folder: --scribbles-root"
        ) from error
