"""CSV tables of dataclasses: one column a field, equal values give equal bytes."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from stages.core.errors import StageError
from stages.core.states import Source
from stages.formats import files

Row = TypeVar("Row")
_Column = tuple[Callable[[Any], str], Callable[[str], Any]]
_COLUMNS: Final[Mapping[Any, _Column]] = {
    int: (lambda value: str(int(value)), int),
    str: (str, str),
    Source: (str, Source),
    float: (
        lambda value: "" if math.isnan(value) else f"{float(value):z.6f}",
        lambda text: float(text) if text else math.nan,
    ),
    bool | None: (
        lambda value: "" if value is None else str(int(value)),
        lambda text: {"": None, "0": False, "1": True}[text],
    ),
}
"""How a field of each type is written and read: six decimals, NaN and None as nothing."""


def write_table(path: Path, row_type: type[Row], rows: Iterable[Row]) -> None:
    """Write rows of a dataclass, with its fields' names as the head."""
    columns = _columns(row_type)
    texts = ([_COLUMNS[column.type][0](getattr(row, column.name)) for column in columns] for row in rows)
    files.write(path, table_text([column.name for column in columns], texts))


def table_text(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as the text of a CSV file; numbers have all their digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def read_table(path: Path, row_type: type[Row]) -> list[Row]:
    """Read what `write_table` wrote; further columns are passed over, and those that have a default may be missing.

    Raises:
        StageError: the file is missing, or is no such table.
    """
    columns = _columns(row_type)
    rows: list[Row] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, strict=True)
            head = table.fieldnames or ()
            there = [column for column in columns if column.name in head or column.default is MISSING]
            for record in table:
                if None in record.values():
                    raise ValueError("it breaks off")
                values = {column.name: _COLUMNS[column.type][1](record[column.name]) for column in there}
                rows.append(row_type(**values))
    except FileNotFoundError:
        raise StageError(f"{path}: found no such table; recompute the stage that writes it") from None
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        expected = ", ".join(column.name for column in columns)
        raise StageError(
            f"{path}: row {len(rows) + 1} cannot be read ({error!r}), expected the columns {expected}; "
            "delete the folder and run again"
        ) from None
    return rows


def _columns(row_type: type[Any]) -> list[Field[Any]]:
    """Those that came later have a default, and come last."""
    return sorted(fields(row_type), key=lambda field: field.default is not MISSING)
