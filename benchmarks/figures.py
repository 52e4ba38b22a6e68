"""Figures 2 and 4 of the paper, from finished results.

    python -m benchmarks.figures --root DAVIS_ROOT --outputs OUTPUTS --sequences dog,libby,cows --out FOLDER

`figure2.jpg`: what refinement does; one column per sequence, the coarse mask above the refined one, on the frame that
is farthest from any anchor, close up. `figure4.jpg`: one row per sequence, frames spread over the video with their
masks. DAVIS_ROOT needs pictures only; OUTPUTS is the outputs root of a finished `RefineSequence` of each sequence.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stages.core.errors import InputError, LisError
from stages.core.types import Frame, LabelMap
from stages.formats.frames import Frames, list_frames
from stages.formats.masks import read_mask
from stages.steps.render import Tile, contact_sheet, overlay, window_around, write_jpeg

_TILE_WH = (480, 270)


@dataclass(frozen=True)
class Labelled:
    """A finished sequence."""

    name: str
    frames: Frames
    folder: Path
    anchors: tuple[int, ...]

    def mask(self, index: int) -> LabelMap:
        """The result."""
        return read_mask(self.folder / "masks" / f"{self.frames.paths[index].stem}.png")

    def coarse_mask(self, index: int) -> LabelMap:
        """Before refinement; of a frame between the anchors."""
        (found,) = (self.folder / "tracks").glob(f"*/masks/{index:05d}.png")
        return read_mask(found)

    @property
    def farthest(self) -> int:
        """The frame that is farthest from all anchors, and so the hardest; the earliest among equals."""
        return max(range(len(self.frames)), key=lambda index: min(abs(index - anchor) for anchor in self.anchors))


def open_labelled(root: Path, outputs: Path, name: str) -> Labelled:
    """Find a finished sequence.

    Raises:
        InputError: there are no results of it, or they are not finished.
    """
    folder = next((path for path in (outputs / name, outputs / root.name / name) if path.is_dir()), outputs / name)
    plan = folder / "anchors" / "anchors.json"
    if not plan.is_file() or not (folder / "masks" / "manifest.json").is_file():
        raise InputError(f"{folder}: found no finished result, expected that of RefineSequence --seq {name}; run it")
    frames = Frames(list_frames(root / "JPEGImages" / "480p" / name))
    return Labelled(name, frames, folder, tuple(json.loads(plan.read_text(encoding="utf-8"))["anchors"]))


def coarse_above_refined(clips: Sequence[Labelled]) -> Frame:
    """Figure 2: (H, W, 3) uint8 RGB."""
    above: list[Tile] = []
    below: list[Tile] = []
    for clip in clips:
        index = clip.farthest
        frame, coarse, refined = clip.frames[index], clip.coarse_mask(index), clip.mask(index)
        window = window_around(np.maximum(coarse, refined))
        for row, mask, what in ((above, coarse, "coarse"), (below, refined, "refined")):
            row.append(Tile(_sized(overlay(frame, mask)[window]), f"{clip.name}, frame {index}, {what}"))
    return contact_sheet([above, below])


def rows_of_frames(clips: Sequence[Labelled], count: int) -> Frame:
    """Figure 4: (H, W, 3) uint8 RGB."""
    rows = []
    for clip in clips:
        indices = np.linspace(0, len(clip.frames) - 1, min(count, len(clip.frames))).round().astype(int).tolist()
        rows.append(
            [Tile(_sized(overlay(clip.frames[index], clip.mask(index))), f"{clip.name}, {index}") for index in indices]
        )
    return contact_sheet(rows)


def _sized(picture: Frame) -> Frame:
    return np.asarray(cv2.resize(picture, _TILE_WH, interpolation=cv2.INTER_AREA), np.uint8)


def main() -> int:
    """Make the figures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--outputs", type=Path, required=True)
    parser.add_argument("--sequences", type=lambda names: names.split(","), required=True, help="A,B,...")
    parser.add_argument("--frames", type=int, default=6, help="in a row of figure 4 (%(default)s)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    try:
        clips = [open_labelled(options.root, options.outputs, name) for name in options.sequences]
        options.out.mkdir(parents=True, exist_ok=True)
        write_jpeg(options.out / "figure2.jpg", coarse_above_refined(clips))
        write_jpeg(options.out / "figure4.jpg", rows_of_frames(clips, options.frames))
    except LisError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
