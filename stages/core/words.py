"""How messages, summaries and pages say quantities, and name some of many."""

from collections.abc import Sequence


def minutes(seconds: float) -> float:
    """A person's time as reports and summaries give it: minutes and their tenths."""
    return round(seconds / 60, 1)


def how_long(seconds: float) -> str:
    """A duration as people say it: `40 s`, `01:02:05`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `30th`."""
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")


def and_so_on(named: Sequence[object], most: int, between: str = ", ") -> str:
    """Some of many, `most` of them: `1, 2, 3, ...`; all, if there are no more."""
    return between.join(map(str, named[:most])) + f"{between}..." * (len(named) > most)


def and_more(named: Sequence[object], most: int, between: str = ", ") -> str:
    """The same with the number of the others: `1, 2, 3 and 7 more`, `1 is odd; 2 is even; and 7 more`."""
    others = f"{between.rstrip(', ')} and {len(named) - most} more"
    return between.join(map(str, named[:most])) + others * (len(named) > most)
