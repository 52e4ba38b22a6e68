"""What `benchmarks.performance` measures with: clips of any length and any number of objects, runs, networks."""

import configparser
import cProfile
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from types import CodeType
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.anchors import examples
from benchmarks.clips import Clip
from benchmarks.fbrs import cpu_seconds
from benchmarks.quality import annotate, run_pipeline
from benchmarks.strokes import centre_lines
from benchmarks.toy import PROJECT, repeat_clip
from stages.core.types import Anchor, Probability
from stages.engines import protocols as engines
from stages.formats.frames import Frames, read_frame
from stages.formats.layout import sequence_paths
from stages.formats.masks import read_mask, write_mask
from stages.formats.scribbles import ScribbleSet, merge, write_scribbles
from stages.steps.place_anchors import plan

Row = dict[str, Any]

WEIGHTS = PROJECT / "data" / "weights"
_DATASET = "benchmark"  # as `annotate` calls it
_GRID = 3
MOST_OBJECTS = _GRID**2
_SHORT = 20
_PRODUCT_SIDE, _PRODUCTS = 1024, 5
_TURNS = 3
_COSTLIEST = 6


def settings() -> configparser.SectionProxy:
    """The pipeline's options, as luigi.cfg has them."""
    parser = configparser.ConfigParser()
    parser.read(PROJECT / "luigi.cfg", encoding="utf-8")
    return parser["lis"]


# ---------------------------------------------------------------------------------------------- clips


def cut(clip: Clip, frames: int, folder: Path) -> Clip:
    """A clip's first frames, with centre-line strokes on every anchor that `eq1` asks for.

    Args:
        clip: with ground truth.
        frames: how many; a shorter clip is taken as it is.
        folder: where its scribbles are written.
    """
    short = replace(clip, frames=clip.frames[:frames], truths=clip.truths[:frames])
    count = len(short.frames)
    scribbles = ScribbleSet(clip.name, count)
    for index in plan(count, ()).anchors:
        scribbles = merge(scribbles, index, centre_lines(read_mask(short.truths[index])))
    folder.mkdir(parents=True, exist_ok=True)
    write_scribbles(folder / f"{clip.name}-{count}.json", scribbles)
    return replace(short, scribbles=folder / f"{clip.name}-{count}.json")


def annotated(clip: Clip, data_root: Path) -> str:
    """Put a clip into a data root; here and below, what to run on is returned."""
    annotate(clip, data_root)
    return clip.name


def there_and_back(clip: Clip, frames: int, data_root: Path) -> str:
    """The clip played there and back until it is long enough; its anchors come again with it."""
    base = data_root.parent / "base"
    annotate(clip, base)
    paths = sequence_paths(base, _DATASET, clip.name)
    repeat_clip(paths.frames, paths.scribbles / "001.json", data_root, "long", frames)
    return "long"


