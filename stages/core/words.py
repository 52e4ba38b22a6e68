"""How messages, summaries and pages say quantities."""


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
