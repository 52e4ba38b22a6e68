"""How good the masks are that an export keeps, against the share that it keeps: what doubt is worth.

    python -m benchmarks.quality --root DAVIS_ROOT --scratch RUN --json quality.json
    python -m benchmarks.kept --root DAVIS_ROOT --results RUN/outputs --figure kept.png --sheet dropped.jpg

Frames are left out by their doubt, the most doubtful first, over all sequences together; annotated ones never, as in
`lis export --max-doubt`. J is the mean over frames that are kept (of several objects, their mean). "By J" leaves out
the worst frames that there are: what a perfect doubt would reach. `auto` is what `--max-doubt auto` keeps.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from rich.console import Console

from benchmarks.clips import Clip, open_clip
from stages.core.errors import LisError
from stages.core.metrics import score_sequence
from stages.exchange.outgoing.doubtful import AUTO_LIMIT, auto_max_doubt, verdicts
from stages.formats.frames import read_frame
from stages.formats.frames_csv import read_frames_csv
from stages.formats.manifest import load_manifest
from stages.formats.masks import read_mask
from stages.formats.results import MASKS, anchors_of_result, result_file
from stages.steps.assess import judge

SHARES: Final = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
LIMITS: Final = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
_COLUMNS: Final = 6
"""Of the sheet of pictures."""


class Kept(NamedTuple):
    """A frame, and what is thought of it."""

    clip: Clip
    frame: int
    is_annotated: bool
    doubt: float
    quality: float
    """J."""


def frames_of(clip: Clip, results: Path) -> list[Kept]:
    """A clip's frames with the doubt in a result and its J."""
    folder = results / clip.name / MASKS
    anchors = anchors_of_result(load_manifest(folder))
    names = [frame.name for frame in clip.frames]
    judged = judge(read_frames_csv(folder), anchors, names)
    masks = (read_mask(result_file(folder, name)) for name in names)
    region = score_sequence(masks, clip.read_truths(), clip.object_ids()).region.mean(axis=1)
    found = verdicts(judged, len(names), 0.0)
    annotated = {row.frame for row in judged if row.distance == 0}
    return [
        Kept(clip, index, index in annotated, verdict.doubt, float(quality))
        for index, (verdict, quality) in enumerate(zip(found, region, strict=True))
    ]


def curve(frames: Sequence[Kept], by_truth: bool = False) -> list[float]:
    """Mean J of the n frames that are kept longest, n = 1, 2, ...: annotated ones, then by doubt (or by J)."""
    ordered = sorted(frames, key=lambda each: (not each.is_annotated, -each.quality if by_truth else each.doubt))
    qualities = np.array([each.quality for each in ordered])
    mean: list[float] = (np.cumsum(qualities) / np.arange(1, len(qualities) + 1)).tolist()
    return mean


def kept_at(frames: Sequence[Kept], limit: float) -> list[Kept]:
    """What `--max-doubt` keeps."""
    return [each for each in frames if each.is_annotated or each.doubt <= limit]


def mean_quality(frames: Sequence[Kept]) -> float:
    """Of the frames; NaN of none."""
    return float(np.mean([each.quality for each in frames])) if frames else math.nan


def print_tables(frames: Sequence[Kept]) -> None:
    """The curve as a table, the limits, and `auto` for each sequence exported alone and for all together."""
    by_doubt, by_truth = curve(frames), curve(frames, by_truth=True)
    print("| kept | J | by J |\n|---|---|---|")
    for share in SHARES:
        last = math.ceil(share * len(frames)) - 1
        print(f"| {share:.0%} | {by_doubt[last]:.3f} | {by_truth[last]:.3f} |")
    print("\n| `--max-doubt` | kept | J | of those left out |\n|---|---|---|---|")
    for limit in LIMITS:
        kept = kept_at(frames, limit)
        out = [each for each in frames if each not in kept]
        share = len(kept) / len(frames)
        print(f"| {limit:g} | {share:.1%} | {mean_quality(kept):.3f} | {mean_quality(out):.3f} |")
    print("\n| `auto` | limit | kept | J of all | J of what is kept |\n|---|---|---|---|---|")
    groups: dict[str, list[Kept]] = {}
    for each in frames:
        groups.setdefault(each.clip.name, []).append(each)
    for name, own in (*groups.items(), ("**all**", list(frames))):
        limit = auto_max_doubt(each.doubt for each in own)
        kept = kept_at(own, limit)
        figures = f"{limit:.3f} | {len(kept) / len(own):.1%} | {mean_quality(own):.3f} | {mean_quality(kept):.3f}"
        print(f"| {name} | {figures} |")


