"""`outputs/<seq>/log.txt`: what was done when, one line each, for people."""

import time
from pathlib import Path
from typing import Final

from stages.formats import files

LOG: Final = "log.txt"
BEGINS: Final = "a run begins"
FAILED: Final = "failed: "
"""How a line begins that tells of a failure."""


def write_log(root: Path, message: str) -> None:
    """Add a line; of a message of several lines, the first."""
    files.append_line(root / LOG, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message.partition(chr(10))[0]}")
