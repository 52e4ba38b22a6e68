"""`outputs/bulk/<night>/`: what a night was told to do (`night.json`), and what came of it.

    night.json      {"schema": 1, "started": 1.7e9, "pid": 4711, "host": "b", "cwd": "/work", "options": {...},
                     "sequences": [{"name": "gym", "seq": "gym", "dataset": "", "refused": ""}, ...]}
    summary.json    {"schema": 2, "started": ..., "ended": ..., "killed": false, "done": 18, "waiting": 1, ...,
                     "seconds": ..., "computed_seconds": ..., "scribbles_owed": 7, "doubt": 0.08, "drawn_minutes": 2.5,
                     "sequences": [...]}
    summary.txt     the same for people; index.html with pictures
    latest          beside the nights: a link to the one that ended last

`night.json` is written when a night begins. One without a summary is at work, or was killed: then whoever comes next
writes its summary. The summaries of version 0.1 have no `schema`, and nothing but `seconds`, counts and `sequences`.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Final

from stages.core.errors import StageError
from stages.core.states import State
from stages.core.words import how_long, minutes
from stages.formats import files
from stages.formats.glance import Doubt
from stages.formats.json_files import read_json
from stages.formats.manifest import Json
from stages.formats.schema import check_schema

SUMMARY_JSON: Final = "summary.json"
SUMMARY_TXT: Final = "summary.txt"
PAGE: Final = "index.html"
LATEST: Final = "latest"
SUMMARY_SCHEMA: Final = 2
RECORD_SCHEMA: Final = 1
_RECORD: Final = "night.json"
_COUNTED: Final = (State.DONE, State.WAITING, State.FAILED, State.STOPPED)
"""The states that are counted even if no sequence is in them."""


# --- what a night was told to do -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NightRecord:
    """What a night was told to do, by whom."""

    started: float
    """Seconds since the epoch."""
    pid: int
    """Of the command."""
    host: str
    cwd: str
    """What paths among the options are relative to."""
    options: dict[str, str]
    """As on the command line."""
    sequences: list[dict[str, str]]
    """`name` as the summary calls it, `seq` and `dataset` as the task is told, `refused`: why it cannot be taken."""

    def write(self, folder: Path) -> None:
        """Write it into the night's folder."""
        files.write_json(folder / _RECORD, {"schema": RECORD_SCHEMA, **asdict(self)})

    @classmethod
    def read(cls, folder: Path) -> "NightRecord":
        """Read it from a night's folder.

        Raises:
            StageError: it is not there, damaged, or of a newer version of LIS.
        """
        path = folder / _RECORD
        try:
            fields = read_json(path)
            check_schema(path, fields.pop("schema"), RECORD_SCHEMA)
            names = {name: fields[name] for name in cls.__dataclass_fields__}
            return cls(**{**names, "started": float(names["started"]), "pid": int(names["pid"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StageError(f"{path}: cannot be read ({error!r}); delete the folder") from None


def begin_night(outputs_root: Path, started: float) -> Path:
    """Make the folder of a night that begins at this time (seconds since the epoch); no other night has the same."""
    nights = outputs_root / "bulk"
    files.make_folder(nights)
    name = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(started))
    number = 1
    while True:
        folder = nights / (name if number == 1 else f"{name}-{number}")
        try:
            files.disk.mkdir(folder)
            return folder
        except FileExistsError:
            number += 1


def nights_without_summary(outputs_root: Path) -> list[Path]:
    """The folders of nights that are at work, or were killed, in the order in which they began."""
    records = sorted((outputs_root / "bulk").glob(f"*_*/{_RECORD}"))
    return [path.parent for path in records if not (path.parent / SUMMARY_JSON).exists()]


# --- what came of it -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How one sequence fared."""

    sequence: str
    state: State
    reason: str = ""
    seconds: float = 0.0
    """What this run computed for it; 0 if it was found finished."""
    owed: int = 0
    """Frames that people still owe scribbles."""
    doubt: Doubt | None = None
    """Of its masks; None if it has none."""
    report: str = ""
    """The report's page, below the folder of results; empty if there is none."""
    drawn_s: float = 0.0
    """How long people drew on it, in seconds; 0 if its scribbles do not say."""


@dataclass(frozen=True)
class Summary:
    """How a night went."""

    outcomes: Sequence[Outcome]
    started: float
    """Seconds since the epoch."""
    ended: float
    """Of a night that was killed, its last sign of life."""
    killed: bool = False

    @property
    def seconds(self) -> float:
        """From its beginning to its end."""
        return round(self.ended - self.started, 1)

    @property
    def computed_seconds(self) -> float:
        """What the stages that it made took, one after the other."""
        return round(sum(outcome.seconds for outcome in self.outcomes), 1)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many sequences are in which state."""
        others = [outcome.state for outcome in self.outcomes if outcome.state not in _COUNTED]
        states = dict.fromkeys([*_COUNTED, *others])
        return {str(state): sum(outcome.state == state for outcome in self.outcomes) for state in states}

    @property
    def owed(self) -> int:
        """Frames that people still owe scribbles."""
        return sum(outcome.owed for outcome in self.outcomes)

    @property
    def drawn_minutes(self) -> float | None:
        """Minutes of a person per finished video: the mean over those whose scribbles say how long people drew."""
        known = [each.drawn_s for each in self.outcomes if each.drawn_s and each.state == State.DONE]
        return minutes(fmean(known)) if known else None

    @property
    def doubt(self) -> float | None:
        """Mean over the sequences that have masks."""
        known = [outcome.doubt.mean for outcome in self.outcomes if outcome.doubt]
        return round(fmean(known), 6) if known else None

    def write(self, folder: Path) -> Path:
        """Write `summary.txt`, which is returned, and `summary.json`, which says that the night is over."""
        files.replace(folder / SUMMARY_TXT, self._text().encode(errors="backslashreplace"))
        facts = {"started": self.started, "ended": self.ended, "killed": self.killed, "doubt": self.doubt}
        facts["drawn_minutes"] = self.drawn_minutes
        sums = {"seconds": self.seconds, "computed_seconds": self.computed_seconds, "scribbles_owed": self.owed}
        rows = [asdict(outcome) for outcome in self.outcomes]
        files.write_json(
            folder / SUMMARY_JSON, {"schema": SUMMARY_SCHEMA, **facts, **sums, **self.counts, "sequences": rows}
        )
        return folder / SUMMARY_TXT

    def _text(self) -> str:
        lines = [f"{counted(self.outcomes, len(self.outcomes))} in {how_long(self.seconds)}"]
        lines += ["the night was killed; the same command goes on from here"] * self.killed
        lines += [f"stages computed for {how_long(self.computed_seconds)}"]
        lines += [f"people owe scribbles on {self.owed} frames"] * bool(self.owed)
        lines += [] if self.doubt is None else [f"mean doubt {self.doubt:.2f}"]
        lines += [] if self.drawn_minutes is None else [f"{self.drawn_minutes} minutes of a person per finished video"]
        return "\n".join([*lines, "", table(self.outcomes), ""])


def point_latest_at(folder: Path) -> None:
    """Let `latest`, beside the nights, lead to this one, unless it leads to one that ended later.

    Where a disk knows no links, `latest.txt` says the name.
    """
    link = folder.parent / LATEST
    with suppress(StageError):
        if link.exists() and read_summary(link)["ended"] > read_summary(folder)["ended"]:
            return
    try:
        files.point(link, folder.name)
    except OSError:
        files.replace(folder.parent / f"{LATEST}.txt", f"{folder.name}\n")


def read_summary(folder: Path) -> Json:
    """What came of a night.

    Raises:
        StageError: there is no summary, it is damaged, or of a newer version of LIS.
    """
    path = folder / SUMMARY_JSON
    try:
        summary: Json = read_json(path)
        check_schema(path, summary.get("schema", 1), SUMMARY_SCHEMA)
        summary.setdefault("ended", path.stat().st_mtime)
        return summary
    except (OSError, ValueError, AttributeError) as error:
        raise StageError(f"{path}: cannot be read ({error!r})") from None


def summary_of_command(outputs_root: Path, pid: int, host: str, started: float) -> Json:
    """What the night came to that a command began after this time, with its folder; empty if there is none."""
    for folder in _nights_of(outputs_root, pid, host):
        with suppress(StageError):
            summary = read_summary(folder)
            if summary["ended"] >= started:
                return {"summary": str(folder), **summary}
    return {}


def _nights_of(outputs_root: Path, pid: int, host: str) -> Iterator[Path]:
    for path in sorted((outputs_root / "bulk").glob(f"*_*/{_RECORD}"), reverse=True):
        with suppress(StageError):
            record = NightRecord.read(path.parent)
            if (record.pid, record.host) == (pid, host):
                yield path.parent


def counted(outcomes: Sequence[Outcome], total: int) -> str:
    """How many sequences are in which state, in one line."""
    counts = Summary(outcomes, 0, 0).counts
    parts = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    return f"{len(outcomes)} of {total} sequences: {parts}"


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a sequence."""
    width = max((len(outcome.sequence) for outcome in outcomes), default=0)
    of_state = max(11, *(len(outcome.state) for outcome in outcomes), 0)
    return "\n".join(
        f"{one.sequence:<{width}}  {one.state:<{of_state}} {one.seconds:8.1f} s  {_in_short(one)}".rstrip()
        for one in outcomes
    )


def _in_short(outcome: Outcome) -> str:
    reason, doubt = outcome.reason.partition("\n")[0], outcome.doubt
    return reason if doubt is None else f"doubt {doubt.mean:.2f}, worst {doubt.worst:.2f}  {reason}"
