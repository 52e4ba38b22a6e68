"""What of a video is taken: from where, to where, every how many frames, and how many at most."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from stages.core.errors import InputError
from stages.core.words import ordinal

Moment = int | Fraction
"""The number of a frame, counted from 0; or, as a fraction, seconds since the first frame."""
_SECONDS: Final = re.compile(r"([0-9]{1,9}(?:[.,][0-9]{1,9})?) ?s")
_CLOCK: Final = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,5}):([0-9]{1,2}(?:[.,][0-9]{1,9})?)")
_FRAME: Final = re.compile(r"[0-9]{1,12}")


def moment(text: str) -> Moment:
    """Where a person means: `300` is a frame, `12.5s` and `00:01:30` are times.

    Raises:
        InputError: it is neither.
    """
    text = text.strip()
    if _FRAME.fullmatch(text):
        return int(text)
    if match := _SECONDS.fullmatch(text):
        return _number(match[1])
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match[1], int(match[2]), _number(match[3])
        if seconds < 60 and (hours is None or minutes < 60):
            return 3600 * int(hours or 0) + 60 * minutes + seconds
    raise InputError(
        f"found {text!r} as a place in a video, expected the number of a frame (300) or a time (12.5s, 01:30, 00:01:30)"
    )


@dataclass(frozen=True)
class Excerpt:
    """What is taken; `Excerpt()` is all of it."""

    start: Moment = 0
    """The first frame or time that is taken."""
    end: Moment | None = None
    """The first one that is not taken any more; None: the end."""
    every: int = 1
    """Frames from one that is taken to the next."""
    most: int | None = None
    """Frames that are taken at most."""

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            InputError: nothing can be taken so.
        """
        if self.every < 1:
            raise InputError(f"found --every {self.every}, expected 1 (each frame), 2 (each second one), ...")
        if self.most is not None and self.most < 1:
            raise InputError(f"found --max-frames {self.most}, expected 1 at least")
        if isinstance(self.end, type(self.start)) and self.end <= self.start:
            raise InputError(
                f"found --start {told(self.start)} and --end {told(self.end)}, expected an end behind the start: it is "
                "the first that is not taken any more"
            )

    @property
    def has_times(self) -> bool:
        """Whether a time stands in it."""
        return isinstance(self.start, Fraction) or isinstance(self.end, Fraction)

    def __str__(self) -> str:
        """In words: `every 30th, from 00:10, up to 01:00, at most 100`; nothing for all of a video."""
        words = [f"every {ordinal(self.every)}"] if self.every > 1 else []
        if self.start:
            words.append(f"from {told(self.start)}")
        if self.end is not None:
            words.append(f"up to {told(self.end)}")
        if self.most is not None:
            words.append(f"at most {self.most:,}")
        return ", ".join(words)

    def as_key(self) -> dict[str, str | int]:
        """What differs from all of a video, however it was written."""
        whole = Excerpt()
        moments = {"start": self.start, "end": self.end}
        key: dict[str, str | int] = {
            name: f"{_decimal(value)}s" if isinstance(value, Fraction) else str(value)
            for name, value in moments.items()
            if value not in (0, None)
        }
        if self.every != whole.every:
            key["every"] = self.every
        if self.most is not None:
            key["max_frames"] = self.most
        return key


class Taking:
    """Goes through a video, and says of each frame whether it is taken; ask in order, for `is_over` first."""

    def __init__(self, excerpt: Excerpt) -> None:
        self.has_times = excerpt.has_times
        """Whether it has to know when frames are shown."""
        self._excerpt = excerpt
        self._first: int | None = None
        self._count = 0

    def is_over(self, index: int, seconds: Fraction | None = None) -> bool:
        """Whether neither this frame nor one behind it is taken.

        Args:
            index: of the frame.
            seconds: from the first frame to it; for excerpts that have times.
        """
        end, most = self._excerpt.end, self._excerpt.most
        return self._count == most or (end is not None and _reached(end, index, seconds))

    def takes(self, index: int, seconds: Fraction | None = None) -> bool:
        """Whether this frame is taken."""
        if self._first is None:
            if not _reached(self._excerpt.start, index, seconds):
                return False
            self._first = index
        if (index - self._first) % self._excerpt.every:
            return False
        self._count += 1
        return True

    @property
    def taken(self) -> range:
        """The frames that were taken so far."""
        first, every = self._first or 0, self._excerpt.every
        return range(first, first + self._count * every, every)


def told(place: Moment) -> str:
    """A frame or a time, for people: `frame 300`, `00:10`, `01:00:02.5`."""
    if not isinstance(place, Fraction):
        return f"frame {place}"
    minutes, seconds = divmod(place, 60)
    hours, minutes = divmod(minutes, 60)
    whole, rest = divmod(round(1000 * seconds), 1000)
    clock = f"{minutes:02d}:{whole:02d}" + f".{rest:03d}".rstrip("0").rstrip(".")
    return f"{hours:02d}:{clock}" if hours else clock


def _reached(place: Moment, index: int, seconds: Fraction | None) -> bool:
    if isinstance(place, Fraction):
        return seconds is not None and seconds >= place
    return index >= place


def _decimal(number: Fraction) -> str:
    """As it was written, without needless zeros: those of `moment` have nine decimals at most."""
    return format((Decimal(number.numerator) / number.denominator).normalize(), "f")


def _number(text: str) -> Fraction:
    return Fraction(text.replace(",", "."))
