"""`outputs/<seq>/log.txt`: what was done when, one line each, for people and for `lis status`."""

import re
import time
from pathlib import Path
from typing import Final

LOG: Final = "log.txt"
BEGINS: Final = "a run begins"
FAILED: Final = "failed: "
"""How a line begins that tells of a failure; the next run takes it back."""
_LINE: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (.*)")
_TAIL_BYTES: Final = 1 << 14


def write_log(root: Path, message: str) -> None:
    """Add a line; of a message of several lines, the first."""
    with (root / LOG).open("a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message.partition(chr(10))[0]}\n")


def last_failure(root: Path) -> str | None:
    """Why the last run failed; None if it did not, or there was none."""
    try:
        with (root / LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - _TAIL_BYTES))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        match = _LINE.fullmatch(line)
        if match and match[2].startswith(FAILED):
            return match[2].removeprefix(FAILED)
        if match and match[2] == BEGINS:
            break
    return None
