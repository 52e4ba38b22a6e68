"""`outputs/<seq>/.glance.json`: what overviews show of a result, kept so that the next look at it is fast.

    {"schema": 1, "of": "<content of the result> <digest of the formulas of doubt>",
     "doubt": {"mean": 0.08, "worst": 0.61, "frame": 57}, "thumbnail": "<JPEG, base64>"}

Made from the result alone, and no part of it: it can be deleted at any time.
"""

import base64
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from stages.core.errors import StageError
from stages.formats.files import write_json
from stages.formats.json_files import read_json
from stages.formats.schema import check_schema

GLANCE: Final = ".glance.json"
SCHEMA: Final = 1


@dataclass(frozen=True)
class Doubt:
    """How far a sequence's masks can be trusted; of each frame, its most doubtful object counts."""

    mean: float
    """Over all frames, in [0, 1]."""
    worst: float
    """Of the most doubtful frame, in [0, 1]."""
    frame: int
    """Which one that is."""


@dataclass(frozen=True)
class Glance:
    """What overviews show of a result."""

    of: str
    """What it was made from: it holds as long as that is the same."""
    doubt: Doubt
    thumbnail: bytes = b""
    """A JPEG of the video's middle frame with its masks; empty if nobody wanted to see it yet."""

    def write(self, root: Path) -> None:
        """Keep it in a sequence's folder; a disk that refuses costs time at the next look, no more."""
        fields = {**asdict(self), "schema": SCHEMA, "thumbnail": base64.b64encode(self.thumbnail).decode()}
        with suppress(OSError):
            write_json(root / GLANCE, fields)

    @classmethod
    def read(cls, root: Path, of: str) -> "Glance | None":
        """What was kept, if it was made from this; None if nothing, or nothing that can be used."""
        path = root / GLANCE
        try:
            fields = read_json(path)
            check_schema(path, fields["schema"], SCHEMA)
            doubt = fields["doubt"]
            found = cls(
                str(fields["of"]),
                Doubt(float(doubt["mean"]), float(doubt["worst"]), int(doubt["frame"])),
                base64.b64decode(fields["thumbnail"], validate=True),
            )
        except (StageError, OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return found if found.of == of else None
