"""Whole runs of the pipeline on clips of any length and any number of objects, and what they cost."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.clips import Clip
from benchmarks.quality import DATASET, annotate, run_pipeline
from benchmarks.strokes import centre_lines
from stages.formats.frames import read_frame
from stages.formats.layout import sequence_paths
from stages.formats.masks import read_mask, write_mask
from stages.formats.scribbles import ScribbleSet, merge, read_scribbles, write_scribbles
from stages.steps.place_anchors import plan

Row = dict[str, Any]
Prepare = Callable[[Path], str]
"""Writes into a data root, and returns what to run on: a sequence, or for `BulkRefine` a dataset."""

_GRID = 3
MOST_OBJECTS = _GRID**2


def cut(clip: Clip, frames: int, folder: Path) -> Clip:
    """A clip's first frames, with centre-line strokes on every anchor that `eq1` asks for.

    Args:
        clip: with ground truth.
        frames: how many; a shorter clip keeps all of its own.
        folder: where its scribbles are written.
    """
    short = replace(clip, frames=clip.frames[:frames], truths=clip.truths[:frames])
    scribbles = ScribbleSet(clip.name, len(short.frames))
    for index in plan(len(short.frames), ()).anchors:
        scribbles = merge(scribbles, index, centre_lines(read_mask(short.truths[index])))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{clip.name}-{len(short.frames)}.json"
    write_scribbles(file, scribbles)
    return replace(short, scribbles=file)


def annotated(clip: Clip, data_root: Path) -> str:
    """Put a clip into a data root as it is."""
    annotate(clip, data_root)
    return clip.name


def there_and_back(clip: Clip, frames: int, data_root: Path, anchors: int | None = None) -> str:
    """The clip played there and back until it is long enough.

    Its anchors come again with it, so that every stretch keeps its length; or `anchors` of them are kept, evenly
    spread, so that stretches grow with the video.
    """
    paths = sequence_paths(data_root, DATASET, "long")
    for folder in (paths.frames, paths.scribbles):
        folder.mkdir(parents=True)
    order = [*range(len(clip.frames)), *range(len(clip.frames) - 2, 0, -1)]
    shown = [order[index % len(order)] for index in range(frames)]
    for index, number in enumerate(shown):
        shutil.copyfile(clip.frames[number], paths.frames / f"{index:05d}{clip.frames[number].suffix}")
    drawn = read_scribbles(clip.scribbles, clip.name, len(clip.frames))
    chosen = [index for index, number in enumerate(shown) if number in drawn.annotated]
    if anchors:
        chosen = [chosen[len(chosen) * i // anchors] for i in range(anchors)]
    scribbles = ScribbleSet("long", frames)
    for index in chosen:
        scribbles = merge(scribbles, index, drawn.frame(shown[index]).lines)
    write_scribbles(paths.scribbles / "001.json", scribbles)
    return "long"


def at_lines(clip: Clip, lines: int, data_root: Path) -> str:
    """The clip's pictures at a height, as a video of that size comes in with `--short-side 0`."""
    name = annotated(clip, data_root)
    for path in sequence_paths(data_root, DATASET, name).frames.iterdir():
        with Image.open(path) as picture:
            size_wh = round(picture.width * lines / picture.height), lines
            scaled = picture.convert("RGB").resize(size_wh, Image.Resampling.LANCZOS)
        scaled.save(path, quality=95, subsampling=0)
    return name


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
    return annotated(cut(replace(clip, frames=files["jpg"], truths=files["png"]), len(clip.frames), folder), data_root)


def pipeline(prepare: Prepare, arguments: Sequence[str], workers: int = 1) -> Row:
    """Run `RefineSequence` from a cold start.

    Returns:
        `wall_s` and `cpu_s` of everything; `frames` with a result, and those of them that are `tracked`; `peak_mib` of
        the largest task; and the same three costs for each of the `stages` (sums and the largest), by its manifests.

    Raises:
        StageError: the run failed.
    """
    with tempfile.TemporaryDirectory(prefix="lis-benchmark-") as scratch:
        root = Path(scratch)
        name = prepare(root / "data")
        where = ["--data-root", str(root / "data"), "--outputs-root", str(root / "outputs"), "--placement", "given"]
        run = run_pipeline(name, [*where, "--workers", str(workers), *arguments], root / "log.txt")
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
