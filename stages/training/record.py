"""What a training leaves while it lasts: a checkpoint to go on from, tables of its figures, lines for people."""

import csv
import io
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stages.core.errors import StageError
from stages.formats import files

Tell = Callable[[str], None]
"""Is told a line for people."""

CHECKPOINT = "checkpoint.pt"
_TELL_EVERY_S, _TELL_EVERY_SHARE = 30.0, 0.05


class Checkpoint:
    """What a training has to remember, and its file."""

    def __init__(self, folder: Path, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self._path = folder / CHECKPOINT
        self._parts: dict[str, Any] = {"network": network, "averaged": averaged, "optimiser": optimiser}
        self.seconds = 0.0

    def restore(self) -> int:
        """Load the file, if there is one; returns the number of steps done."""
        if not self._path.exists():
            return 0
        try:
            content = torch.load(self._path, map_location="cpu", weights_only=True)
            for name, part in self._parts.items():
                part.load_state_dict(content[name])
            self.seconds = content["seconds"]
            return int(content["step"])
        except Exception as error:  # whatever a damaged file makes the reader raise
            raise StageError(
                f"{self._path} cannot be read ({type(error).__name__}), expected the checkpoint of this training; "
                f"delete the folder {self._path.parent} to begin anew"
            ) from error

    def save(self, step: int, seconds: float) -> None:
        """Replace the file in one move; what killed trainings left beside it goes."""
        files.sweep_beside(self._path)
        content = {name: part.state_dict() for name, part in self._parts.items()}
        packed = io.BytesIO()
        torch.save({**content, "step": step, "seconds": seconds}, packed)
        files.replace(self._path, packed.getbuffer())


class Table:
    """A CSV file that grows; rows beyond the step at which a training resumes are dropped."""

    def __init__(self, path: Path, first: int) -> None:
        self._path = path
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
        files.delete(path)
        for row in rows:
            if int(row["step"]) <= first:
                self.add(**row)

    def add(self, **row: Any) -> None:
        """Write a row."""
        lines = io.StringIO(newline="")
        writer = csv.DictWriter(lines, list(row), lineterminator="\n")
        if not self._path.exists():
            writer.writeheader()
        writer.writerow({k: f"{v:.5f}" if isinstance(v, float) else v for k, v in row.items()})
        files.append_line(self._path, lines.getvalue().removesuffix("\n"))


class Lines:
    """What is told while it lasts: first after half a minute, then every half minute or 5 %, whichever is rarer."""

    def __init__(self, tell: Tell, first: int, steps: int) -> None:
        self._tell, self._first, self._steps = tell, first, steps
        self._started = self._told = time.monotonic()
        self._next = first
        self._loss: float | None = None

    def step(self, done: int, loss: float) -> None:
        """A step is done."""
        self._loss = loss if self._loss is None else 0.9 * self._loss + 0.1 * loss
        now = time.monotonic()
        if now - self._told < _TELL_EVERY_S or done < self._next or done == self._steps:
            return
        self._told, self._next = now, done + math.ceil(_TELL_EVERY_SHARE * self._steps)
        left_s = (now - self._started) / (done - self._first) * (self._steps - done)
        self._tell(f"step {done} of {self._steps}, loss {self._loss:.3f}, {duration(left_s)} left")


def in_words(figures: Mapping[str, float]) -> str:
    """`iou 0.7464, iou_3_clicks 0.8334`."""
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items()) or "no figures"


def duration(seconds: float) -> str:
    """In words: `50 s`, `12 min`, `3 h 5 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
