"""`outputs/<seq>/`: what the folders of the stages are called, and the result itself, `masks/<stem>.png`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stages.core.plan import Plan, segment_name
from stages.formats.files import remove
from stages.formats.manifest import MANIFEST, Manifest, read_manifest

FRAMES: Final = "frames"
ANCHORS: Final = "anchors"
ANCHOR_MASKS: Final = "anchor_masks"
TRACKS: Final = "tracks"
REFINED: Final = "refined"
MASKS: Final = "masks"
REPORT: Final = "report"
TRUTH: Final = "truth"
EVALUATION: Final = "evaluation"
INTERACTIVE: Final = "interactive"


def of_frame(stage: str, index: int) -> Path:
    """A stage's folder for one anchor frame: `anchor_masks/00012`."""
    return Path(stage) / f"{index:05d}"


def of_segment(stage: str, start: int, stop: int) -> Path:
    """A stage's folder for one stretch: `tracks/00012-00024`."""
    return Path(stage) / segment_name(start, stop)


def result_file(folder: Path, name: str) -> Path:
    """The mask of the frame whose picture has this name, in the folder of the result."""
    return folder / f"{Path(name).stem}.png"


def published_since(root: Path, started: float) -> Iterator[Manifest]:
    """Everything that was published for a sequence since then (seconds since the epoch)."""
    for level in ("*", "*/*"):
        for path in sorted(root.glob(f"{level}/{MANIFEST}")):
            if path.stat().st_mtime >= started and (manifest := read_manifest(path.parent)):
                yield manifest


def published_before(outputs_root: Path, stage: str) -> Iterator[Manifest]:
    """What a stage has published for any sequence, where it has a folder for each anchor or stretch."""
    for path in sorted(outputs_root.glob(f"*/{stage}/*/{MANIFEST}")):
        if manifest := read_manifest(path.parent):
            yield manifest


def frames_in(manifest: Manifest) -> int:
    """How many frames a folder of a stage covers."""
    return max(1, sum(name.startswith(f"{MASKS}/") for name in manifest.files["sha256"]))


def sweep_unplanned(root: Path, plan: Plan) -> None:
    """Delete the folders of anchors and stretches that the plan no longer has."""
    anchors = {of_frame("", index).name for index in plan.anchors}
    stretches = {segment.name for segment in plan.segments}
    planned = {ANCHOR_MASKS: anchors, TRACKS: stretches, REFINED: anchors | stretches}
    for stage, names in planned.items():
        for folder in sorted((root / stage).glob("[0-9]*")):
            if folder.name not in names:
                remove(folder)
