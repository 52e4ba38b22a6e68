"""`outputs/bulk/<date>/`: `summary.json` and `summary.txt` of a night."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from stages.core.states import State
from stages.formats import files
from stages.formats.files import write_json
from stages.formats.json_files import read_json
from stages.formats.manifest import Json

SUMMARY_JSON: Final = "summary.json"
SUMMARY_TXT: Final = "summary.txt"
_COUNTED: Final = (State.DONE, State.WAITING, State.FAILED, State.STOPPED)
"""The states that a sequence can be in after a night."""


@dataclass(frozen=True)
class Outcome:
    """How one sequence fared."""

    sequence: str
    state: State
    reason: str = ""
    seconds: float = 0.0
    """What this run computed for it; 0 if it was found finished."""


def night_folder(outputs_root: Path, started: float) -> Path:
    """The folder of a night that began at this time (seconds since the epoch)."""
    return outputs_root / "bulk" / time.strftime("%Y-%m-%d_%H%M%S", time.localtime(started))


def write_summary(folder: Path, outcomes: Sequence[Outcome], seconds: float) -> Path:
    """Write both files; the folder is made. Returns the one for people."""
    files.make_folder(folder)
    text = f"{counted(outcomes, len(outcomes))} in {seconds:.0f} s\n{table(outcomes)}\n"
    files.replace(folder / SUMMARY_TXT, text)
    counts = {str(state): sum(outcome.state == state for outcome in outcomes) for state in _COUNTED}
    rows = [asdict(outcome) for outcome in outcomes]
    write_json(folder / SUMMARY_JSON, {"seconds": round(seconds, 1), **counts, "sequences": rows})
    return folder / SUMMARY_TXT


def last_summary(outputs_root: Path, started: float) -> Json:
    """What a night that began after this time came to, with the folder of its summary; empty if there was none."""
    for folder in sorted((outputs_root / "bulk").glob("*_*"), reverse=True):
        path = folder / SUMMARY_JSON
        if path.is_file() and path.stat().st_mtime >= started:
            return {"summary": str(folder), **read_json(path)}
    return {}


def counted(outcomes: Sequence[Outcome], total: int) -> str:
    """How many sequences are in which state, in one line."""
    parts = [f"{n} {state}" for state in _COUNTED if (n := sum(outcome.state == state for outcome in outcomes))]
    return f"{len(outcomes)} of {total} sequences: {', '.join(parts)}"


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a sequence."""
    width = max(len(outcome.sequence) for outcome in outcomes)
    return "\n".join(
        f"{one.sequence:<{width}}  {one.state:<8} {one.seconds:8.1f} s  {one.reason.partition(chr(10))[0]}"
        for one in outcomes
    )
