"""The order of frames by their names: counters, and times or positions written as decimal numbers."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from natsort import natsorted

from stages.core.errors import InputError

_NUMBER: Final = re.compile(r"(?P<sign>[-+]?)\d+(?:[.,](?P<fraction>\d+))?(?P<power>[eE][-+]?\d+)?")


def in_order(folder: Path, paths: Sequence[Path]) -> list[Path]:
    """Pictures in the order of their names, in which numbers count as such: frame_2 before frame_10, 0.1 before 0.25.

    A point can stand in a number (times in seconds) or between two counters (take 1, frame 10): 1.10 comes before 1.9
    or after it. Where the two readings give two orders, the names have to show which one is meant: as decimal numbers
    they step evenly or have zeros behind the point (0.067); as counters they count on (1.9, 1.10) or would be one
    number twice (1.1, 1.10).

    Raises:
        InputError: two pictures have one stem or one number, a number is missing, or the order cannot be known.
    """
    for one, other in pairwise(sorted(paths, key=lambda path: path.stem)):
        if one.stem == other.stem:
            raise InputError(
                f"{folder}: found {one.name} and {other.name}, expected one picture a frame; remove one of the two"
            )
    counted = natsorted(sorted(paths), key=lambda path: path.stem)
    numbers = _numbers([path.stem for path in paths])
    if numbers is None:
        _check_counters(counted)
        return counted
    valued = [path for _, path in sorted(zip(numbers, paths, strict=True), key=lambda pair: (pair[0].value, pair[1]))]
    if valued != counted:
        values, counters = _look_like_values(numbers), _look_like_counters(numbers)
        if values == counters:
            at = next(index for index, (one, other) in enumerate(zip(valued, counted, strict=True)) if one != other)
            raise InputError(
                f"{folder}: found names with two readings: by decimal numbers {valued[at].name} comes before "
                f"{counted[at].name}, by counters after it; expected an order that is certain; write as many digits "
                "behind each point (0.50, 0.75), or number the frames anew"
            )
        if values:
            return valued
    _check_counters(counted)
    return counted


class _Number(NamedTuple):
    value: float
    sign: str
    whole: str
    """The number as written, up to the point."""
    fraction: str
    """The digits behind the point."""
    power: str


def _numbers(stems: Sequence[str]) -> list[_Number] | None:
    """The stems as decimal numbers within one text, if they can be read so, and not all are plain counters."""
    backwards = [stem[::-1] for stem in stems]
    before = re.sub(r"[-+\d.,]*$", "", _common_start(stems))
    after = re.sub(r"[\d.,]*$", "", _common_start(backwards))[::-1]
    if len(before) + len(after) > min(map(len, stems)):
        return None
    middles = [stem[len(before) : len(stem) - len(after)] for stem in stems]
    if before and all(middle[:1] == "-" for middle in middles):
        middles = [middle[1:] for middle in middles]  # a dash: it stands before all of them
    matches = [_NUMBER.fullmatch(middle) for middle in middles]
    if not all(matches) or all(middle.isdecimal() for middle in middles):
        return None
    return [
        _Number(
            value=float(match[0].replace(",", ".")),
            sign=match["sign"],
            whole=re.split("[.,eE]", match[0])[0],
            fraction=match["fraction"] or "",
            power=match["power"] or "",
        )
        for match in matches
        if match
    ]


def _common_start(texts: Sequence[str]) -> str:
    """The letters that all texts begin with."""
    first, last = min(texts), max(texts)  # what these two share, all those between them share, too
    return first[: next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


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


def _check_counters(paths: Sequence[Path]) -> None:
    """Refuse gaps in numbered names. Videos sampled at every fifth frame, and names that are no counters, are fine."""
    matches = [re.fullmatch(r"(.*?)(\d+)", path.stem) for path in paths]
    if len(paths) < 2 or not all(matches) or len({match[1] for match in matches if match}) > 1:
        return
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
        return
    for before, number, gap in zip(paths, numbers, gaps, strict=False):
        if gap > step:
            digits = len(before.stem) - len(before.stem.rstrip("0123456789"))
            missing = f"{before.stem[:-digits]}{number + step:0{digits}d}{before.suffix}"
            raise InputError(
                f"{before.parent}: {missing} is missing after {before.name} ({sum(gap // step - 1 for gap in gaps)} "
                "missing in all), expected consecutive frames; put them back, or number the frames anew"
            )
