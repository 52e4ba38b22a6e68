"""Names from outside that become folders' names: of data sets, sequences, sets of scribbles.

What file systems and people hold for one name is one name here: names are compared in Unicode's composed form (NFC),
since a Mac writes `Müller` in another form than a keyboard. A name is a single step of a path: nothing is smuggled in.
"""

import os
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from stages.core.errors import InputError

LONGEST_BYTES: Final = 177
"""What a file system leaves of 255 once the name of a temporary sibling carries a host (64) and a process, too."""
_UNDECODED: Final = re.compile("[\ud800-\udfff]")
"""What stands for a byte that is not UTF-8."""
_UNPRINTABLE: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters, and what ends a line."""


def normal(name: str) -> str:
    """The form in which names are compared."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def check_name(name: str, what: str = "sequence") -> str:
    """Return a name from outside in its normal form, if it is fit to be a folder's name.

    Raises:
        InputError: it is not.
    """
    if why := why_unfit(name):
        article = "an" if what[0] in "aeiou" else "a"
        raise InputError(
            f"found {name!r} as the name of {article} {what}, which {why}; expected letters of any script, digits, "
            f"spaces, dots, hyphens and the like, {LONGEST_BYTES} bytes at most; rename the folder, or check what was "
            "given"
        )
    return normal(name)


def why_unfit(name: str) -> str:
    """Why this cannot be a folder's name, as `which ...` goes on; empty if it can."""
    size_bytes = len(normal(name).encode(errors="replace"))
    faults = {
        "is empty": not name,
        "begins with a dot": name.startswith("."),
        "begins or ends with white space": name != name.strip(),
        "has a slash": "/" in name or "\\" in name,
        "is not UTF-8": _UNDECODED.search(name),
        "has a control character or a line's end": _UNPRINTABLE.search(name),
        f"has {size_bytes} bytes": size_bytes > LONGEST_BYTES,
    }
    return next((fault for fault, found in faults.items() if found), "")


def shown(name: str) -> str:
    r"""A name as it can be printed, on one line: what is not UTF-8 becomes \udcfc, the end of a line \n."""
    return _UNPRINTABLE.sub(_escaped, _UNDECODED.sub(_escaped, name))


def in_folder(folder: Path, name: str) -> Path:
    """The entry of this name in a folder, in whatever form it is spelled there; the plain path if there is none.

    Args:
        folder: may be missing.
        name: in its normal form.

    Raises:
        InputError: two entries have the one name.
    """
    if name.isascii():
        return folder / name
    try:
        spellings = _spellings(folder, folder.stat().st_mtime_ns).get(name, ())
    except OSError:
        spellings = ()
    if len(spellings) > 1:
        raise InputError(
            f"{folder}: found two entries called {name!r} that differ only in how Unicode spells them "
            f"({' and '.join(ascii(each) for each in spellings)}), expected one; rename one of the two"
        )
    return folder / (spellings[0] if spellings else name)


def doubles(names: Iterable[str]) -> set[str]:
    """Those of the names that another one of them is equal to in the normal form."""
    first: dict[str, str] = {}
    found: set[str] = set()
    for name in names:
        other = first.setdefault(normal(name), name)
        if other != name:
            found |= {name, other}
    return found


@lru_cache(maxsize=256)
def _spellings(folder: Path, _mtime_ns: int) -> dict[str, tuple[str, ...]]:
    """Normal form -> as it is spelled in the folder."""
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names only
        if not name.isascii():
            found[normal(name)] = (*found.get(normal(name), ()), name)
    return found


def _escaped(character: re.Match[str]) -> str:
    return ascii(character[0])[1:-1]
