"""A stage's folder: published by one rename, described by its `manifest.json`.

    {"schema": 1, "stage": "tracks", "key": {...}, "content": "<sha256>", "weights": {...}, "objects": [1, 2],
     "files": {"count": 3, "bytes": 81234, "sha256": {"mask.png": "...", ...}}, "run": {...}}

`key` says what the result was made from, `content` what came out (a digest of `files` and `objects`), `run` how the run
went; only `run` differs between two runs on the same input.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stages.core.errors import StageError
from stages.formats import files
from stages.formats.schema import NewerVersionError, check_schema

SCHEMA = 1
MANIFEST = "manifest.json"
Json = dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """What a published folder says about itself."""

    stage: str
    key: Json
    content: str
    weights: Json
    objects: list[int]
    files: Json
    run: Json


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a complete folder, or None: nothing published, unreadable, or files missing.

    Raises:
        NewerVersionError: a newer version of LIS has published the folder.
    """
    path = folder / MANIFEST
    try:
        stat = path.stat()
        manifest = _parse(str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return manifest if _present(folder, manifest.files["sha256"]) else None
    except NewerVersionError:
        raise
    except (StageError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@lru_cache(maxsize=4096)
def _parse(path: str, _mtime_ns: int, _size: int, _inode: int) -> Manifest:
    fields = json.loads(Path(path).read_text(encoding="utf-8"))
    check_schema(Path(path), fields.pop("schema"), SCHEMA)
    return Manifest(**fields)


def _present(folder: Path, names: Mapping[str, str]) -> bool:
    """Whether every listed file is still there: one directory listing per folder, no stat per file."""
    listed: dict[str, set[str]] = {}
    for name in names:
        parent, _, leaf = name.rpartition("/")
        if parent not in listed:
            try:
                listed[parent] = set(os.listdir(folder / parent))  # noqa: PTH208 - names only, and often
            except OSError:
                return False
        if leaf not in listed[parent]:
            return False
    return True


def publish(
    temporary: Path, folder: Path, *, stage: str, key: Json, weights: Json, objects: list[int], run: Json
) -> None:
    """Describe the files under `temporary`, make them durable, and put them in the place of `folder`.

    Raises:
        StageError: the stage wrote no file.
        OSError: the disk refused; nothing was published.
    """
    paths = sorted(path for path in temporary.rglob("*") if path.is_file())
    if not paths:
        raise StageError(f"{stage} wrote no file into {folder}: nothing to publish. This is a fault of the program.")
    digests = {path.relative_to(temporary).as_posix(): files.sha256(path) for path in paths}
    listed = {"count": len(paths), "bytes": sum(path.stat().st_size for path in paths), "sha256": digests}
    content = hashlib.sha256(json.dumps([digests, objects], sort_keys=True).encode()).hexdigest()
    files.write(
        temporary / MANIFEST,
        files.json_text(
            {
                "schema": SCHEMA,
                "stage": stage,
                "key": key,
                "content": content,
                "weights": weights,
                "objects": objects,
                "files": listed,
                "run": run,
            }
        ),
    )
    files.put_in_place(temporary, folder)
