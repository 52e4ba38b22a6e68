"""The folders `truth/` and `evaluation/`: `truth.json`, `evaluation.json` and `evaluation.csv`."""

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from stages.core.errors import StageError
from stages.formats import files
from stages.formats.files import write_json
from stages.formats.json_files import read_json
from stages.formats.manifest import Json
from stages.formats.tables import table_text

EVALUATION_JSON: Final = "evaluation.json"
EVALUATION_CSV: Final = "evaluation.csv"
TRUTH_JSON: Final = "truth.json"


@dataclass(frozen=True)
class ScoredFrame:
    """One object on one frame: a row of `evaluation.csv`."""

    frame: int
    name: str
    object_id: int
    jaccard: float
    contour: float
    agreement: float
    """IoU of the forward and the backward mask; NaN where only one exists."""
    doubt: float
    """The estimated error, in [0, 1]; NaN where nothing was said of the object."""


@dataclass(frozen=True)
class Evaluation:
    """What a sequence's evaluation says."""

    summary: Json
    """`evaluation.json`: J and F under each protocol, and, as `estimate`, how well doubt and agreement foresaw them."""
    rows: Sequence[ScoredFrame]
    """`evaluation.csv`, every digit of its numbers."""

    def write(self, folder: Path) -> None:
        """Write both files."""
        write_json(folder / EVALUATION_JSON, self.summary)
        head = [field.name for field in fields(ScoredFrame)]
        rows = (["" if _undefined(value) else value for value in asdict(row).values()] for row in self.rows)
        files.write(folder / EVALUATION_CSV, table_text(head, rows))

    @classmethod
    def read(cls, folder: Path) -> "Evaluation":
        """Read both files.

        Raises:
            StageError: one of them is missing, or is not what `write` wrote.
        """
        kinds: dict[str, Any] = {field.name: field.type for field in fields(ScoredFrame)}
        try:
            with (folder / EVALUATION_CSV).open(encoding="utf-8", newline="") as file:
                rows = [
                    ScoredFrame(**{name: kind(record[name] or math.nan) for name, kind in kinds.items()})
                    for record in csv.DictReader(file)
                ]
            summary = read_json(folder / EVALUATION_JSON)
        except (OSError, KeyError, ValueError) as error:
            raise StageError(f"{folder}: no table of scores ({error!r}); delete the folder and run again") from None
        return cls(summary, rows)


def write_truth(folder: Path, object_ids: Sequence[int], made_from: Json) -> None:
    """Write `truth.json`: the objects of the ground truth, and the digests of its masks."""
    write_json(folder / TRUTH_JSON, {"objects": list(object_ids), **made_from})


def _undefined(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
