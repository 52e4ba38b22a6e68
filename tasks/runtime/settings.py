"""The configuration files: the project's own defaults for Luigi, and what is wrong with what people wrote.

That they can be read at all is `config_files`' care.
"""

import configparser
import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import luigi.interface
import luigi.retcodes
import luigi.scheduler
import luigi.worker
from luigi.configuration import get_config
from luigi.parameter import ParameterException

from tasks.runtime.options import OPTIONS, SECTION

LUIGI_SETTINGS: Final = Path(__file__).with_name("luigi.cfg")
"""Luigi's own settings as this project wants them."""
_LUIGIS: Final = (luigi.interface.core, luigi.worker.worker, luigi.scheduler.scheduler, luigi.retcodes.retcode)
_RESOURCES: Final = "resources"
_SECTIONS: Final = {
    "core", "worker", "scheduler", "retcode", "resources", "execution_summary", "logging", "email", "smtp",
    "task_history", "batch_notifier", "sendgrid", "DEFAULT",
}  # fmt: skip


def adopt_defaults() -> None:
    """Take what the configuration files at hand leave open from the project's own settings of Luigi.

    Luigi reads ./luigi.cfg only; in another folder a night that failed would end with exit code 0.
    """
    own, used = configparser.ConfigParser(), get_config()
    own.read(LUIGI_SETTINGS, encoding="utf-8")
    for section in own.sections():
        for key, value in own[section].items():
            if not used.has_option(section, key):
                used.set(section, key, value)


def check_settings() -> None:
    """Look at every value that the configuration files have, before Luigi meets it in the middle of something.

    Raises:
        ParameterException: one cannot be; the message says which.
    """
    parser = get_config()
    if isinstance(parser, configparser.ConfigParser):
        for section in parser.sections():
            for key in parser[section]:
                try:
                    parser.get(section, key)
                except configparser.InterpolationError as error:
                    raw = parser.get(section, key, raw=True)
                    raise ParameterException(
                        f"luigi.cfg: {key} = {raw} in [{section}]: {error.message.splitlines()[0]}; a percent sign is "
                        "written %%, and ${NAME} stands for an environment variable"
                    ) from None
        if parser.has_section(_RESOURCES):
            for key, value in parser[_RESOURCES].items():
                if not re.fullmatch(r"\s*\d+\s*", value):
                    raise ParameterException(
                        f"luigi.cfg: {key} = {value} in [{_RESOURCES}]: expected a whole number, 0 or more"
                    )
    for section_class in _LUIGIS:
        try:
            section_class()
        except ValueError as error:
            raise ParameterException(f"luigi.cfg: {error}: {error.__cause__ or 'it cannot be'}") from None


def check_or_exit() -> None:
    """`check_settings` for a command that could not go on: the message, and Luigi's code for it."""
    try:
        check_settings()
    except ParameterException as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(40)


def unknown_settings() -> Iterator[str]:
    """One line for each section or key of the configuration files that nobody reads."""
    parser = get_config()
    if not isinstance(parser, configparser.ConfigParser):
        return
    families = set(luigi.task_register.Register.task_names())
    for section in parser.sections():
        if section == SECTION:
            known = set(OPTIONS)
            for key in set(parser[section]) - known - set(parser.defaults()):
                near = difflib.get_close_matches(key, known, n=1)
                yield f"luigi.cfg: unknown key `{key}` in [{SECTION}]" + (
                    f"; did you mean `{near[0]}`?" if near else ""
                )
        elif section not in _SECTIONS | families:
            yield f"luigi.cfg: unknown section [{section}]; the project's options are in [{SECTION}]"
