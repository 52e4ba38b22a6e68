"""`outputs/<seq>/page_run.log`: what the run says that the page has started last; the next one begins it anew.

$ lis refine dog
process 4711 on b
dog: frames done in 0.1 s
...
"""

import os
import platform
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from stages.formats import files

PAGE_LOG: Final = "page_run.log"
_PROMPT: Final = "$ "
_PROCESS: Final = re.compile(r"process (\d{1,10}) on (.+)")
_HEAD_BYTES: Final = 8 << 10
_TAIL_BYTES: Final = 16 << 10
_TAIL_LINES: Final = 40


class Head(NamedTuple):
    """What a log says of its run."""

    command: str
    """As a person would type it."""
    pid: int
    host: str

    @property
    def process(self) -> str:
        """As a lock names it."""
        return f"process {self.pid} on {self.host}"


@contextmanager
def begun(root: Path, command: str) -> Iterator[int]:
    """Begin a sequence's log anew; a descriptor to write to.

    Raises:
        OSError: the disk refuses.
    """
    files.make_folder(root)
    with files.opened(root / PAGE_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW) as log:
        files.disk.write(log, f"{_PROMPT}{command}\n".encode(errors="backslashreplace"))
        yield log


def announced(words: Iterable[str]) -> list[str]:
    """The command that writes who runs it, and then becomes this one, which has said nothing until then."""
    return ["sh", "-c", 'echo "process $$ on $0"; exec "$@"', platform.node(), *words]


def head_of(root: Path) -> Head | None:
    """What a sequence's log begins with; None: there is none, or its run was just beginning."""
    try:
        with (root / PAGE_LOG).open("rb") as file:
            first, second, *_ = [*file.read(_HEAD_BYTES).decode(errors="replace").splitlines(), "", ""]
    except OSError:
        return None
    process = _PROCESS.fullmatch(second)
    return Head(first.removeprefix(_PROMPT), int(process[1]), process[2]) if process else None


def last_lines(root: Path) -> list[str]:
    """The end of a sequence's log, without blank lines; nothing if there is none."""
    try:
        with (root / PAGE_LOG).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return []
    if size > _TAIL_BYTES:
        del lines[0]  # half of one
    return [line for line in lines if line.strip()][-_TAIL_LINES:]
