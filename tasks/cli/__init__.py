"""`lis`: the second door to the tasks, for people. `luigi --module tasks ...` is the first, for cron and clusters.

Nothing is done twice here: a command is made of a task's parameters, and runs Luigi with them.
"""

import importlib
import logging
import sys
from collections import UserDict
from typing import Any, Final

import rich_click as click
from click.exceptions import Exit, NoArgsIsHelpError
from luigi.parameter import ParameterException

from tasks.runtime import luigi_hooks
from tasks.runtime.mistakes import explain
from tasks.runtime.settings import check_settings, unknown_settings

_MODULES: Final = {
    "annotate": ("annotate",),
    "approve": ("approve",),
    "keeping": ("verify", "clean"),
    "looking": ("doctor", "engines", "weights", "options", "version"),
    "scribbles": ("scribbles",),
    "status": ("status",),
    "working": (
        *("import", "anchors", "refine", "bulk", "submit", "report", "evaluate", "demo", "train"),
        *("import-masks", "import-prompts", "export"),
    ),
}
"""Of this package -> the commands that it has."""
_PANELS: Final = {
    "Labelling": ("import", "annotate", "anchors", "refine", "bulk", "submit", "report", "evaluate", "demo"),
    "Looking": ("status", "doctor", "engines", "weights", "options", "version"),
    "In and out": ("import-masks", "import-prompts", "scribbles", "approve", "export"),
    "Keeping": ("verify", "clean"),
    "Training": ("train",),
}


class _Commands(UserDict[str, Any]):
    """Name -> command, imported when it is asked for: a look takes half a second, and should not wait for the rest."""

    def __getitem__(self, name: str) -> click.Command:
        found = vars(importlib.import_module(f"tasks.cli.{self.data[name]}")).values()
        return next(each for each in found if isinstance(each, click.Command) and each.name == name)


def _say_version(context: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        context.exit(context.invoke(lis.commands["version"], as_json=False))


@click.group(
    name="lis",
    panels=[click.RichCommandPanel(name, commands=list(names)) for name, names in _PANELS.items()],
    context_settings={
        "help_option_names": ["-h", "--help"],
        "rich_help_config": click.RichHelpConfiguration(theme="default-slim", text_markup=None),
    },
    epilog="Tab completion: `_LIS_COMPLETE=bash_source lis` (or zsh_source, fish_source) prints what to source.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_say_version, help="As `lis version`."
)
def lis() -> None:
    """A few scribbles in, an indexed mask for every frame out.

    Every option of a command is a key of [lis] in luigi.cfg, too: `lis options` lists them.
    """


lis.commands = _Commands({name: module for module, names in _MODULES.items() for name in names})


def main(prog: str = "lis") -> int:
    """Run a command; a user's mistake is one line on stderr.

    Returns:
        The exit code: 0 done, 2 the command line was not understood, 20 waiting for scribbles, 30 failed, ...
    """
    try:
        luigi_hooks.prepare()
        check_settings()
        for line in unknown_settings():
            logging.getLogger("lis").warning(line)
        code = lis.main(prog_name=prog, standalone_mode=False)
    except NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        sys.stderr.write(f"{context.command_path if context else prog}: {error.format_message()}\n")
        code = error.exit_code
    except Exit as error:
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("stopped; finished stages are kept: the same command goes on from here\n")
        code = 130
    except Exception as error:
        explained = explain(error)
        if not explained:
            raise
        sys.stderr.write(f"{explained}\n")
        code = 40 if isinstance(error, ParameterException) else 30
    return int(code or 0)
