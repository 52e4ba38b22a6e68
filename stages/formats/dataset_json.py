"""`outputs/<seq>/dataset.json`: whose results a folder holds, since datasets may share a sequence's name."""

import hashlib
from pathlib import Path
from typing import Final

from stages.core.errors import StageError
from stages.formats.files import write_json
from stages.formats.json_files import read_json
from stages.formats.names import normal
from stages.formats.schema import NewerVersionError, check_schema

DATASET_JSON: Final = "dataset.json"
SCHEMA: Final = 1


def write_owner(root: Path, dataset: str) -> None:
    """Note that the sequence's folder of results belongs to this dataset."""
    if read_owner(root) != dataset:
        write_json(root / DATASET_JSON, {"schema": SCHEMA, "dataset": dataset, "sha256": _digest(dataset)})


def read_owner(root: Path) -> str | None:
    """The dataset that a folder of results belongs to; None if it does not say, or cannot be read.

    Raises:
        NewerVersionError: a newer version of LIS has written it.
    """
    path = root / DATASET_JSON
    try:
        fields = read_json(path)
        check_schema(path, fields["schema"], SCHEMA)
        if fields.get("sha256", _digest(fields["dataset"])) != _digest(fields["dataset"]):
            return None  # it rotted; the first records had no digest
        return normal(fields["dataset"]) or None
    except NewerVersionError:
        raise
    except (StageError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(dataset: str) -> str:
    return hashlib.sha256(dataset.encode()).hexdigest()
