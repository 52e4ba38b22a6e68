"""Masks at the size of the source: how near they come to the truth there, made from smaller frames.

    python -m benchmarks.enlarged --root DAVIS_ROOT --make-half HALF
    python -m benchmarks.quality --root HALF --scratch RUN --json half.json
    python -m benchmarks.enlarged --root DAVIS_ROOT --results RUN/outputs --sheet enlarged.png

`--make-half` writes a root whose pictures and truth have half the size, as an import with a short side of 240 lines
would have made them. The second command runs the pipeline on it, the third compares three ways to the full size:
enlarging label maps alone, enlarging soft masks alone, and what `lis export --size source` does (`refined`). `truth`
does the same with the smaller truth instead of masks: what is lost if the masks have no fault. F within 2 pixels
tells boundaries apart that F of DAVIS, which allows 8 here, takes as the same.
"""

import argparse
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks.clips import Clip, clip_names, open_clip
from stages.core.errors import LisError
from stages.core.fusion import label_map
from stages.core.metrics import boundary_accuracy, score_sequence
from stages.core.plan import Plan
from stages.core.types import Frame, LabelMap
from stages.exchange.outgoing.at_source import at_source, enlarged_exactly
from stages.exchange.outgoing.soft import SoftFrame, soft_masks
from stages.formats.frames import read_frame
from stages.formats.manifest import load_manifest
from stages.formats.masks import read_mask, write_mask
from stages.formats.results import ANCHOR_MASKS, MASKS, TRACKS, anchors_of_result, of_frame, of_segment, result_file

CLOSE_PX: Final = 2
_TILE: Final = 120
_ZOOM: Final = 3


