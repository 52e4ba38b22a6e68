"""What is known of a sequence at a glance: for `lis status`, and for the summary of a night."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from stages.core.errors import LisError
from stages.core.states import State
from stages.formats import results
from stages.formats.frames_csv import read_frames_csv
from stages.formats.glance import Doubt, Glance
from stages.formats.manifest import Manifest, read_manifest
from stages.steps import doubt_model
from tasks.refine import RefineSequence
from tasks.status import Standing, seconds_since, standing, standing_of_last_run


@dataclass(frozen=True)
class Overview:
    """A sequence in one line."""

    standing: Standing
    doubt: Doubt | None = None
    """Of its masks; None if it has none."""
    seconds: float = 0.0
    """What all stages that lie there took."""
    size_bytes: int = 0
    """What its folder takes on the disk."""
    changed: float | None = None
    """When a file of it changed last, in seconds since the epoch; None if it has none."""
    warning: str = ""
    """What is wrong with the names of its objects; masks are made all the same."""


def overview(task: RefineSequence, *, as_asked: bool = False) -> Overview:
    """Look at a sequence, without decoding a picture and without waiting for anybody.

    Args:
        task: its masks.
        as_asked: whether the task's options were asked for; else those of the last run count where they differ.
    """
    found = standing(task) if as_asked else standing_of_last_run(task)
    try:
        root = task.root
    except LisError:
        return Overview(found)
    glance = glance_at(root, found.state)
    size_bytes, changed = usage(root)
    warning = _what_is_wrong_with_names(task)
    return Overview(found, glance.doubt if glance else None, seconds_since(root, 0), size_bytes, changed, warning)


def _what_is_wrong_with_names(task: RefineSequence) -> str:
    with suppress(LisError, OSError):
        return task.snapshot.names[1]
    return ""


def glance_at(root: Path, state: State) -> Glance | None:
    """What overviews show of the masks of a sequence, which are provisional or not; None if it has none."""
    with suppress(LisError, OSError, KeyError, ValueError):
        for folder, manifest in _results(root, state):
            return Glance.read(root, _what_is_told(manifest)) or _first_glance(root, folder, manifest)
    return None


def with_thumbnail(glance: Glance, frames: Path, root: Path, state: State) -> Glance:
    """The same with a picture of the middle frame, which is decoded if nobody has done so before.

    Args:
        glance: what `glance_at` found.
        frames: the folder of the sequence's pictures.
        root: the sequence's folder of results.
        state: how far the sequence is.
    """
    if glance.thumbnail:
        return glance
    with suppress(LisError, OSError, KeyError, IndexError):
        for folder, manifest in _results(root, state):
            from stages.formats.frames import read_frame
            from stages.formats.masks import read_mask
            from stages.steps.night_page import thumbnail

            names = manifest.key["names"]
            name = names[len(names) // 2]
            picture = thumbnail(read_frame(frames / name), read_mask(results.result_file(folder, name)))
            pictured = replace(glance, thumbnail=picture)
            pictured.write(root)
            return pictured
    return glance


def usage(root: Path) -> tuple[int, float | None]:
    """What a folder takes on the disk, in bytes, and when a file in it changed last; hidden ones are no change."""
    size_bytes, changed = 0, None
    for entry in _files(root):
        with suppress(OSError):
            stat = entry.stat(follow_symlinks=False)
            size_bytes += stat.st_blocks * 512
            if not entry.name.startswith("."):
                changed = max(changed or 0.0, stat.st_mtime)
    return size_bytes, changed


def _files(folder: Path | str) -> Iterator["os.DirEntry[str]"]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry


def _results(root: Path, state: State) -> Iterator[tuple[Path, Manifest]]:
    """The folders with masks for every frame, the one that counts first."""
    names = (results.PROVISIONAL, results.MASKS) if state == State.PROVISIONAL else (results.MASKS, results.PROVISIONAL)
    for name in names:
        if manifest := read_manifest(root / name):
            yield root / name, manifest


def _first_glance(root: Path, folder: Path, manifest: Manifest) -> Glance:
    from stages.steps.assess import judge, overall

    names = manifest.key["names"]
    judged = judge(read_frames_csv(folder), results.anchors_of_result(manifest), names)
    glance = Glance(_what_is_told(manifest), overall(judged, len(names)))
    glance.write(root)
    return glance


def _what_is_told(manifest: Manifest) -> str:
    """The result, and the formulas that its doubt is by."""
    return f"{manifest.content} {doubt_model.digest()}"
