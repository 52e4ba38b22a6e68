"""A stage's folder: published by one rename, described by its `manifest.json`.

    {"schema": 1, "stage": "tracks", "key": {...}, "content": "<sha256>", "weights": {...}, "objects": [1, 2],
     "files": {"count": 3, "bytes": 81234, "sha256": {"mask.png": "...", ...}}, "run": {...}}

`key` says what the result was made from, `content` what came out (a digest of `files` and `objects`), `run` how the run
went; only `run` differs between two runs on the same input.
"""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from stages.core.errors import StageError
from stages.formats.schema import NewerVersionError, check_schema

SCHEMA = 1
MANIFEST = "manifest.json"
_TEMPORARY = ".tmp-"
_DISCARDED = ".old-"
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


@contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """Give a temporary sibling of `folder` to write into; it disappears if the block fails.

    The block ends with `publish`, so that a kill at any moment leaves the old folder, no folder, or the new one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
    digests = {path.relative_to(temporary).as_posix(): sha256(path) for path in paths}
    files = {"count": len(paths), "bytes": sum(path.stat().st_size for path in paths), "sha256": digests}
    content = hashlib.sha256(json.dumps([digests, objects], sort_keys=True).encode()).hexdigest()
    write_json(
        temporary / MANIFEST,
        {
            "schema": SCHEMA,
            "stage": stage,
            "key": key,
            "content": content,
            "weights": weights,
            "objects": objects,
            "files": files,
            "run": run,
        },
    )
    for path in [*paths, *(path for path in temporary.rglob("*") if path.is_dir()), temporary]:
        _fsync(path)
    # The old folder goes first: a kill in between costs one recomputation, and leaves no litter behind a success.
    remove(folder)
    while not _renamed(temporary, folder):
        remove(folder)  # a worker that was taken for dead has just published the same
    _fsync(folder.parent)


def beside(path: Path, prefix: str = _TEMPORARY) -> Path:
    """A name in the same folder that no other process uses, not on another host either, and that `sweep` knows."""
    return path.parent / f"{prefix}{path.name}-{platform.node()}-{os.getpid()}"


def remove(folder: Path) -> None:
    """Delete a folder so that no half-deleted one is ever seen under its name."""
    discarded = beside(folder, _DISCARDED)
    try:
        folder.rename(discarded)
    except FileNotFoundError:
        return  # nothing there, or another process was faster
    shutil.rmtree(discarded)


def sweep(folder: Path) -> None:
    """Delete what killed runs left under a sequence's folder; call it with the sequence's lock held."""
    for level in ("*", "*/*"):
        for path in folder.glob(level):
            if path.name.startswith((_TEMPORARY, _DISCARDED)):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def sweep_beside(path: Path) -> None:
    """Delete what killed runs left beside a file or folder, on this host: of others we cannot know who lives."""
    name = re.escape(f"{path.name}-{platform.node()}")
    for leftover in path.parent.glob(".*"):
        found = re.fullmatch(rf"(?:{re.escape(_TEMPORARY)}|{re.escape(_DISCARDED)}){name}-(\d+)", leftover.name)
        if found and not psutil.pid_exists(int(found[1])):
            shutil.rmtree(leftover, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, by one rename, so that readers see the old text or the new."""
    temporary = beside(path)
    try:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _renamed(source: Path, target: Path) -> bool:
    """Rename a folder, unless there is another one under the new name."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
