"""What is wrong with a luigi.cfg, in a line: Luigi reads it as it is imported, so this module is imported before it.

(`luigi --module tasks` has imported Luigi before it comes to us.)
"""

import configparser
import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from stages.core.errors import InputError

_COMMANDS: Final = {"lis", "luigi", "-m"}  # the last: `python -m tasks`, while Python looks for the module
_MARK: Final = "\ufeff"
"""What some editors put before a text; Luigi takes it for a part of the first line."""
_REFUSED: Final = 40
"""Luigi's exit code for what keeps it from scheduling."""


def _check() -> None:
    named = os.environ.get("LUIGI_CONFIG_PATH")
    if named and not Path(named).is_file():
        _refuse(f"LUIGI_CONFIG_PATH={named}: found no such file, expected a luigi.cfg; correct or unset it")
    files = [path for path in (Path("luigi.cfg"), Path(named or "")) if path != Path() and path.exists()]
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            _refuse(f"{path}: {error.strerror}; expected settings that can be read; allow it, or remove it")
        except UnicodeDecodeError as error:
            _refuse(f"{path}: found what is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8")
        if text.startswith(_MARK):
            _refuse(
                f"{path}: found a byte order mark before its first line; save it as UTF-8 without one (without BOM)"
            )
    try:
        import luigi.configuration  # noqa: F401
    except configparser.Error as error:
        _refuse(f"{' '.join(error.message.split())}; expected sections like [lis], with lines `key = value`")


def _refuse(why: str) -> NoReturn:
    if Path(sys.argv[0] if sys.argv else "").name in _COMMANDS:
        sys.stderr.write(f"{why}\n")
        sys.exit(_REFUSED)
    raise InputError(why)


_check()
