"""What `lis export --unknown-soft P` is worth: how many wrong pixels become unknown, and how many right ones with them.

    python -m benchmarks.quality --root DAVIS_ROOT --sequences dog,cows --scratch RUN --json quality.json
    python -m benchmarks.unknown --root DAVIS_ROOT --results RUN/outputs --soft 0.2 --sheet unknown.jpg

A pixel is wrong where the mask's id differs from the truth's, on frames that nobody annotated. By soft masks alone,
where the two directions disagree, and by both; then what the latter takes on the disk, and to read.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console

from benchmarks.clips import Clip, open_clip
from stages.core.errors import LisError
from stages.core.plan import Segment
from stages.core.types import LabelMap
from stages.exchange.outgoing.doubtful import with_unknown
from stages.exchange.outgoing.format import UNKNOWN
from stages.exchange.outgoing.soft import SoftFrame, soft_masks
from stages.exchange.outgoing.terms import Terms
from stages.formats.disagreement import read_disagreement
from stages.formats.frames import read_frame
from stages.formats.masks import read_mask
from stages.formats.results import ANCHOR_MASKS, DISAGREEMENT, MASKS, TRACKS, of_frame, result_file
from stages.formats.tracks import TRACKS as TRACKS_H5

WAYS: Final = ("soft", "disagreement", "both")
_TILE_WH: Final = (400, 225)


class Tried(NamedTuple):
    """One frame."""

    clip: Clip
    frame: int
    labels: LabelMap
    truth: LabelMap
    unknown: dict[str, NDArray[np.bool_]]
    """By way, (H, W)."""


def tried(clip: Clip, results: Path, limit: float) -> Iterator[Tried]:
    """A clip's frames between annotated ones."""
    root = results / clip.name
    for soft in soft_masks({}, _tracks(root)):
        labels = read_mask(result_file(root / MASKS, clip.frames[soft.index].name))
        truth = read_mask(clip.truths[soft.index])
        unknown = {way: _unknown(labels, soft, way, limit) for way in WAYS}
        yield Tried(clip, soft.index, labels, truth, unknown)


def _tracks(root: Path) -> dict[Segment, Path]:
    found = {}
    for folder in sorted((root / TRACKS).iterdir()):
        start, stop = map(int, folder.name.split("-"))
        ends = (root / of_frame(ANCHOR_MASKS, index) for index in (start, stop))
        left, right = (int(end.name) if end.is_dir() else None for end in ends)
        found[Segment(start, stop, left, right)] = folder
    return found


def _unknown(labels: LabelMap, soft: SoftFrame, way: str, limit: float) -> NDArray[np.bool_]:
    if way == "soft":
        soft = soft._replace(disagreement=None)
    elif way == "disagreement":
        soft = soft._replace(probability=np.zeros_like(soft.probability))
    found: NDArray[np.bool_] = with_unknown(labels, [], Terms(unknown_soft=limit), soft) == UNKNOWN
    return found


def counts(each: Tried) -> NDArray[np.int64]:
    """(ways + 1, 3): wrong pixels, right ones, and those among the right ones that are of an object; first of all."""
    wrong = each.labels != each.truth
    kinds = wrong, ~wrong, ~wrong & (each.labels > 0)
    return np.array(
        [[np.count_nonzero(kind) for kind in kinds]]
        + [[np.count_nonzero(kind & each.unknown[way]) for kind in kinds] for way in WAYS]
    )


def print_shares(found: dict[str, NDArray[np.int64]]) -> None:
    """Shares of the pixels, by sequence and of all."""
    print("| | wrong px | way | of these unknown | of right ones | of right ones of objects |")
    print("|---|---|---|---|---|---|")
    for name, sums in (*found.items(), ("**all**", np.sum([*found.values()], axis=0))):
        everything, *rest = sums
        for way, some in zip(WAYS, rest, strict=True):
            shares = some / everything
            wrong = f"{everything[0] / everything[:2].sum():.2%}"
            print(f"| {name} | {wrong} | {way} | {shares[0]:.1%} | {shares[1]:.2%} | {shares[2]:.2%} |")


def print_sizes(clips: Sequence[Clip], results: Path) -> None:
    """What is stored, and how long it takes to read, a frame of stretches with two directions."""
    told = [
        (part, folder)
        for clip in clips
        for part, folder in _tracks(results / clip.name).items()
        if (folder / DISAGREEMENT).exists()
    ]
    frames = sum(len(part.frames) for part, _ in told)
    sizes = [sum((folder / name).stat().st_size for _, folder in told) for name in (DISAGREEMENT, TRACKS_H5)]
    began = time.perf_counter()
    for part, folder in told:
        for _ in read_disagreement(folder, part.frames):
            pass
    seconds = time.perf_counter() - began
    print(
        f"\n{frames} frames: {sizes[0] / frames:.0f} bytes a frame in {DISAGREEMENT} ({sizes[1] / frames:.0f} in "
        f"{TRACKS_H5}), {1000 * seconds / frames:.2f} ms a frame to read"
    )


def tile(each: Tried) -> NDArray[np.uint8]:
    """Wrong pixels red where they stay known, green where they are unknown; right ones that are unknown, magenta."""
    frame = read_frame(each.clip.frames[each.frame]) // 2 + 60
    wrong, unknown = each.labels != each.truth, each.unknown["both"]
    for where, colour in ((unknown, (255, 0, 255)), (wrong, (255, 0, 0)), (wrong & unknown, (0, 255, 0))):
        frame[where] = colour
    box = cv2.boundingRect(((each.labels > 0) | (each.truth > 0) | unknown).astype(np.uint8))
    left, top, width, height = box
    crop = frame[max(0, top - 10) : top + height + 10, max(0, left - 10) : left + width + 10]
    scale = min(_TILE_WH[0] / crop.shape[1], _TILE_WH[1] / crop.shape[0])
    small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[: _TILE_WH[1], : _TILE_WH[0]]
    cell = np.zeros((_TILE_WH[1], _TILE_WH[0], 3), np.uint8)
    cell[: small.shape[0], : small.shape[1]] = small
    picture = Image.fromarray(cell)
    ImageDraw.Draw(picture).text((3, 3), f"{each.clip.name} {each.frame}", fill=(255, 255, 0))
    return np.asarray(picture)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--results", type=Path, required=True, help="outputs/ of a run on some of its sequences")
    parser.add_argument("--soft", type=float, default=0.2, help="P (%(default)s)")
    parser.add_argument("--sheet", type=Path, help="a picture of every tenth frame")
    options = parser.parse_args()
    tiles: list[NDArray[np.uint8]] = []
    found: dict[str, NDArray[np.int64]] = {}
    try:
        names = sorted(path.parents[1].name for path in options.results.glob(f"*/{MASKS}/manifest.json"))
        clips = [open_clip(options.root, name) for name in names]
        for clip in clips:
            sums = []
            for number, each in enumerate(tried(clip, options.results, options.soft)):
                sums.append(counts(each))
                if options.sheet and number % 10 == 5:
                    tiles.append(tile(each))
            found[clip.name] = np.sum(sums, axis=0)
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    print_shares(found)
    print_sizes(clips, options.results)
    if options.sheet:
        rows = [np.concatenate(tiles[start : start + 3], axis=1) for start in range(0, len(tiles) // 3 * 3, 3)]
        Image.fromarray(np.concatenate(rows)).save(options.sheet, quality=85)
    return 0


if __name__ == "__main__":
    sys.exit(main())
