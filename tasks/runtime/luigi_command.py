"""Luigi's command line from inside of a program: it is run there, and its tasks tell the program what they have to say.

It leans on Luigi's insides like `luigi_hooks`, written for the same version and with canaries in the same tests.
"""

import json
import logging
import tempfile
from collections import ChainMap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import luigi
import luigi.parameter
from luigi.cmdline_parser import CmdlineParser
from luigi.retcodes import run_with_retcodes

from stages.formats import files

if TYPE_CHECKING:
    from tasks.runtime.luigi_hooks import HookedTask


class Outcome(NamedTuple):
    """How a run ended."""

    exit_code: int
    errors: tuple[str, ...]
    """What it told of, each once."""
    figures: dict[str, Any]
    """What tasks told the command, see `tell_command`."""


_told: list[Path] = []
"""The folder that tasks, each in a process of its own, write into while a command runs."""
_REASONS: Final = "reasons"
_FIGURES: Final = "figures"


def tell_command(figures: dict[str, Any]) -> None:
    """Called by a task: what the command that runs it says as JSON; nobody listens where no command of `lis` runs."""
    _tell(_FIGURES, figures)


def tell_reason(reason: str) -> None:
    """Called by a task that failed; whoever listens says it, too."""
    _tell(_REASONS, reason)


def _tell(name: str, what: Any) -> None:
    if _told:
        files.append_line(_told[-1] / name, json.dumps(what))


def run_command(words: list[str]) -> Outcome:
    """Run a command line of Luigi's in this process."""
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        _told.append(Path(folder))
        try:
            run_with_retcodes(words)
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            _told.pop()
        reasons, figures = (_read_told(Path(folder) / name) for name in (_REASONS, _FIGURES))
    return Outcome(code, tuple(dict.fromkeys(reasons)), dict(ChainMap(*figures)))


def _read_told(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def task_of(words: list[str]) -> "HookedTask":
    """The task that a command line of Luigi's names; it is not run.

    Raises:
        ParameterException: it cannot be made.
    """
    with CmdlineParser.global_instance(words) as parser:
        task: HookedTask = parser.get_task_obj()
        return task


def default_of(parameter: luigi.Parameter[Any]) -> str:
    """A parameter's default as people would write it; empty if it has none that says anything."""
    value = parameter._default
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) and value else ""


def is_required(parameter: luigi.Parameter[Any]) -> bool:
    """Whether a parameter has no default."""
    return bool(parameter._default == luigi.parameter._no_value)


def hide_summary() -> None:
    """Drop Luigi's summary of a run, for a program that says what was done in words of its own."""
    logging.getLogger("luigi-interface").addFilter(lambda record: "Luigi Execution Summary" not in record.getMessage())
