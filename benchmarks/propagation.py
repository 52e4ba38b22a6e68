"""How well engines carry true masks: mean J of the frames between anchors, without refinement, and the time it takes.

    python -m benchmarks.propagation --root DAVIS_ROOT --json propagation.json
    python -m benchmarks.propagation --root DAVIS_ROOT --sequences libby,dog --engines flow,match:lite --pictures sheets
    python -m benchmarks.propagation --root DAVIS_ROOT --from-first 12

Anchors are those of the pipeline (the frame of scribble set 001 and `eq1`), with ground truth as their masks. `J` is
the mean over the frames between two anchors; `one-sided` over those before the first and after the last. With
--from-first N every stretch starts at a multiple of N frames and runs N frames on, one anchor only. CPU seconds are
those of the engine and of reading frames, per frame that gets masks.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.clips import Clip, clip_names, open_clip
from benchmarks.quality import REQUESTS, machine
from stages.core.fusion import label_map
from stages.core.metrics import region_similarity
from stages.core.plan import Segment
from stages.core.types import Anchor, Frame, LabelMap, Probability
from stages.engines import registry
from stages.engines.protocols import Propagator
from stages.formats.frames import Frames
from stages.formats.scribbles import read_scribbles
from stages.steps.place_anchors import plan

_SHEET_COLUMNS = 4
_SHEET_WIDTH_PX = 480
_TRUTH_RGB, _RESULT_RGB = (0, 255, 0), (255, 0, 0)


Row = dict[str, float | int | None]


class Score(NamedTuple):
    """One frame."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    region: float
    """Mean J of the objects."""
    agreement: float
    """Mean of the engine's own estimate; NaN where it has none."""
    is_between: bool
    """Between two anchors."""


def stretches(clip: Clip, from_first: int) -> Iterator[tuple[Segment, tuple[int, ...]]]:
    """What is to be filled, and the anchors beyond: around the pipeline's anchors, or the runs of --from-first."""
    count = len(clip.frames)
    if from_first:
        for start in range(0, count - from_first, from_first):
            yield Segment(start, start + from_first, start, None), ()
        return
    scribbles = read_scribbles(clip.scribbles, clip.name, count)
    planned = plan(count, scribbles.annotated, requests=REQUESTS)
    for segment in planned.segments:
        yield segment, planned.beyond(segment)


def measure(
    engine: Propagator, clip: Clip, from_first: int, memory_anchors: int, sheet: Path | None
) -> tuple[list[Score], float]:
    """Fill all stretches of a clip.

    Returns:
        One score a frame, and CPU seconds.
    """
    truths, ids = list(clip.read_truths()), clip.object_ids()
    scores, seconds, tiles = [], 0.0, []
    whole = Frames(list(clip.frames))

    def anchor(index: int) -> Anchor:
        return Anchor(index, whole[index], _masks(truths[index], ids))

    for segment, outside in stretches(clip, from_first):
        video = Frames(list(clip.frames[: segment.stop + 1]))
        left, right = (None if index is None else anchor(index) for index in (segment.left, segment.right))
        beyond = [anchor(index) for index in outside] if memory_anchors > 2 else []
        started = time.process_time()
        results = list(engine.propagate(video, left, right, beyond))
        seconds += time.process_time() - started
        for result in results:
            labels, truth = label_map(result.probability, ids), truths[result.index]
            region = np.mean([region_similarity(labels == each, truth == each) for each in ids])
            agreement = float(result.agreement.mean())
            scores.append(Score(result.index, float(region), agreement, left is not None and right is not None))
            if sheet and result is results[len(results) // 2]:
                tiles.append(_tile(video[result.index], truth, labels, f"{result.index}: {region:.2f}"))
    if sheet:
        _write_sheet(sheet, tiles)
    return scores, seconds


def _masks(truth: LabelMap, ids: Sequence[int]) -> Probability:
    return np.stack([truth == each for each in ids]).astype(np.float32)


def _tile(frame: Frame, truth: LabelMap, labels: LabelMap, title: str) -> Frame:
    picture = frame.copy()
    for mask, colour in ((truth, _TRUTH_RGB), (labels, _RESULT_RGB)):
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, colour, 2)
    scale = _SHEET_WIDTH_PX / picture.shape[1]
    picture = cv2.resize(picture, (_SHEET_WIDTH_PX, round(scale * picture.shape[0])), interpolation=cv2.INTER_AREA)
    cv2.putText(picture, title, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    return np.asarray(picture, np.uint8)


def _write_sheet(path: Path, tiles: list[Frame]) -> None:
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _SHEET_COLUMNS)
    rows = [np.hstack(tiles[start : start + _SHEET_COLUMNS]) for start in range(0, len(tiles), _SHEET_COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def _figures(scores: Sequence[Score], seconds: float) -> Row:
    def mean(chosen: list[float]) -> float | None:
        return float(np.mean(chosen)) if chosen else None

    return {
        "J": mean([score.region for score in scores if score.is_between]),
        "one_sided_J": mean([score.region for score in scores if not score.is_between]),
        "cpu_seconds_per_frame": seconds / len(scores),
        "frames": len(scores),
    }


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parse()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    built = {name: registry.propagator(name, options.weights, "cpu", {}) for name in options.engines}
    report: dict[str, dict[str, Row]] = {name: {} for name in built}
    for clip_name in options.sequences or clip_names(options.root):
        clip = open_clip(options.root, clip_name)
        for name, engine in built.items():
            sheet = options.pictures and options.pictures / f"{clip.name}-{name.replace(':', '-')}.png"
            report[name][clip.name] = _figures(
                *measure(engine, clip, options.from_first, options.memory_anchors, sheet)
            )
        if options.json:  # after every clip: a run takes a while
            text = {"engines": report, "command": shlex.join(sys.orig_argv), "machine": machine()}
            options.json.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    _print_table(report)
    return 0


def _print_table(report: dict[str, dict[str, Row]]) -> None:
    table = Table(*["sequence", "engine", "J", "one-sided", "CPU s/frame"], box=SIMPLE)
    for name, rows in report.items():
        for title, row in (*rows.items(), ("mean", _mean(list(rows.values())))):
            values = row["J"], row["one_sided_J"], row["cpu_seconds_per_frame"]
            table.add_row(title, name, *("-" if value is None else f"{value:.4f}" for value in values))
    Console().print(table)


def _mean(rows: Sequence[Row]) -> Row:
    """Sequences weigh the same."""
    means: Row = {}
    for key in rows[0]:
        column = [value for row in rows if (value := row[key]) is not None]
        means[key] = float(np.mean(column)) if column else None
    return means


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--sequences", type=lambda names: names.split(","), help="A,B; default: all with ground truth")
    parser.add_argument(
        "--engines", type=lambda names: names.split(","), default=["flow", "match:trunk", "match:lite"], help="A,B"
    )
    parser.add_argument("--weights", type=Path, default=Path("data/weights"), help="folder of the checkpoints")
    parser.add_argument("--from-first", type=int, default=0, metavar="N", help="one-sided stretches of N frames")
    parser.add_argument("--memory-anchors", type=int, choices=(2, 4), default=2, help="4: those beyond, too")
    parser.add_argument("--pictures", type=Path, help="a folder for sheets: truth green, result red")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
