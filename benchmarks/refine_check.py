"""What a refiner makes of the masks that a run left: J, F, rejections and CPU time, without running the rest again.

    python -m benchmarks.quality --root DAVIS_ROOT --refiner none --scratch RUN --json none.json
    python -m benchmarks.refine_check --root DAVIS_ROOT --outputs RUN/outputs --refiner cascadepsp:lite

The soft masks of RUN (of anchors, and of the frames between them) are refined behind the guard, as `RefineSequence`
does it; `before` are the same masks unrefined. Nothing is written into RUN.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.clips import Clip, clip_names, open_clip
from stages.core.errors import LisError
from stages.core.fusion import label_map
from stages.core.metrics import score_frame
from stages.core.types import Frame, Probability
from stages.engines import registry
from stages.formats.anchor_masks import AnchorMasks
from stages.formats.frames import read_frame
from stages.formats.masks import read_mask
from stages.formats.tracks import read_tracks
from stages.steps.refine import GuardedRefiner
from stages.training.sheets import contour, tiles

_GUARD_IOU, _GUARD_AREA = 0.7, 1.5  # as in luigi.cfg
_SHEET_COLUMNS = 4


def soft_masks(results: Path) -> Iterator[tuple[int, tuple[int, ...], Probability]]:
    """Frame index, object ids and soft masks (objects, H, W) of a sequence's folder of results."""
    for folder in sorted((results / "anchor_masks").iterdir()):
        masks = AnchorMasks.read(folder)
        yield int(folder.name), masks.object_ids, masks.probability
    for folder in sorted((results / "tracks").iterdir()):
        for tracked in read_tracks(folder):
            yield tracked.index, tracked.object_ids, tracked.probability


def check(clip: Clip, results: Path, refiner: GuardedRefiner, every: int) -> tuple[dict[str, float], Frame]:
    """Refine each `every`-th frame of a sequence.

    Returns:
        Figures (means over frames and objects; `rejected` is a share of masks), and overlays for looking, (H, W, 3)
        RGB: outlines before in yellow, after in red, of the truth in green.
    """
    ids = clip.object_ids()
    rows, overlays = [], []
    seconds, masks, rejected = 0.0, 0, 0
    for number, (index, object_ids, before) in enumerate(soft_masks(results)):
        if number % every:
            continue
        frame, truth = read_frame(clip.frames[index]), read_mask(clip.truths[index])
        started = time.process_time()
        after, decisions = refiner.refine(frame, before)
        seconds += time.process_time() - started
        decided = [decision.accepted for decision in decisions if decision]
        masks, rejected = masks + len(decided), rejected + decided.count(False)
        labels = [label_map(each, object_ids) for each in (before, after)]
        rows.append([np.mean(score, axis=-1) for each in labels for score in score_frame(each, truth, ids)])
        if len(rows) % 8 == 1:
            overlays.append(_overlay(frame, {(255, 255, 0): labels[0], (0, 255, 0): truth, (255, 0, 0): labels[1]}))
    j_before, f_before, j, f = np.mean(rows, axis=0)
    figures = {
        "J before": j_before,
        "F before": f_before,
        "J": j,
        "F": f,
        "J gain": j - j_before,
        "F gain": f - f_before,
        "rejected": rejected / max(masks, 1),
        "CPU s": seconds / max(masks, 1),
    }
    return {name: float(value) for name, value in figures.items()}, tiles(overlays, columns=_SHEET_COLUMNS)


def _overlay(frame: Frame, outlines: dict[tuple[int, int, int], Any]) -> Frame:
    for colour, labels in outlines.items():
        frame = contour(frame, labels > 0, colour)
    return frame


def main() -> int:
    """Run the check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--outputs", type=Path, required=True, help="results of a run on these sequences")
    parser.add_argument("--refiner", required=True)
    parser.add_argument("--weights-root", type=Path, default=Path("data/weights"))
    parser.add_argument("--sequences", type=lambda names: names.split(","), help="A,B; default: all with ground truth")
    parser.add_argument("--every", type=int, default=1, help="take one frame of so many (%(default)s)")
    parser.add_argument("--sheets", type=Path, help="a folder for overlays")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        engine = registry.refiner(options.refiner, options.weights_root, "cpu", {"exact": False})
        refiner = GuardedRefiner(engine, _GUARD_IOU, _GUARD_AREA)
        table: dict[str, dict[str, float]] = {}
        for name in options.sequences or clip_names(options.root):
            table[name], sheet = check(open_clip(options.root, name), options.outputs / name, refiner, options.every)
            if options.sheets:
                options.sheets.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(options.sheets / f"{name}.png"), sheet[..., ::-1])
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    table["mean"] = {key: float(np.mean([row[key] for row in table.values()])) for key in next(iter(table.values()))}
    shown = Table("sequence", *table["mean"])
    for name, row in table.items():
        shown.add_row(name, *(f"{value:.4f}" for value in row.values()))
    Console(width=140).print(shown)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
