"""`outputs/<seq>/`: what the folders of the stages are called, and the result itself, `masks/<stem>.png`."""

from pathlib import Path
from typing import Final

from stages.core.plan import Plan, segment_name
from stages.formats.manifest import remove

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


def sweep_unplanned(root: Path, plan: Plan) -> None:
    """Delete the folders of anchors and stretches that the plan no longer has."""
    anchors = {of_frame("", index).name for index in plan.anchors}
    stretches = {segment.name for segment in plan.segments}
    planned = {ANCHOR_MASKS: anchors, TRACKS: stretches, REFINED: anchors | stretches}
    for stage, names in planned.items():
        for folder in sorted((root / stage).glob("[0-9]*")):
            if folder.name not in names:
                remove(folder)
