"""Documents written as streams, a record a line, in pieces, so that memory does not grow with them: JSON and CSV."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from stages.exchange.outgoing.part import as_json
from stages.formats.tables import table_text


def listed(records: Iterable[Iterable[str]]) -> Iterator[str]:
    """A list of records, each in pieces of JSON."""
    return _enclosed("[", records, "]")


def keyed(records: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """An object of keys and records, each record in pieces of JSON."""
    return _enclosed("{", (chain([as_json(key), ":"], record) for key, record in records), "}")


def separated(values: Iterable[str]) -> Iterator[str]:
    """What stands between the brackets of a list within a record, value by value."""
    for place, value in enumerate(values):
        yield "," + value if place else value


def opened(value: Mapping[str, Any]) -> str:
    """An object that is not closed yet: more keys follow, in pieces."""
    return as_json(dict(value))[:-1]


def csv_line(values: Iterable[Any]) -> str:
    """A row of a CSV table; six decimals at most, None is nothing."""
    return table_text(map(_cell, values), ())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(round(value, 6) if isinstance(value, float) else value)


def _enclosed(begin: str, records: Iterable[Iterable[str]], end: str) -> Iterator[str]:
    yield f"{begin}\n"
    for place, record in enumerate(records):
        if place:
            yield ",\n"
        yield from record
    yield f"\n{end}"