class Shown(NamedTuple):
    """What a frame can be made from."""

    picture: Frame
    labels: LabelMap
    soft: SoftFrame
    truth: LabelMap

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of the source."""
        height, width = self.picture.shape[:2]
        return width, height

    @property
    def small_truth(self) -> LabelMap:
        """At the size of the labels."""
        return smaller(self.truth, self.labels.shape[::-1])

    @property
    def sure(self) -> SoftFrame:
        """No soft mask."""
        return SoftFrame(0, (), np.zeros((0, *self.labels.shape), np.float32))


WAYS: Final[Mapping[str, Callable[[Shown], LabelMap]]] = {
    "label maps": lambda shown: enlarged_exactly(shown.labels, shown.size_wh),
    "soft masks": lambda shown: label_map(shown.soft.enlarged(shown.size_wh).probability, shown.soft.object_ids),
    "label maps, refined": lambda shown: at_source(shown.labels, shown.sure, shown.picture),
    "both, refined": lambda shown: at_source(shown.labels, shown.soft, shown.picture),
    "truth": lambda shown: enlarged_exactly(shown.small_truth, shown.size_wh),
    "truth, refined": lambda shown: at_source(shown.small_truth, shown.sure, shown.picture),
}


def smaller(labels: LabelMap, size_wh: tuple[int, int]) -> LabelMap:
    """A label map at a smaller size: the id that covers most of each pixel."""
    ids = np.unique(labels)
    shares = [cv2.resize((labels == each).astype(np.float32), size_wh, interpolation=cv2.INTER_AREA) for each in ids]
    return ids[np.argmax(np.stack(shares), axis=0)]


def make_half(root: Path, half: Path) -> None:
    """A root whose pictures and truth have half the size."""
    shutil.copytree(root / "Scribbles", half / "Scribbles")
    for name in clip_names(root):
        clip = open_clip(root, name)
        for frame, truth in zip(clip.frames, clip.truths, strict=True):
            picture = Image.open(frame).convert("RGB")
            size_wh = (round(picture.width / 2), round(picture.height / 2))
            for path in (frame, truth):
                (half / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            small = picture.resize(size_wh, Image.Resampling.LANCZOS)
            small.save(half / frame.relative_to(root), quality=95, subsampling=0)
            write_mask(half / truth.relative_to(root), smaller(read_mask(truth), size_wh))


def shown_of(clip: Clip, results: Path, every: int) -> Iterator[Shown]:
    """Some frames of a clip, with what a run on smaller frames left."""
    root = results / clip.name
    plan = Plan(len(clip.frames), tuple(anchors_of_result(load_manifest(root / MASKS))), ())
    anchor_masks = {index: root / of_frame(ANCHOR_MASKS, index) for index in plan.anchors}
    tracks = {each: root / of_segment(TRACKS, each.start, each.stop) for each in plan.segments}
    for soft in soft_masks(anchor_masks, tracks):
        if soft.index % every == 0:
            frame = clip.frames[soft.index]
            labels = read_mask(result_file(root / MASKS, frame.name))
            yield Shown(read_frame(frame), labels, soft, read_mask(clip.truths[soft.index]))


def measure(clip: Clip, results: Path, every: int, tiles: list[np.ndarray]) -> dict[str, tuple[float, ...]]:
    """Way -> J, F, F within 2 pixels and seconds a frame; tiles get a picture of the middle frame's boundary."""
    found: dict[str, list[LabelMap]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    truths = []
    shown_frames = list(shown_of(clip, results, every))
    for shown in shown_frames:
        truths.append(shown.truth)
        for way, make in WAYS.items():
            start = time.process_time()
            found[way].append(make(shown))
            seconds[way] += time.process_time() - start
    middle = len(shown_frames) // 2
    tiles.append(_tile(shown_frames[middle], [found[way][middle] for way in ("label maps", "both, refined")]))
    scores = {}
    for way, masks in found.items():
        score = score_sequence(iter(masks), iter(truths), clip.object_ids())
        close = [
            boundary_accuracy(mask == each, truth == each, CLOSE_PX)
            for mask, truth in zip(masks, truths, strict=True)
            for each in clip.object_ids()
        ]
        figures = (score.region.mean(), score.boundary.mean(), np.mean(close), seconds[way] / len(masks))
        scores[way] = tuple(float(each) for each in figures)
    return scores


def _tile(shown: Shown, masks: list[LabelMap]) -> np.ndarray:
    """A piece of a boundary, enlarged: the outlines of masks in red, of the truth in green."""
    rows, columns = np.nonzero(shown.truth)
    height, width = shown.truth.shape
    top = min(max(0, int(rows.min()) - _TILE // 4), height - _TILE)
    left = min(max(0, int(columns[rows.argmin()]) - _TILE // 2), width - _TILE)
    box = (slice(top, top + _TILE), slice(left, left + _TILE))
    pieces = []
    for mask in masks:
        piece = _zoomed(shown.picture[box])
        for labels, colour in ((shown.truth, (0, 255, 0)), (mask, (255, 0, 0))):
            solid = cv2.resize(
                (labels[box] > 0).astype(np.uint8), None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_NEAREST
            )
            outlines, _ = cv2.findContours(solid, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(piece, outlines, -1, colour, 1)
        pieces.append(piece)
    return np.concatenate(pieces, axis=1)


def _zoomed(values: np.ndarray) -> np.ndarray:
    return cv2.resize(values, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_NEAREST)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--make-half", type=Path, help="a new folder for the same at half the size")
    parser.add_argument("--results", type=Path, help="outputs/ of a run on that")
    parser.add_argument("--sequences", type=lambda names: names.split(","), help="A,B; default: all that have results")
    parser.add_argument("--every", type=int, default=3, help="take every n-th frame (%(default)s)")
    parser.add_argument("--sheet", type=Path, help="boundaries: enlarged, refined")
    options = parser.parse_args()
    try:
        if options.make_half:
            make_half(options.root, options.make_half)
            return 0
        finished = sorted(path.parents[1].name for path in options.results.glob(f"*/{MASKS}/manifest.json"))
        tiles: list[np.ndarray] = []
        scores = {
            name: measure(open_clip(options.root, name), options.results, options.every, tiles)
            for name in options.sequences or finished
        }
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    print("| | J | F | F within 2 px | ms a frame |\n|---|---|---|---|---|")
    for way in WAYS:
        region, boundary, close, seconds = np.mean([each[way] for each in scores.values()], axis=0)
        print(f"| {way} | {region:.4f} | {boundary:.4f} | {close:.4f} | {1000 * seconds:.0f} |")
    print("\n| J, F within 2 px | " + " | ".join(("label maps", "both, refined")) + " |\n|---|---|---|")
    for name, each in scores.items():
        pairs = [f"{each[way][0]:.3f}, {each[way][2]:.3f}" for way in ("label maps", "both, refined")]
        print(f"| {name} | {' | '.join(pairs)} |")
    if options.sheet:
        rows = [np.concatenate(tiles[at : at + 2], axis=1) for at in range(0, len(tiles) - len(tiles) % 2, 2)]
        Image.fromarray(np.concatenate(rows)).save(options.sheet)
    return 0


if __name__ == "__main__":
    sys.exit(main())
