"""The order of frames by their names: counters, and times or positions written as decimal numbers."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from natsort import natsorted

from stages.core.errors import InputError

_NUMBER: Final = re.compile(r"(?P<sign>[-+]?)\d+(?P<behind>(?:[.,]\d+)*)(?P<power>[eE][-+]\d+(?![^\W_]))?")
_SIGN_OR_POINT: Final = re.compile(r"[-+.,]\d")


class Order(NamedTuple):
    """Pictures in their order."""

    paths: list[Path]
    gap: str
    """What their numbers leave out, for people; nothing if they leave nothing out, or are no counters."""


def in_order(folder: Path, paths: Sequence[Path]) -> Order:
    """Pictures in the order of their names, in which numbers count as such: frame_2 before frame_10, 0.1 before 0.25.

    A point can stand in a number (times in seconds) or between two counters (take 1, frame 10): 1.10 comes before 1.9
    or after it. Where the two readings give two orders, the numbers at that place of the names have to show which one
    is meant: as decimal numbers they step evenly or have zeros behind the point (0.067); as counters they count on
    (1.9, 1.10) or would be one number twice (1.1, 1.10). Dates and versions (1.1.10) are counters.

    Raises:
        InputError: two pictures have one stem or one number, or the order cannot be known.
    """
    for one, other in pairwise(sorted(paths, key=lambda path: path.stem)):
        if one.stem == other.stem:
            raise InputError(
                f"{folder}: found {one.name} and {other.name}, expected one picture a frame; remove one of the two"
            )
    values, unsure = _decimal_places([path.stem for path in paths])
    counted = _sorted(paths, values)
    valued = _sorted(paths, values | unsure) if unsure else counted
    if valued != counted:
        at = next(index for index, (one, other) in enumerate(zip(valued, counted, strict=True)) if one != other)
        raise InputError(
            f"{folder}: found names with two readings: by decimal numbers {valued[at].name} comes before "
            f"{counted[at].name}, by counters after it; expected an order that is certain; write as many digits "
            "behind each point (0.50, 0.75), or number the frames anew"
        )
    return Order(counted, "" if values else gap_in(counted))


class _Number(NamedTuple):
    written: str
    value: float
    sign: str
    whole: str
    """The number as written, up to the point."""
    fraction: str
    """The digits behind the point."""
    power: str


_Place = tuple[str, ...]
"""Where in a name a number stands: the texts before it, of which numbers separate one from the next."""
_Ranks = dict[_Place, dict[str, int]]
"""The numbers of a place that are no counters, as written, and how many of them are smaller."""


def _decimal_places(stems: Sequence[str]) -> tuple[_Ranks, _Ranks]:
    """The places at which it matters whether decimal numbers or counters stand there: surely decimal, not sure."""
    if not any(map(_SIGN_OR_POINT.search, stems)):
        return {}, {}
    found: defaultdict[_Place, set[str]] = defaultdict(set)
    for stem in stems:
        for place, match in _numbers(stem):
            found[place].add(match[0])
    values: _Ranks = {}
    unsure: _Ranks = {}
    for place, texts in found.items():
        numbers = _as_decimals(place, texts)
        valued = [number.written for number in sorted(numbers, key=lambda number: (number.value, number.written))]
        if valued != natsorted(sorted(valued)):
            looks = _look_like_values(numbers), _look_like_counters(numbers)
            if looks != (False, True):
                kind = values if looks == (True, False) else unsure
                kind[place] = {text: rank for rank, text in enumerate(valued)}
    return values, unsure


def _numbers(stem: str) -> Iterator[tuple[_Place, re.Match[str]]]:
    """The numbers in a stem and their places."""
    place: _Place = ()
    end = 0
    for match in _NUMBER.finditer(stem):
        place = (*place, stem[end : match.start()])
        end = match.end()
        yield place, match


def _as_decimals(place: _Place, texts: set[str]) -> list[_Number]:
    """The numbers of one place; none if they are plain counters, or a date or a version is among them."""
    matches = [match for text in texts if (match := _NUMBER.fullmatch(text))]
    # A dash in front of all of them is none of a number's, unless the name begins with it.
    dash = place != ("",) and all(match["sign"] == "-" for match in matches)
    plain = all(not ((match["sign"] and not dash) or match["behind"] or match["power"]) for match in matches)
    if plain or any(len(re.findall("[.,]", match["behind"])) > 1 for match in matches):
        return []
    return [
        _Number(
            written=match[0],
            value=float(match[0][dash:].replace(",", ".")),
            sign="" if dash else match["sign"],
            whole=match[0][dash : match.start("behind")],
            fraction=match["behind"][1:],
            power=match["power"] or "",
        )
        for match in matches
    ]


def _sorted(paths: Sequence[Path], ranks: _Ranks) -> list[Path]:
    if not ranks:
        return natsorted(sorted(paths), key=lambda path: path.stem)
    return natsorted(sorted(paths), key=lambda path: _ranked(path.stem, ranks))


def _ranked(stem: str, ranks: _Ranks) -> str:
    """The stem with counters in place of its decimal numbers."""
    parts, end = [], 0
    for place, match in _numbers(stem):
        rank = ranks.get(place, {}).get(match[0])
        parts += [stem[end : match.start()], match[0] if rank is None else f"-{rank}"]
        end = match.end()
    return "".join(parts) + stem[end:]


def _look_like_values(numbers: Sequence[_Number]) -> bool:
    """Zeros right behind the point, powers of ten, both signs, or even steps: nobody counts like that."""
    return (
        any(len(number.fraction) > 1 and number.fraction[0] == "0" for number in numbers)
        or any(number.power for number in numbers)
        or len({number.sign == "-" for number in numbers if number.value}) > 1
        or _step_evenly(numbers)
    )


def _step_evenly(numbers: Sequence[_Number]) -> bool:
    """Whether three numbers or more have equal distances, as far as their digits go."""
    steps = [after - before for before, after in pairwise(sorted(number.value for number in numbers))]
    rounding = 10.0 ** -max(len(number.fraction) for number in numbers)
    return len(steps) > 1 and min(steps) > rounding and max(steps) - min(steps) < 2.5 * rounding


def _look_like_counters(numbers: Sequence[_Number]) -> bool:
    """One number twice (1.1 and 1.10), a zero at the end that a number would not have, or counting on without a gap."""
    if len({number.value for number in numbers}) < len(numbers):
        return True
    if any(len(number.fraction) > 1 and number.fraction[-1] == "0" for number in numbers):
        return True
    counters = sorted((number.whole, int(number.fraction or 0)) for number in numbers)
    together = [(one, other) for (a, one), (b, other) in pairwise(counters) if a == b]
    return bool(together) and all(other - one == 1 for one, other in together)


def gap_in(paths: Sequence[Path]) -> str:
    """What is missing among numbered names in their order.

    Nothing in videos sampled at every fifth frame, or if they are no counters.

    Raises:
        InputError: two have one number.
    """
    matches = [re.fullmatch(r"(.*?)(\d+)", path.stem) for path in paths]
    if len(paths) < 2 or not all(matches) or len({match[1] for match in matches if match}) > 1:
        return ""
    numbers = [int(match[2]) for match in matches if match]
    gaps = [after - before for before, after in pairwise(numbers)]
    step = min(gaps)
    if step == 0:
        at = gaps.index(0)
        raise InputError(
            f"{paths[at].parent}: found {paths[at].name} and {paths[at + 1].name}, which have one number, expected one "
            "picture a frame; remove or rename one of the two"
        )
    if any(gap % step for gap in gaps):
        return ""
    for before, number, gap in zip(paths, numbers, gaps, strict=False):
        if gap > step:
            digits = len(before.stem) - len(before.stem.rstrip("0123456789"))
            missing = f"{before.stem[:-digits]}{number + step:0{digits}d}{before.suffix}"
            count = sum(gap // step - 1 for gap in gaps)
            return f"{missing} is missing after {before.name} ({count:,} missing in all)"
    return ""