def draw(frames: Sequence[Kept], path: Path) -> None:
    """The curve as a picture."""
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    share = np.arange(1, len(frames) + 1) / len(frames)
    shown = share >= min(SHARES)
    for label, values, style in (
        ("left out by doubt", curve(frames), "-"),
        ("left out by J, unknown in practice", curve(frames, by_truth=True), ":"),
    ):
        axes.plot(share[shown], np.array(values)[shown], style, color="black", label=label)
    kept = kept_at(frames, auto_max_doubt(each.doubt for each in frames))
    axes.plot([len(kept) / len(frames)], [mean_quality(kept)], "o", color="black", label=f"auto ({AUTO_LIMIT:g})")
    axes.axhline(mean_quality(frames), color="grey", linewidth=0.8)
    axes.set(xlabel="share of frames kept", ylabel="mean J of what is kept")
    axes.invert_xaxis()
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def draw_sheet(frames: Sequence[Kept], results: Path, path: Path) -> None:
    """What `auto` leaves out, the most doubtful first, and below it what it keeps, the most doubtful first."""
    kept = kept_at(frames, auto_max_doubt(each.doubt for each in frames))
    out = sorted((each for each in frames if each not in kept), key=lambda each: -each.doubt)
    last = sorted((each for each in kept if not each.is_annotated), key=lambda each: -each.doubt)
    tiles = [
        _tile(each, results, word)
        for word, group in (("out", out), ("kept", last))
        for each in group[:: max(1, len(group) // (4 * _COLUMNS))][: 4 * _COLUMNS]
    ]
    rows = [np.concatenate(tiles[start : start + _COLUMNS], axis=1) for start in range(0, len(tiles), _COLUMNS)]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    Image.fromarray(np.concatenate(padded)).save(path, quality=85)


def _tile(each: Kept, results: Path, word: str) -> np.ndarray:
    frame = cv2.resize(read_frame(each.clip.frames[each.frame]), (240, 136), interpolation=cv2.INTER_AREA)
    mask = read_mask(result_file(results / each.clip.name / MASKS, each.clip.frames[each.frame].name))
    small = cv2.resize(mask, (240, 136), interpolation=cv2.INTER_NEAREST) > 0
    frame[small] = (frame[small] // 2 + np.array([110, 0, 0])).astype(np.uint8)
    picture = Image.fromarray(frame)
    said = f"{word} {each.clip.name} {each.frame} doubt {each.doubt:.2f} J {each.quality:.2f}"
    ImageDraw.Draw(picture).text((3, 3), said, fill=(255, 255, 0))
    return np.asarray(picture)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--results", type=Path, required=True, help="outputs/ of a run on all or some of its sequences")
    parser.add_argument("--figure", type=Path, help="the curve")
    parser.add_argument("--sheet", type=Path, help="frames that are left out and kept")
    options = parser.parse_args()
    try:
        names = sorted(path.parents[1].name for path in options.results.glob(f"*/{MASKS}/manifest.json"))
        frames = [each for name in names for each in frames_of(open_clip(options.root, name), options.results)]
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    print_tables(frames)
    if options.figure:
        draw(frames, options.figure)
    if options.sheet:
        draw_sheet(frames, options.results, options.sheet)
    return 0


if __name__ == "__main__":
    sys.exit(main())
