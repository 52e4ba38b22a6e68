"""JSON off a disk, bounded in size and depth: what is wrong with it is an OSError or a ValueError, nothing else."""

import json
import math
from pathlib import Path
from typing import Any, Final

from stages.formats.files import stat_of_file

MOST_BYTES: Final = 64 << 20


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """What a file of JSON says.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is too large, no UTF-8, no JSON, nested too deep, or has a key twice or a number like NaN.
    """
    size = stat_of_file(path).st_size
    if size > most_bytes:
        raise ValueError(f"found {size:,} bytes, expected at most {most_bytes:,}")
    return parse_json(path.read_bytes().decode("utf-8-sig"))  # programs for Windows write a byte order mark


def parse_json(text: str) -> Any:
    """What a text says; see `read_json`."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
    except RecursionError:
        raise ValueError("found lists or objects inside one another, hundreds deep; expected a few") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"found the key {twice[:40]!r} twice, expected it once")
    return found


def _constant(name: str) -> float:
    raise ValueError(f"found {name}, expected a finite number")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"found {text[:40]}, expected a finite number")
    return number
