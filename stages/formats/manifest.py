"""A stage's folder: published by one rename, described by its `manifest.json`.

    {"schema": 2, "stage": "tracks", "key": {...}, "content": "<sha256>", "weights": {...}, "objects": [1, 2],
     "files": {"count": 3, "bytes": 81234, "sha256": {"mask.png": "...", ...}}, "run": {...}}

`key` says what the result was made from, `content` what came out (a digest of `files` and `objects`), `run` how the run
went; only `run` differs between two runs on the same input. `run` also holds `manifest_sha256`, a digest of everything
else in the manifest: one that rotted is as good as none. Version 1 had no such digest. `files.cleaned` names those of
the files that were deleted later, to make room. A folder of more files than `MOST_NAMED`, such as an export, lists them
in `files.sha256`, one a line, as `sha256sum` does; its manifest names this list alone.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from stages.core.errors import StageError
from stages.formats import files
from stages.formats.json_files import read_json
from stages.formats.schema import NewerVersionError, check_schema

SCHEMA = 2
MANIFEST = "manifest.json"
LIST: Final = "files.sha256"
MOST_NAMED: Final = 20_000
_AT_ONCE: Final = 4096
"""Lines of the list that are written in one call."""
_DIGEST = "manifest_sha256"
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

    def __post_init__(self) -> None:
        """Check the kinds of what was read."""
        kinds = (str, dict, str, dict, list, dict, dict)
        for field, kind in zip(fields(self), kinds, strict=True):
            if not isinstance(getattr(self, field.name), kind):
                raise StageError(f"found another thing than a {kind.__name__} as {field.name!r}")

    @property
    def digests(self) -> Mapping[str, str]:
        """The sha256 of every file that the stage wrote, by its name in the folder; of very many, see `digests_of`."""
        found: Mapping[str, str] = self.files["sha256"]
        return found

    def content_without(self, name: str) -> str:
        """What `content` is without a file: for those whose results do not depend on it."""
        return _content({other: digest for other, digest in self.digests.items() if other != name}, self.objects)

    @property
    def cleaned(self) -> frozenset[str]:
        """Those of them that were deleted since, to make room; what needs them has them made again."""
        return frozenset(self.files.get("cleaned", ()))


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a complete folder, or None: nothing published, unreadable, or files missing.

    Raises:
        NewerVersionError: a newer version of LIS has published the folder.
    """
    try:
        manifest = load_manifest(folder)
    except NewerVersionError:
        raise
    except (StageError, OSError):
        return None
    return manifest if _present(folder, manifest.digests.keys() - manifest.cleaned) else None


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a folder, whether its files are there or not.

    Raises:
        FileNotFoundError: nothing is published there.
        NewerVersionError: a newer version of LIS has published the folder.
        StageError: the manifest is damaged.
        OSError: it cannot be read.
    """
    path = folder / MANIFEST
    stat = path.stat()
    try:
        return _parse(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(
            f"{path}: found no manifest in it, or a damaged one ({error!r}); run the command again"
        ) from None


@lru_cache(maxsize=4096)
def _parse(path: Path, _mtime_ns: int, _size: int, _inode: int) -> Manifest:
    found = read_json(path)
    schema = check_schema(path, found["schema"], SCHEMA)
    noted = found["run"].pop(_DIGEST, None)
    if (schema > 1 or noted is not None) and noted != _digest(found):
        raise StageError(f"{path}: found a manifest that differs from what was written; run the command again")
    del found["schema"]
    manifest = Manifest(**found)
    if not all(isinstance(value, str) for value in manifest.digests.values()):
        raise StageError(f"{path}: found digests that are no text; run the command again")
    return manifest


def _digest(manifest: Json) -> str:
    """Of all that it says, whatever its line breaks."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def digests_of(folder: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Name and sha256 of every file that a folder's stage wrote, also of those that only `files.sha256` names.

    Raises:
        StageError: that list is damaged.
        OSError: it cannot be read.
    """
    yield from manifest.digests.items()
    if manifest.digests.keys() == {LIST}:
        with (folder / LIST).open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                digest, blanks, name = line.rstrip("\n").partition("  ")
                if not blanks:
                    raise StageError(f"{folder / LIST}: found {line[:40]!r}, expected a digest, two blanks and a name")
                yield name, digest


def check_files(folder: Path, manifest: Manifest) -> None:
    """See that a folder's files are those that were published: whoever builds on them reads them first.

    Raises:
        StageError: one is not, or is gone.
    """
    for name, written in manifest.digests.items():
        path = folder / name
        if name in manifest.cleaned and not path.exists():
            continue
        try:
            is_right = files.sha256(path) == written
        except OSError:
            is_right = False
        if not is_right:
            raise StageError(
                f"{path}: found another content than was published, or none; `lis verify --repair` removes what is "
                "damaged, and the next run makes it again"
            )


def _present(folder: Path, names: Iterable[str]) -> bool:
    """Whether every listed file is still there: one directory listing per folder, no stat per file."""
    listed: dict[str, set[str]] = {}
    for name in names:
        parent, _, leaf = name.rpartition("/")
        if parent not in listed:
            try:
                listed[parent] = set(os.listdir(f"{folder}/{parent}"))  # noqa: PTH208 - names only, and often
            except OSError:
                return False
        if leaf not in listed[parent]:
            return False
    return True


def publish(
    temporary: Path,
    folder: Path,
    *,
    stage: str,
    key: Json,
    weights: Json,
    objects: list[int],
    run: Json,
    known: Callable[[Path], str | None] = lambda path: None,
) -> None:
    """Describe the files under `temporary`, make them durable, and put them in the place of `folder`.

    `known` gives the digests of files that need not be read, by their paths below `temporary`.

    Raises:
        StageError: the stage wrote no file.
        OSError: the disk refused; nothing was published.
    """
    count = total_bytes = 0
    for name in files.files_below(temporary):
        count, total_bytes = count + 1, total_bytes + (temporary / name).lstat().st_size
    if not count:
        raise StageError(f"{stage} wrote no file into {folder}: nothing to publish. This is a fault of the program.")
    found = _digests(temporary, known)
    digests = dict(found) if count <= MOST_NAMED else {LIST: _write_list(temporary, found)}
    listed = {"count": count, "bytes": total_bytes, "sha256": digests}
    described = {
        "schema": SCHEMA,
        "stage": stage,
        "key": key,
        "content": _content(digests, objects),
        "weights": weights,
        "objects": objects,
        "files": listed,
        "run": run,
    }
    files.write(temporary / MANIFEST, _text(described))
    files.put_in_place(temporary, folder)


def _content(digests: Mapping[str, str], objects: list[int]) -> str:
    """What came out, in one digest."""
    return hashlib.sha256(json.dumps([digests, objects], sort_keys=True).encode()).hexdigest()


def _digests(folder: Path, known: Callable[[Path], str | None]) -> Iterator[tuple[str, str]]:
    for name in files.files_below(folder):
        if name != LIST:  # which grows meanwhile
            yield name, known(folder / name) or files.sha256(folder / name)


def _write_list(folder: Path, digests: Iterator[tuple[str, str]]) -> str:
    """Write `files.sha256`; returns its own digest."""
    with files.growing(folder / LIST) as file:
        while some := "".join(f"{digest}  {name}\n" for name, digest in islice(digests, _AT_ONCE)):
            file.write(some.encode())
    return files.sha256(folder / LIST)


def record_cleaned(folder: Path, names: Iterable[str]) -> None:
    """Note in a folder's manifest that some of its files are deleted now; their digests stay.

    Raises:
        StageError: the folder has no such manifest, or never had such files.
        OSError: the disk refuses.
    """
    manifest = load_manifest(folder)
    cleaned = sorted({*manifest.cleaned, *names})
    if unknown := set(cleaned) - manifest.digests.keys():
        raise StageError(
            f"{folder}: found no {', '.join(sorted(unknown))} in its manifest. This is a fault of the program."
        )
    listed = {**manifest.files, "cleaned": cleaned}
    files.replace(folder / MANIFEST, _text({"schema": SCHEMA, **vars(manifest), "files": listed}))


def _text(described: Json) -> str:
    return files.json_text({**described, "run": {**described["run"], _DIGEST: _digest(described)}})
