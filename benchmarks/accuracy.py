"""The anchor network at a glance, in a minute or two: what is measured again at length elsewhere.

    python -m benchmarks.accuracy --shared ../shared --weights new.safetensors --vary closer=1,2 --only anchors,human

- anchors, several: J of the anchors of the development ten and of clips with several objects (`benchmarks.anchors`).
- human: mean IoU from two people's scribbles on GrabCut's pictures, without the unknown band, and how many are below
  0.8.
- clicks: NoC@85 / NoC@90 of the robot (`benchmarks.noc`) on GrabCut's pictures (`grabcut`) and on those frames of the
  usual click benchmark that are of the development ten (`davis`, some 60 frames).
"""

import argparse
import csv
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.anchors import mean, measure, variants
from benchmarks.clips import clip_names, open_clip
from benchmarks.noc import MAX_CLICKS, TARGETS, Predict, objects
from stages.core.centre_lines import centre_lines
from stages.core.errors import LisError
from stages.core.strokes import FrameScribbles, Line
from stages.engines import registry
from stages.engines.segmenters.fbrs.clicker import click_until, clicks_needed
from stages.engines.segmenters.fbrs.lite import LiteClicks
from stages.engines.segmenters.fbrs.segmenter import FBRS
from stages.engines.segmenters.fbrs.together import Clicking
from stages.formats.checkpoints import normalise, read_checkpoint
from stages.formats.frames import read_frame
from stages.formats.pictures import load_picture

NAME = "fbrs:lite"
KINDS = ("anchors", "several", "human", "clicks")


def build(weights: Path | None, variant: dict[str, Any]) -> FBRS:
    """The engine, with other weights or options if they are given."""
    engine = registry.find_anywhere(NAME, None)
    assert engine.network is not None
    if weights is None:
        network = registry.load_network(NAME, None)
    else:
        network = registry.build_network(engine.network.key)
        assert isinstance(network, LiteClicks)
        state = network.adapted(normalise(read_checkpoint(weights)))
        network.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    return FBRS(network, **{**engine.network.arguments, **variant})


def human_scribbles(root: Path, person: str) -> Iterator[tuple[NDArray[np.uint8], FrameScribbles, NDArray[np.uint8]]]:
    """Pictures, strokes and masks (1 object, 255 unknown) of GrabCut's set."""
    for file in sorted((root / f"scribbles_{person}").iterdir()):
        picture = next((root / "images").glob(f"{file.stem}.*"), None)
        mask = next((root / "masks").glob(f"{file.stem}.*"), None)
        strokes = np.array(load_picture(file))
        if picture is None or mask is None or strokes.shape[:2] != (truth := np.array(load_picture(mask))).shape[:2]:
            continue
        height, width = truth.shape
        lines = [
            Line(object_id, tuple((x / width, y / height) for x, y in path))
            for value, object_id in ((1, 1), (2, 0))
            for path in centre_lines(strokes == value)
        ]
        yield read_frame(picture), FrameScribbles(tuple(lines)), truth


def human(segmenter: FBRS, root: Path) -> dict[str, str]:
    """Mean IoU and the number of pictures below 0.8, by person."""
    result = {}
    for person in "ab":
        scores: list[float] = []
        for frame, scribbles, truth in human_scribbles(root, person):
            found, known = segmenter.segment(frame, scribbles)[0] > 0.5, truth != 255
            inside = (truth == 1) & known
            common, either = (int(np.count_nonzero(each)) for each in (found & inside, (found & known) | inside))
            scores.append(common / max(1, either))
        result[person] = f"{np.mean(scores):.4f} ({sum(score < 0.8 for score in scores)} of {len(scores)} below 0.8)"
    return result


def click_samples(shared: Path, kind: str) -> Iterator[tuple[Path, Path]]:
    """Pictures and masks."""
    if kind == "grabcut":
        for picture in sorted((shared / "grabcut/full/images").iterdir()):
            yield picture, next((shared / "grabcut/full/masks").glob(f"{picture.stem}.*"))
        return
    root = shared / "davis16"
    with (shared / "davis345/index.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            picture = root / "JPEGImages/480p" / row["sequence"] / f"{row['frame']}.jpg"
            if picture.is_file():
                yield picture, root / "Annotations/480p" / row["sequence"] / f"{row['frame']}.png"


def clicks(segmenter: FBRS, shared: Path, kind: str, every: int) -> str:
    """NoC at both targets, and the mean IoU after 1, 2, 3 and 5 clicks."""
    sessions = []
    for picture, mask in itertools.islice(click_samples(shared, kind), 0, None, every):
        for _, truth in objects(mask):
            sessions.append(click_until(begin(segmenter, read_frame(picture)), truth, MAX_CLICKS, max(TARGETS)).ious)
    needed = (np.mean([clicks_needed(ious, target, MAX_CLICKS) for ious in sessions]) for target in TARGETS)
    held = np.array([np.pad(ious, (0, MAX_CLICKS - len(ious)), mode="edge") for ious in sessions])
    after = ", ".join(f"{held[:, count - 1].mean():.3f}" for count in (1, 2, 3, 5))
    return f"{' / '.join(f'{mean:.2f}' for mean in needed)} on {len(sessions)}; IoU after 1, 2, 3, 5 clicks: {after}"


def begin(segmenter: FBRS, frame: NDArray[np.uint8]) -> Predict:
    """What maps clicks on a picture to a probability."""
    return Clicking(segmenter.together(frame)).predict


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder of davis16, multi, grabcut and davis345")
    parser.add_argument("--weights", type=Path, help="a file for fbrs:lite; default: what comes with LIS")
    parser.add_argument("--vary", nargs="*", default=[], metavar="OPTION=A,B", help="of the engine, see its class")
    parser.add_argument("--only", type=lambda names: names.split(","), default=KINDS, help=", ".join(KINDS))
    parser.add_argument("--every", type=int, default=1, help="of the samples of clicks, take one in so many")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(width=200)
    try:
        for variant in variants(options.vary):
            segmenter = build(options.weights, variant)
            console.print(f"{options.weights or NAME} {variant or ''}", markup=False, highlight=False)
            for kind in options.only:
                started = time.perf_counter()
                for line in lines(kind, segmenter, options):
                    console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
                console.print(f"  {kind}: {time.perf_counter() - started:.0f} s", markup=False, highlight=False)
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    return 0


def lines(kind: str, segmenter: FBRS, options: argparse.Namespace) -> Iterator[str]:
    """The figures of one kind, a line each."""
    if kind in ("anchors", "several"):
        root = options.shared / {"anchors": "davis16", "several": "multi"}[kind]
        rows = {name: mean(list(measure(segmenter, open_clip(root, name)))) for name in clip_names(root)}
        mean_j, seconds = np.mean(list(rows.values()), axis=0)
        each = ", ".join(f"{name} {j:.3f}" for name, (j, _) in rows.items())
        yield f"{kind}: J {mean_j:.4f}, {seconds:.3f} CPU s an anchor and object; {each}"
    elif kind == "human":
        for person, text in human(segmenter, options.shared / "grabcut/full").items():
            yield f"scribbles of {person}: IoU {text}"
    else:
        for name in ("davis", "grabcut"):
            yield f"clicks, {name}: NoC@85 / NoC@90 {clicks(segmenter, options.shared, name, options.every)}"


if __name__ == "__main__":
    sys.exit(main())
