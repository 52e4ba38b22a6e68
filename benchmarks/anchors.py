"""How good are the masks of the anchors, before anything is propagated?

    python -m benchmarks.anchors --root ROOT --segmenters grabcut,fbrs:lite
    python -m benchmarks.anchors --root ROOT --segmenters fbrs:lite --vary mode=NoBRS,f-BRS-B crop_px=256,320,384
    python -m benchmarks.anchors --root ROOT --segmenters fbrs:lite --worst worst.png

The anchors and their strokes are those of `benchmarks.quality`: eight frames placed by equation 1, the scribble set 001
on the first, centre lines of the ground truth on the others. J is the mean over frames and objects, then sequences.
`--vary` builds the engine anew for every combination of the values given. `--worst` names the ten masks with the least
J, and draws them: the mask's outline red, the truth's green.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.clips import Clip, clip_names, open_clip
from benchmarks.quality import lazy_scribbles
from stages.core.errors import LisError
from stages.core.metrics import region_similarity
from stages.core.strokes import FrameScribbles
from stages.core.types import Frame
from stages.engines import registry
from stages.engines.protocols import Segmenter
from stages.engines.segmenters.fbrs.segmenter import FBRS
from stages.formats.frames import read_frame
from stages.formats.masks import read_mask
from stages.training.sheets import contour, tiles

_WORST: Final = 10


def examples(clip: Clip) -> Iterator[tuple[Path, Path, FrameScribbles]]:
    """Picture, ground truth and strokes of every anchor of a clip."""
    chosen, scribbles = lazy_scribbles(clip)
    for index in chosen.anchors:
        yield clip.frames[index], clip.truths[index], scribbles.frame(index)


class Scored(NamedTuple):
    """The mask of an object on an anchor."""

    j: float
    seconds: float
    """Of CPU, with its share of what all objects need."""
    picture: Path
    truth: Path
    object_id: int
    mask: NDArray[np.bool_]


def measure(segmenter: Segmenter, clip: Clip) -> Iterator[Scored]:
    """Every mask of a clip's anchors."""
    for picture, truth_file, scribbles in examples(clip):
        frame, truth = read_frame(picture), read_mask(truth_file)
        begun = time.process_time()
        masks = segmenter.segment(frame, scribbles)
        seconds = (time.process_time() - begun) / len(masks)
        for probability, object_id in zip(masks, scribbles.object_ids, strict=True):
            mask = probability > 0.5
            yield Scored(region_similarity(mask, truth == object_id), seconds, picture, truth_file, object_id, mask)


def mean(masks: Sequence[Scored]) -> tuple[float, float]:
    """J, and CPU seconds for one object on one anchor."""
    return float(np.mean([each.j for each in masks])), float(np.mean([each.seconds for each in masks]))


def draw(scored: Scored) -> Frame:
    """The picture with both outlines."""
    truth = read_mask(scored.truth) == scored.object_id
    return contour(contour(read_frame(scored.picture), truth, (0, 255, 0)), scored.mask, (255, 0, 0))


def build(name: str, weights_root: Path, variant: dict[str, Any]) -> Segmenter:
    """An engine with options that the pipeline does not offer."""
    engine = registry.find("segmenter", name, weights_root)
    if engine.network is None or not variant:
        return registry.segmenter(name, weights_root, "cpu", {})
    return FBRS(registry.load_network(name, weights_root), **{**engine.network.arguments, **variant})


def variants(given: Sequence[str]) -> list[dict[str, Any]]:
    """Every combination of `name=value,value` arguments; without any, one that changes nothing."""
    axes = [
        [(name, _value(text)) for text in values.split(",")] for name, _, values in (g.partition("=") for g in given)
    ]
    return [dict(combination) for combination in itertools.product(*axes)]


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--sequences", type=lambda names: names.split(","), help="A,B; default: all with ground truth")
    parser.add_argument("--segmenters", type=lambda names: names.split(","), default=["grabcut", "fbrs:lite"])
    parser.add_argument("--vary", nargs="*", default=[], metavar="OPTION=A,B", help="of the engine, see its class")
    parser.add_argument("--worst", type=Path, help="a picture of the ten worst masks, of the last engine")
    parser.add_argument("--weights-root", type=Path, default=Path("data/weights"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        clips = [open_clip(options.root, name) for name in options.sequences or clip_names(options.root)]
        table = Table(
            "engine", *(clip.name[:10] for clip in clips), "mean J", "CPU s", box=SIMPLE, padding=(0, 1, 0, 0)
        )
        runs = list(itertools.product(options.segmenters, variants(options.vary)))
        for name, variant in track(runs, "Engines", console=Console(stderr=True), transient=True):
            segmenter = build(name, options.weights_root, variant)
            found = [list(measure(segmenter, clip)) for clip in clips]
            label = " ".join([name, *(f"{key}={value}" for key, value in variant.items())])
            by_clip = [mean(masks) for masks in found]
            mean_j, seconds = np.mean(by_clip, axis=0)
            table.add_row(label, *(f"{j:.3f}" for j, _ in by_clip), f"{mean_j:.4f}", f"{seconds:.2f}")
            worst = sorted(itertools.chain(*found), key=lambda each: each.j)[:_WORST]
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    Console(width=220).print(table)
    if options.worst:
        for each in worst:
            print(f"{each.j:.3f} {each.picture.parent.name} {each.picture.name} object {each.object_id}")
        Image.fromarray(tiles([draw(each) for each in worst], columns=2)).save(options.worst)
    return 0


if __name__ == "__main__":
    sys.exit(main())
