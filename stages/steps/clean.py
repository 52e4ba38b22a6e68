"""What can be deleted without losing anything that a finished sequence is: files that can be made again when needed.

Never: results, pictures, scribbles, what people painted, or anything that LIS has not written.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stages.core.errors import StageError
from stages.formats import results
from stages.formats.anchor_masks import PROBABILITIES
from stages.formats.digests import DigestCache
from stages.formats.files import delete, delete_tree, is_litter, remove
from stages.formats.manifest import MANIFEST, Json, load_manifest, read_manifest, record_cleaned
from stages.formats.tracks import TRACKS

SOFT_MASKS = (PROBABILITIES, TRACKS, results.DISAGREEMENT)


class Why(StrEnum):
    """Why something can go."""

    SOFT_MASKS = "soft masks of a finished sequence"
    EXPORTED = "parts of exports that are made, or of other masks than there are now"
    SUPERSEDED = "anchors and stretches that the result does not rest on"
    DIGESTS = "digests of files that are gone"
    LITTER = "leftovers of killed runs"


@dataclass(frozen=True)
class Removable:
    """Something that can go."""

    why: Why
    path: Path
    bytes: int


def removable(root: Path, *, finished: bool, exported: Collection[str] = ()) -> Iterator[Removable]:
    """What can be deleted in a sequence's folder of results.

    Args:
        root: the folder.
        finished: whether its result is complete; soft masks of others are still needed.
        exported: the keys, see `key_text`, of the parts that finished exports were made of.
    """
    if finished:
        rests_on = results.parts_of_result(root)
        for stage in (results.ANCHOR_MASKS, results.TRACKS, results.REFINED):
            for folder in sorted((root / stage).glob("[0-9]*")):
                if folder.name in rests_on:
                    yield from _soft_masks(folder)
                elif (folder / MANIFEST).exists():
                    yield Removable(Why.SUPERSEDED, folder, _size(folder))
    yield from _parts_of_exports(root, exported)
    for path in sorted(path for level in ("*", "*/*") for path in root.glob(level) if is_litter(path)):
        yield Removable(Why.LITTER, path, _size(path))
    if gone := DigestCache(root / results.DIGESTS).bytes_of_gone():
        yield Removable(Why.DIGESTS, root / results.DIGESTS, gone)


def delete_removable(one: Removable) -> None:
    """Delete it; a manifest says of a soft mask that it was there, and with which content.

    Raises:
        OSError: the disk refuses.
    """
    if one.why is Why.SOFT_MASKS:
        record_cleaned(one.path.parent, [one.path.name])
        delete(one.path)
    elif one.why in (Why.SUPERSEDED, Why.EXPORTED):
        remove(one.path)
    elif one.why is Why.DIGESTS:
        DigestCache(one.path).forget_gone()
    elif one.path.is_dir() and not one.path.is_symlink():
        delete_tree(one.path)
    else:
        delete(one.path)


def key_text(key: Json) -> str:
    """A key, as it is compared."""
    return json.dumps(key, sort_keys=True)


def _parts_of_exports(root: Path, exported: Collection[str]) -> Iterator[Removable]:
    present = {
        manifest.content for name in (results.MASKS, results.PROVISIONAL) if (manifest := read_manifest(root / name))
    }
    for folder in sorted((root / results.EXPORT_PARTS).glob("[!.]*")):
        part = read_manifest(folder)
        if part and (key_text(part.key) in exported or part.key["masks"] not in present):
            yield Removable(Why.EXPORTED, folder, _size(folder))


def _soft_masks(folder: Path) -> Iterator[Removable]:
    try:
        listed = load_manifest(folder).digests
    except (StageError, OSError):
        return
    for path in (folder / name for name in SOFT_MASKS if name in listed):
        if path.is_file():
            yield Removable(Why.SOFT_MASKS, path, path.stat().st_size)


def _size(path: Path) -> int:
    paths = path.rglob("*") if path.is_dir() else [path]
    return sum(each.lstat().st_size for each in paths if each.is_symlink() or each.is_file())
