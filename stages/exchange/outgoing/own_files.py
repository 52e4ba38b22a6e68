"""Files that an export has beside those of its format, and what they tell whoever reads it back."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from stages.formats.json_files import read_json

EXPORT_JSON: Final = "export.json"
SHEET: Final = "sheet.png"


def format_of_export(folder: Path) -> str:
    """The format of the export that a folder is, as it says itself; empty if it is none."""
    with suppress(OSError, ValueError):
        said = read_json(folder / EXPORT_JSON)
        if isinstance(said, dict):
            return str(said.get("format", ""))
    return ""
