"""What the exit code of a run means for a person who looks at the page: docs/troubleshooting.md in a sentence."""

import re
from pathlib import Path
from typing import Final

from stages.core.states import State
from stages.core.words import and_more
from stages.formats.page_log import last_lines
from stages.formats.progress import last_failed, read_progress
from tasks.refine import RefineSequence
from tasks.status import standing_of_last_run

_SENTENCES: Final = {
    0: "done",
    25: "stopped before all was done: run it again",
    35: "a fault of the program: please report it, with the log",
    130: "stopped; finished stages are kept, and the next run goes on from there",
    137: "killed, for instance for lack of memory; the next run goes on from there",
}
_WAITS: Final = State.WAITING.exit_code
_FAILED: Final = State.FAILED.exit_code
INTERRUPTED: Final = 130
_TERMINATED: Final = 128 + 15
_MOST_NAMED: Final = 10
_FRAME: Final = re.compile(r".*/0*(\d+)")
_FRAMES: Final = re.compile(r".*/0*(\d+)-0*(\d+)")


def exit_code_of(returned: int) -> int:
    """As a shell has it, of what a parent is told: the number of a signal is negative there."""
    code = returned if returned >= 0 else 128 - returned
    return INTERRUPTED if code == _TERMINATED else code


def in_words(task: RefineSequence, code: int, pid: int) -> str:
    """What a run has come to.

    Args:
        task: the masks of the sequence that it worked on.
        code: its exit code.
        pid: its process.
    """
    if code == _WAITS:
        return _what_waits(task)
    if code in _SENTENCES:
        return _SENTENCES[code]
    return (_failure(task.root, pid) if code == _FAILED else "") or _last_line(task.root) or f"ended with code {code}"


def _what_waits(task: RefineSequence) -> str:
    found = standing_of_last_run(task)
    frames = found.waiting_for
    if not frames:
        return f"waits for {found.reason}" if found.reason else str(found.state)
    listed = and_more(frames, _MOST_NAMED)
    return f"1 anchor waits: frame {listed}" if len(frames) == 1 else f"{len(frames)} anchors wait: frames {listed}"


def _failure(root: Path, pid: int) -> str:
    """Why its last stage failed, and where; nothing if none did: then it has failed before any began."""
    failed = last_failed([run for run in read_progress(root) if run.pid == pid])
    if failed is None:
        return ""
    if stretch := _FRAMES.fullmatch(failed.task):
        return f"frames {stretch[1]} to {stretch[2]}: {failed.message}"
    frame = _FRAME.fullmatch(failed.task)
    return f"frame {frame[1]}: {failed.message}" if frame else failed.message


def _last_line(root: Path) -> str:
    return next(reversed(last_lines(root)), "").removeprefix("ERROR: ")
