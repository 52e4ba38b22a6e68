"""How commands print what they found: tables for people, JSON for programs."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import rich_click as click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_FILE_COLUMNS = 160
_WIDEST_CELL = 60
_COLOURS = {
    "done": "green", "waiting": "yellow", "provisional": "yellow", "stale": "yellow", "running": "cyan",
    "failed": "red", "stopped": "magenta", "present": "green", "missing": "yellow", "wrong": "red",
}  # fmt: skip
as_json_option = click.option("--json", "as_json", is_flag=True, help="for machines, on standard output")


def print_table(columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table, as wide as the terminal; words that mean a state have a colour."""
    table = Table(box=None, pad_edge=False)
    *narrow, last = columns
    for number, column in enumerate(narrow):
        table.add_column(column, no_wrap=all(len(row[number]) <= _WIDEST_CELL for row in rows), overflow="fold")
    table.add_column(last, overflow="fold")
    for row in rows:
        table.add_row(*(f"[{_COLOURS[cell]}]{cell}[/]" if cell in _COLOURS else escape(cell) for cell in row))
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _FILE_COLUMNS
    Console(soft_wrap=False, width=wide).print(table)


def print_json(value: Any) -> None:
    """Print JSON for programs."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
