"""`quality.csv` and `next_scribbles.json`: the doubt in every mask, and where the next scribbles help most."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from stages.core.errors import StageError
from stages.formats import files
from stages.formats.frames_csv import FrameQuality
from stages.formats.json_files import read_json
from stages.formats.paintings import paint_on
from stages.formats.tables import read_table, write_table

QUALITY_CSV: Final = "quality.csv"
NEXT_SCRIBBLES: Final = "next_scribbles.json"


@dataclass(frozen=True)
class JudgedFrame(FrameQuality):
    """The same with its doubt: a row of `quality.csv`."""

    name: str
    """The source's file name."""
    distance: int
    """Frames to the nearest anchor that the mask was carried from; 0 on an anchor."""
    area_jump: float
    """Relative change of area to a neighbouring frame, in [0, 1]."""
    doubt: float
    """In [0, 1]."""
    why: str
    """The strongest sign in words; empty where nothing is wrong."""


class Suggestion(NamedTuple):
    """A frame to scribble on next."""

    frame: int
    gain: float
    """Expected rise of mean J over the whole video, if the suggestions before it are followed too."""
    left: int | None
    """The anchor before it, if any."""
    right: int | None
    object_ids: tuple[int, ...]
    """The objects that it helps, the one that gains most first."""


def write_suggestions(
    folder: Path, sequence: str, suggestions: Sequence[Suggestion], judged: Sequence[JudgedFrame], names: Sequence[str]
) -> None:
    """Write `next_scribbles.json`: the suggested frames, best first, with reasons."""
    worst = worst_by_frame(judged)
    entries = [
        {
            "rank": rank,
            "frame": frame,
            "name": names[frame],
            "expected_gain": gain,
            "doubt": round(worst[frame].doubt, 6) if frame in worst else 0.0,
            "why": worst[frame].why if frame in worst else "",
            "objects": list(object_ids),
            "between_anchors": [left, right],
            "paint_on": paint_on(frame),
        }
        for rank, (frame, gain, left, right, object_ids) in enumerate(suggestions, 1)
    ]
    text = json.dumps({"sequence": sequence, "suggestions": entries}, indent=1, ensure_ascii=False)
    files.write(folder / NEXT_SCRIBBLES, text + "\n")


def read_suggested(folder: Path) -> tuple[int, ...]:
    """The frames that `write_suggestions` wrote, best first.

    Raises:
        StageError: the file is missing, or is no such list.
    """
    path = folder / NEXT_SCRIBBLES
    try:
        return tuple(int(each["frame"]) for each in read_json(path)["suggestions"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f"{path}: cannot be read ({error!r}); delete the report to have it made again") from None


def worst_by_frame(judged: Iterable[JudgedFrame]) -> dict[int, JudgedFrame]:
    """The most doubtful object of each frame: frame index -> its row."""
    worst: dict[int, JudgedFrame] = {}
    for row in judged:
        if row.frame not in worst or row.doubt > worst[row.frame].doubt:
            worst[row.frame] = row
    return worst


def write_quality_csv(folder: Path, rows: Iterable[JudgedFrame]) -> None:
    """Write `quality.csv`, in the format of `frames.csv` with more columns."""
    write_table(folder / QUALITY_CSV, JudgedFrame, rows)


def read_quality_csv(folder: Path) -> list[JudgedFrame]:
    """Read what `write_quality_csv` wrote.

    Raises:
        StageError: the file is missing, or is no such table.
    """
    return read_table(folder / QUALITY_CSV, JudgedFrame)
