"""`frames/frames.json`: names, size and digests of a sequence's pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stages.core.errors import StageError
from stages.formats.files import write_json
from stages.formats.json_files import read_json
from stages.formats.schema import check_schema

FRAMES_JSON: Final = "frames.json"
SCHEMA: Final = 1


@dataclass(frozen=True)
class FramesJson:
    """What the file says."""

    size_wh: tuple[int, int]
    """Of every picture, in pixels."""
    digests: Sequence[tuple[str, str]]
    """The file name and the sha256 of every picture, in order."""

    def write(self, folder: Path) -> None:
        """Write the file."""
        write_json(folder / FRAMES_JSON, {"size_wh": self.size_wh, "frames": self.digests})

    @classmethod
    def read(cls, folder: Path) -> "FramesJson":
        """Read the file.

        Raises:
            StageError: it is missing, damaged, or of a newer version of LIS.
        """
        path = folder / FRAMES_JSON
        try:
            fields = read_json(path)
            check_schema(path, fields.get("schema", 1), SCHEMA)
            width, height = fields["size_wh"]
            return cls((int(width), int(height)), [(str(name), str(digest)) for name, digest in fields["frames"]])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StageError(f"{path}: cannot be read ({error!r}); delete the folder and run again") from None
