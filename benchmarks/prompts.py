"""How good are anchor masks from boxes and clicks (`lis import-prompts`), compared with strokes?

    python -m benchmarks.prompts --root ROOT --segmenter fbrs:lite --frames 3

The frames are anchors of `benchmarks.anchors`, evenly chosen; strokes are the same as there. The box is that of the
true mask. Clicks are those of the robot of `benchmarks.noc`: each into the middle of the largest error, the first into
that of the object. J is the mean over frames and objects, then sequences; nothing is refined.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.anchors import build, examples
from benchmarks.clips import Clip, clip_names, open_clip
from stages.core.errors import LisError
from stages.core.metrics import region_similarity
from stages.core.strokes import FrameScribbles, Point
from stages.core.types import Frame, LabelMap
from stages.engines.protocols import Segmenter
from stages.engines.segmenters.fbrs.clicker import next_click
from stages.engines.segmenters.fbrs.clicks import Click
from stages.formats.frames import read_frame
from stages.formats.masks import read_mask
from stages.formats.prompts_json import Box, Prompt
from stages.steps.prompts import draw

CLICKS = (1, 3, 5)
KINDS = ("strokes", "box", "box, 1 click", *(f"{count} click{'s' * (count > 1)}" for count in CLICKS))


def measure(segmenter: Segmenter, clip: Clip, frames: int) -> dict[str, float]:
    """Mean J over some of a clip's anchors and their objects, by kind of prompt."""
    chosen = list(examples(clip))
    picked = np.linspace(0, len(chosen) - 1, min(frames, len(chosen))).round().astype(int)
    scores: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for picture, truth_file, strokes in (chosen[number] for number in picked):
        frame, truth = read_frame(picture), read_mask(truth_file)
        for kind, scribbles in prompted(segmenter, frame, truth, strokes):
            masks = segmented(segmenter, frame, scribbles)
            scores[kind] += [region_similarity(masks[each], truth == each) for each in strokes.object_ids]
    return {kind: float(np.mean(values)) for kind, values in scores.items()}


def prompted(
    segmenter: Segmenter, frame: Frame, truth: LabelMap, strokes: FrameScribbles
) -> Iterator[tuple[str, FrameScribbles]]:
    """Every kind of prompt as strokes: the frame's own ones, and what boxes and clicks become."""
    height, width = truth.shape
    boxes = {each: box_of(truth == each) for each in strokes.object_ids}
    clicked: dict[int, list[tuple[Point, bool]]] = {each: [] for each in strokes.object_ids}

    def drawn(boxed: Mapping[int, Box | None], count: int) -> FrameScribbles:
        prompts = [
            Prompt(
                each,
                tuple(point for point, is_positive in clicked[each][:count] if is_positive),
                tuple(point for point, is_positive in clicked[each][:count] if not is_positive),
                boxed.get(each),
            )
            for each in strokes.object_ids
        ]
        return FrameScribbles(draw(prompts, (width, height)).lines)

    yield "strokes", strokes
    yield "box", drawn(boxes, 0)
    masks = {each: np.zeros(truth.shape, bool) for each in strokes.object_ids}
    for count in range(1, max(CLICKS) + 1):
        for each, mask in masks.items():
            previous = [(round(y * height), round(x * width)) for (x, y), _ in clicked[each]]
            is_positive, row, column = robot(truth == each, mask, previous)
            clicked[each].append(((column / width, row / height), is_positive))
        if count == 1:
            yield "box, 1 click", drawn(boxes, 1)
        if count in CLICKS:
            yield KINDS[3 + CLICKS.index(count)], drawn({}, count)
        if count < max(CLICKS):
            masks = segmented(segmenter, frame, drawn({}, count))


def robot(truth: NDArray[np.bool_], mask: NDArray[np.bool_], previous: list[tuple[int, int]]) -> tuple[bool, int, int]:
    """Where a person would click next: positive or not, row and column."""
    click = next_click(truth.astype(np.int8), mask, [Click(True, row, column) for row, column in previous])
    return click.is_positive, int(click.row), int(click.column)


def segmented(segmenter: Segmenter, frame: Frame, scribbles: FrameScribbles) -> dict[int, NDArray[np.bool_]]:
    """Object -> its mask (H, W) bool."""
    masks = segmenter.segment(frame, scribbles)
    return {each: mask > 0.5 for each, mask in zip(scribbles.object_ids, masks, strict=True)}


def box_of(mask: NDArray[np.bool_]) -> Box:
    """The box of a mask (H, W) as fractions."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = mask.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--sequences", type=lambda names: names.split(","), help="A,B; default: all with ground truth")
    parser.add_argument("--segmenter", default="fbrs:lite")
    parser.add_argument("--frames", type=int, default=3, help="anchors of each sequence")
    parser.add_argument("--weights-root", type=Path, default=Path("data/weights"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        segmenter = build(options.segmenter, options.weights_root, {})
        table = Table("sequence", *KINDS, box=SIMPLE, padding=(0, 1, 0, 0))
        rows = []
        for name in track(options.sequences or clip_names(options.root), console=Console(stderr=True), transient=True):
            figures = measure(segmenter, open_clip(options.root, name), options.frames)
            rows.append([figures[kind] for kind in KINDS])
            table.add_row(name, *(f"{figure:.3f}" for figure in rows[-1]))
        table.add_row("mean", *(f"{figure:.3f}" for figure in np.mean(rows, axis=0)))
    except LisError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
