"""`[lis] on_finish`: a command of the user's, called at the end of a night."""

import os
import shlex
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from tasks.runtime.luigi_hooks import logger

SUMMARY_VARIABLE: Final = "LIS_SUMMARY"
_PATIENCE_S: Final = 600.0


def call_on_finish(command: str, summary: Path) -> None:
    """Call the command with the summary's path as its last argument; what goes wrong with it is one line.

    Args:
        command: as a shell would read it, without variables or pipes; empty: nobody wants to be told.
        summary: its absolute path is in the environment, too, as LIS_SUMMARY.
    """
    if not command.strip():
        return
    try:
        why = _call(shlex.split(command), str(summary.absolute()))
    except (OSError, ValueError) as error:
        why = f"cannot be started: {error}"
    if why:
        logger.warning("on_finish: `%s` %s; nothing else is changed by this", command, why)


def _call(words: list[str], summary: str) -> str:
    """What went wrong; empty if nothing did."""
    # What it says belongs to the log: standard output is for `--json`.
    process = subprocess.Popen(
        [*words, summary],
        stdin=subprocess.DEVNULL,
        stdout=2,
        env={**os.environ, SUMMARY_VARIABLE: summary},
        start_new_session=True,
    )
    try:
        code = process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"was ended after {_PATIENCE_S:.0f} s"
    return f"ended with code {code}" if code else ""