def copies_in_a_grid(clip: Clip, objects: int, data_root: Path) -> str:
    """Pictures of the same size that show the clip nine times; its first object is scribbled in so many copies of it.

    What is there to be seen does not depend on the number of objects, only what is asked for.
    """
    folder = data_root.parent / "grid"
    folder.mkdir()
    height, width = read_mask(clip.truths[0]).shape
    small_wh = width // _GRID, height // _GRID
    for number, (frame_file, truth_file) in enumerate(zip(clip.frames, clip.truths, strict=True)):
        frame = cv2.resize(read_frame(frame_file), small_wh, interpolation=cv2.INTER_AREA)
        shown = (read_mask(truth_file) == clip.object_ids()[0]).astype(np.uint8)
        truth = np.tile(cv2.resize(shown, small_wh, interpolation=cv2.INTER_NEAREST), (_GRID, _GRID))
        rows, columns = (np.arange(side) // small for side, small in zip(truth.shape, small_wh[::-1], strict=True))
        ids = 1 + rows[:, None] * _GRID + columns
        Image.fromarray(np.tile(frame, (_GRID, _GRID, 1))).save(folder / f"{number:05d}.jpg", quality=95, subsampling=0)
        write_mask(folder / f"{number:05d}.png", np.where(ids <= objects, truth * ids, 0).astype(np.uint8))
    files = {suffix: tuple(sorted(folder.glob(f"*.{suffix}"))) for suffix in ("jpg", "png")}
    tiled = replace(clip, frames=files["jpg"], truths=files["png"])
    return annotated(cut(tiled, len(tiled.frames), folder), data_root)


def short_copies(clip: Clip, count: int, data_root: Path) -> str:
    """A data set of so many sequences, each the first 20 frames of the clip."""
    for number in range(count):
        annotate(cut(replace(clip, name=f"{clip.name}-{number:02d}"), _SHORT, data_root.parent / "strokes"), data_root)
    return _DATASET


# ---------------------------------------------------------------------------------------------- whole runs


def pipeline(
    prepare: Callable[[Path], str], arguments: Sequence[str], workers: int = 1, task: str = "RefineSequence"
) -> Row:
    """Run the pipeline from a cold start.

    Args:
        prepare: writes into a data root, and returns what to run on: a sequence, or a data set for `BulkRefine`.
        arguments: for the command.
        workers: processes.
        task: `RefineSequence` or `BulkRefine`.

    Returns:
        `wall_s` and `cpu_s` of everything; `frames` with a result, and those of them that are `tracked`; `peak_mib` of
        the largest task; and the same three for each of the `stages` (sums and the largest), from their manifests.
    """
    with tempfile.TemporaryDirectory(prefix="lis-performance-") as scratch:
        root = Path(scratch)
        name = prepare(root / "data")
        where = ["--data-root", str(root / "data"), "--outputs-root", str(root / "outputs"), "--placement", "given"]
        by = "--dataset" if task == "BulkRefine" else "--seq"
        run = run_pipeline(name, [*where, "--workers", str(workers), *arguments], root / "log.txt", task, by)
        stages = stage_costs(root / "outputs")
        return {
            "wall_s": run.seconds,
            "cpu_s": run.cpu_seconds,
            "peak_mib": max(stage["peak_mib"] for stage in stages.values()),
            "frames": len(list((root / "outputs").glob("*/masks/*.png"))),
            "tracked": len(list((root / "outputs").glob("*/tracks/*/masks/*.png"))),
            "stages": stages,
        }


def stage_costs(outputs: Path) -> dict[str, Row]:
    """What each stage took, by the manifests of a folder of results: `wall_s`, `cpu_s`, `peak_mib` of the largest."""
    costs: dict[str, Row] = {}
    for path in outputs.rglob("manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        run, cost = manifest["run"], costs.setdefault(manifest["stage"], {"wall_s": 0.0, "cpu_s": 0.0, "peak_mib": 0.0})
        cost["wall_s"] += run["seconds"]
        cost["cpu_s"] += run["cpu_seconds"]
        cost["peak_mib"] = max(cost["peak_mib"], run["peak_memory_mib"])
    return costs


# ---------------------------------------------------------------------------------------------- single networks


def peak(kind: torch.dtype) -> Row:
    """Multiply-adds a second of one thread in products of matrices: the best of some."""
    left, right = (torch.rand(_PRODUCT_SIDE, _PRODUCT_SIDE).to(kind) for _ in range(2))
    seconds = min(cpu_seconds(partial(torch.mm, left, right)) for _ in range(_PRODUCTS))
    return {"multiply_adds_per_s": _PRODUCT_SIDE**3 / seconds}


def default_networks(clip: Clip, sample: int) -> Iterator[tuple[str, Callable[[], Row]]]:
    """What the default engines execute for one object: an anchor, a frame between two anchors, a refined frame.

    Args:
        clip: with strokes on its anchors, as `cut` makes it. Masks are the true ones.
        sample: how many anchors and refined frames.
    """
    chosen = settings()
    options = {"spacing_px": chosen.getfloat("click_spacing_px"), "mode": chosen["brs_mode"],
               "exact": chosen.getboolean("exact"), "padding": chosen.getfloat("box_padding"),
               "lost_score": chosen.getfloat("lost_score")}  # fmt: skip
    video, first_id = Frames(clip.frames), clip.object_ids()[0]

    def mask(index: int) -> Probability:
        return (read_mask(clip.truths[index]) == first_id).astype(np.float32)

    def anchor() -> Row:
        engine = engines.segmenter(chosen["segmenter"], WEIGHTS, "cpu", options)
        drawn = [(read_frame(picture), strokes) for picture, _, strokes in examples(clip)][:sample]
        objects = sum(len(strokes.object_ids) for _, strokes in drawn)
        return executed(lambda: [engine.segment(*each) for each in drawn], objects)

    def frame_between() -> Row:
        engine = engines.propagator(chosen["propagator"], WEIGHTS, "cpu", options)
        segments = plan(len(clip.frames), ()).segments
        stretch = max(segments, key=lambda segment: (len(segment.anchors), len(segment.frames)))
        left, right = (
            None if index is None else Anchor(index, video[index], mask(index)[None])
            for index in (stretch.left, stretch.right)
        )
        return executed(lambda: list(engine.propagate(video, left, right)), len(stretch.frames))

    def refined_frame() -> Row:
        engine = engines.refiner(chosen["refiner"], WEIGHTS, "cpu", options)
        indices = np.linspace(0, len(video) - 1, min(sample, len(video))).round().astype(int).tolist()
        pairs = [(video[index], mask(index)) for index in indices]
        return executed(lambda: [engine.refine(*pair) for pair in pairs], len(pairs))

    yield f"an anchor, {chosen['segmenter']}", anchor
    yield f"a frame between two anchors, {chosen['propagator']}", frame_between
    yield f"a refined frame, {chosen['refiner']}", refined_frame


def executed(run: Callable[[], object], units: int) -> Row:
    """What one unit of some work takes.

    Returns:
        `multiply_adds` of convolutions and products of matrices, `cpu_s` (the fastest of three, as `peak` is the
        fastest of five), and `shares`, see `costliest`.
    """
    # What is fused is an operator that nobody counts.
    with FlopCounterMode(display=False) as counter, torch.backends.mkldnn.flags(enabled=False):
        run()
    run()  # code is compiled for every size that comes up for the first time
    return {
        "multiply_adds": counter.get_total_flops() / 2 / units,
        "cpu_s": min(cpu_seconds(run) for _ in range(_TURNS)) / units,
        "shares": costliest(run),
    }


def costliest(run: Callable[[], object]) -> dict[str, float]:
    """The functions that took most of the time themselves, without those that they called, and their share of it.

    Products and sums that are written as operators count for the Python function that they stand in.
    """
    profile = cProfile.Profile()
    profile.runcall(run)
    seconds: defaultdict[str, float] = defaultdict(float)
    for entry in profile.getstats():
        seconds[_name(entry.code)] += entry.inlinetime
    largest = sorted(seconds.items(), key=itemgetter(1), reverse=True)[:_COSTLIEST]
    return {name: own / sum(seconds.values()) for name, own in largest}


def _name(function: CodeType | str) -> str:
    """`module.function`, or of a C function the last part of its name."""
    if isinstance(function, CodeType):
        return f"{Path(function.co_filename).stem}.{function.co_qualname}"
    # For instance: <method 'calc' of 'cv2.DenseOpticalFlow' objects>
    known = re.match(r"<(?:built-in )?(?:method |function )?'?([\w.]+)", function)
    return known[1].rpartition(".")[2] if known else function
