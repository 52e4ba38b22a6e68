"""`frames.csv`: what is known of every object on every frame, in the folders `refined/<stretch>/` and `masks/`."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stages.core.states import Source
from stages.core.types import Look
from stages.formats.tables import read_table, write_table

FRAMES_CSV: Final = "frames.csv"


@dataclass(frozen=True)
class FrameQuality(Look):
    """One object on one frame, as refinement left it: a row. What was seen of its mask stands at its end."""

    frame: int
    """Index, from 0."""
    object_id: int
    score: float
    """The engine's, in [0, 1]."""
    agreement: float
    """IoU of the forward and the backward mask; NaN where only one direction exists."""
    source: Source
    """Where the mask comes from, or why there is none."""
    accepted: bool | None
    """Whether the refined mask was believed; None where there was nothing to refine."""
    reason: str
    """Why the object is absent or lost, or the refinement was rejected: in words, with figures; else empty."""
    area_px: int


def write_frames_csv(folder: Path, rows: Iterable[FrameQuality]) -> None:
    """Write the table into a folder."""
    write_table(folder / FRAMES_CSV, FrameQuality, rows)


def read_frames_csv(folder: Path) -> list[FrameQuality]:
    """Read the table of a folder.

    Raises:
        StageError: the file is missing, or is no such table.
    """
    # The first versions said of a lost mask what `source` says, too.
    return [
        replace(row, reason=row.reason.removeprefix("lost: ").removeprefix("absent"))
        for row in read_table(folder / FRAMES_CSV, FrameQuality)
    ]
