"""`outputs/<seq>/`: what the folders of the stages are called, and the result itself, `masks/<stem>.png`.

`provisional/` holds the same files as `masks/`, made from the anchors that are annotated while others still wait.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from stages.core.plan import Plan, segment_name
from stages.formats.files import remove
from stages.formats.manifest import MANIFEST, Manifest, digests_of, read_manifest
from stages.formats.schema import NewerVersionError

FRAMES: Final = "frames"
ANCHORS: Final = "anchors"
ANCHOR_MASKS: Final = "anchor_masks"
TRACKS: Final = "tracks"
REFINED: Final = "refined"
MASKS: Final = "masks"
PROVISIONAL: Final = "provisional"
REPORT: Final = "report"
TRUTH: Final = "truth"
EVALUATION: Final = "evaluation"
INTERACTIVE: Final = "interactive"
EXPORT: Final = "export"
EXPORT_PARTS: Final = "export_parts"
ANCHOR_MASK: Final = "mask.png"
"""A file in the folder of an anchor's masks; see `stages.formats.anchor_masks`."""
DISAGREEMENT: Final = "disagreement.h5"
"""A file in the folder of a stretch's tracks, on which masks do not depend; see `stages.formats.disagreement`."""
DIGESTS: Final = ".digests.json"
"""What is known of the digests of the sequence's pictures, beside the stages."""


def of_frame(stage: str, index: int) -> Path:
    """A stage's folder for one anchor frame: `anchor_masks/00012`."""
    return Path(stage) / f"{index:05d}"


def of_segment(stage: str, start: int, stop: int) -> Path:
    """A stage's folder for one stretch: `tracks/00012-00024`."""
    return Path(stage) / segment_name(start, stop)


def result_file(folder: Path, name: str) -> Path:
    """The mask of the frame whose picture has this name, in the folder of the result."""
    return folder / mask_name(name)


def mask_name(name: str) -> str:
    """The file name of the mask of the frame whose picture has this name."""
    return f"{os.path.splitext(name)[0]}.png"  # noqa: PTH122 - of thousands of names at once


def mask_digests(folder: Path, manifest: Manifest) -> dict[int, str]:
    """Frame -> the sha256 of its mask's file, in the folder of a result, as its manifest says; nothing is read.

    Raises:
        StageError: the list of the folder's files is damaged.
        OSError: it cannot be read.
    """
    digests = dict(digests_of(folder, manifest))
    names = map(mask_name, manifest.key["names"])
    return {index: digests[name] for index, name in enumerate(names) if name in digests}


def result_seen(root: Path, scribble_set: str, names: Sequence[str]) -> tuple[Path, Manifest] | None:
    """The folder and the manifest of the masks that people see, if they were made from this set and of these frames.

    While there are provisional ones, it is these: they are newer than a result that lies beside them.

    Args:
        root: the sequence's folder of results.
        scribble_set: the set's name.
        names: the file name of every frame.
    """
    for folder in (root / PROVISIONAL, root / MASKS):
        manifest = read_manifest(folder)
        if manifest is not None and manifest.key.get("names") == [*names] and set_of_result(manifest) == scribble_set:
            return folder, manifest
    return None


def set_of_result(manifest: Manifest) -> str | None:
    """The name of the scribble set that a result was made from; None of one that does not say."""
    name = manifest.run.get("options", {}).get("scribbles")
    return str(name) if name else None


def anchors_of_result(manifest: Manifest) -> list[int]:
    """The anchors that a result was made from, whichever version of LIS made it."""
    parts = manifest.key.get("parts") or manifest.key["anchor_frames"]
    return sorted(int(name) for part in parts if (name := Path(part).name).isdigit())


def published_since(root: Path, started: float) -> Iterator[Manifest]:
    """Everything that was published for a sequence since then (seconds since the epoch)."""
    for level in ("*", "*/*"):
        paths = sorted(root.glob(f"{level}/{MANIFEST}"))
        yield from _readable(path for path in paths if is_published_since(path.parent, started))


def is_published_since(folder: Path, started: float) -> bool:
    """Whether a folder was published since then (seconds since the epoch); not if it is not there."""
    try:
        return (folder / MANIFEST).stat().st_mtime >= started
    except OSError:
        return False


def published_before(outputs_root: Path, stage: str) -> Iterator[Manifest]:
    """What a stage has published for any sequence, where it has a folder for each anchor or stretch."""
    yield from _readable(sorted(outputs_root.glob(f"*/{stage}/*/{MANIFEST}")))


def _readable(paths: Iterable[Path]) -> Iterator[Manifest]:
    """Those manifests that can be read: one of a newer version of LIS hides no other from who looks at many."""
    for path in paths:
        with suppress(NewerVersionError):
            if manifest := read_manifest(path.parent):
                yield manifest


def frames_in(manifest: Manifest) -> int:
    """How many frames a folder of a stage covers."""
    return max(1, sum(name.startswith(f"{MASKS}/") for name in manifest.files["sha256"]))


def parts_of_plan(plan: Plan) -> set[str]:
    """The names of the folders that a plan's anchors and stretches have, whatever the stage."""
    return {*(of_frame("", index).name for index in plan.anchors), *(segment.name for segment in plan.segments)}


def parts_of_result(root: Path) -> set[str]:
    """The same of what the result in `masks/` was put together from; none if there is no result."""
    manifest = read_manifest(root / MASKS)
    if manifest is None:
        return set()
    # The first version named anchors by their frames, and stretches by another word.
    key = {"parts": (), "segments": (), "anchor_frames": (), **manifest.key}
    anchors = {of_frame("", int(index)).name for index in key["anchor_frames"]}
    return anchors | {Path(part).name for part in (*key["parts"], *key["segments"])}


def remove_provisional(root: Path) -> None:
    """Delete what was provisional: there is a result."""
    remove(root / PROVISIONAL)


def sweep_parts(root: Path, kept: Collection[str]) -> None:
    """Delete the folders of anchors and stretches but for those with these names."""
    for stage in (ANCHOR_MASKS, TRACKS, REFINED):
        for folder in sorted((root / stage).glob("[0-9]*")):
            if folder.name not in kept:
                remove(folder)
