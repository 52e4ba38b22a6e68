"""How well masks hold where objects come, go, hide, touch and look alike: twenty clips composed with exact truth.

    python -m benchmarks.presence --clips-of TRAIN/davis16_train --json presence.json
    python -m benchmarks.presence --clips-of TRAIN/davis16_train --true-anchors --json presence.json
    python -m benchmarks.presence --clips-of TRAIN/davis16_train --pictures sheets

The clips are made of those of `davis16_train` that no training sees (`stages.training.pictures.HELD_OUT_CLIPS`);
always the same ones: 48 frames of 320 lines, 2 to 4 objects, look-alikes in five, touching ones in five, small fast
ones in five, a quarter of the object-frames absent or covered. Strokes lie on the first, the middle and the last frame:
centre lines made from ground truth. The real command runs on them; with --true-anchors the propagator alone, from true
masks.

Over all frames but those with strokes: `J` of the objects that are to be seen (20 pixels or more), `painted`, the
share of those that are not which have more than 20 pixels all the same, and `foreign`, the share of the pixels of
visible objects that carry another object's id. A clip's J is the mean of its object-frames; pooled, all object-frames
of all clips weigh the same, or all pixels.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.clips import Clip, open_clip
from benchmarks.quality import annotate, machine, run_pipeline
from benchmarks.strokes import centre_lines
from stages.core.errors import InputError
from stages.core.fusion import label_map
from stages.core.metrics import region_similarity
from stages.core.plan import Plan
from stages.core.types import Anchor, Frame, LabelMap
from stages.engines import registry
from stages.engines.protocols import Propagator
from stages.formats.frames import Frames
from stages.formats.masks import read_mask, write_mask
from stages.formats.scribbles import ScribbleSet, merge, write_scribbles
from stages.training.choreography import Kind, compose, is_fair, shares_gone
from stages.training.composed import LEAST_SEEN_PX, Composition, Shot, shots
from stages.training.pictures import CLIPS_SET, HELD_OUT_CLIPS, by_clip
from stages.training.sets import PictureSet, read_set

KINDS: Final[tuple[Kind, ...]] = ("mixed", "alike", "touching", "fast")
CLIPS: Final = 20
LENGTH: Final = 48
ANCHORS: Final = (0, LENGTH // 2, LENGTH - 1)
_SEED: Final = 19
_LEAST_ON_ANCHOR_PX: Final = 60
_GONE: Final = (0.12, 0.42)
"""Share of a clip's object-frames."""
_SHEET_FRAMES: Final = 8
_SHEET_WIDTH_PX: Final = 240
_COLOURS: Final = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 0), (0, 80, 255)], np.uint8)


class Tally(NamedTuple):
    """Counts that can be added."""

    region: float = 0
    """The sum of J."""
    seen: int = 0
    """Object-frames."""
    painted: int = 0
    gone: int = 0
    """Object-frames."""
    foreign_px: int = 0
    seen_px: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally._make(one + two for one, two in zip(self, other, strict=True))

    def figures(self) -> dict[str, float]:
        """In shares."""
        return {
            "J": self.region / max(self.seen, 1),
            "painted": self.painted / max(self.gone, 1),
            "foreign": self.foreign_px / max(self.seen_px, 1),
            "gone": self.gone / max(self.gone + self.seen, 1),
        }


def compositions(
    folder: Path, count: int = CLIPS, of: Sequence[str] = HELD_OUT_CLIPS, seed: int = _SEED
) -> Iterator[tuple[str, Composition]]:
    """The clips of the benchmark by name, always the same; others are made `of` other clips with another seed.

    Raises:
        InputError: a clip that they are made of is missing.
    """
    pictures, _ = read_set(PictureSet(CLIPS_SET, folder, 1.0), "auto", of)
    clips = by_clip(pictures)
    sceneries, cast = [Shot(frames) for frames in clips], [shot for frames in clips for shot in shots(frames)]
    for number in range(count):
        kind, objects = KINDS[number % len(KINDS)], 2 + number // len(KINDS) % 3
        for attempt in range(1000):
            rng = np.random.default_rng([seed, number, attempt])
            composition = compose(sceneries, cast, kind, objects, LENGTH, rng)
            areas = composition.areas()
            low, high = _GONE
            if low <= shares_gone(areas, LEAST_SEEN_PX) <= high and is_fair(areas, ANCHORS, _LEAST_ON_ANCHOR_PX):
                yield f"{number:02d}-{kind}", composition
                break
        else:
            raise InputError(f"{folder}: of a thousand compositions none had what the benchmark asks for")


def write_clip(name: str, composition: Composition, root: Path, anchors: Sequence[int] = ANCHORS) -> Clip:
    """Write a composed clip as a sequence of a DAVIS root, with strokes on the anchors."""
    frames, truths, scribbles = (root / part / name for part in ("JPEGImages/480p", "Annotations/480p", "Scribbles"))
    for folder in (frames, truths, scribbles):
        folder.mkdir(parents=True)
    strokes = ScribbleSet(name, composition.length)
    for time in range(composition.length):
        picture, labels = composition.at(time)
        Image.fromarray(picture).save(frames / f"{time:05d}.jpg", quality=95, subsampling=0)
        write_mask(truths / f"{time:05d}.png", labels)
        if time in anchors:
            strokes = merge(strokes, time, centre_lines(labels))
    write_scribbles(scribbles / "001.json", strokes)
    return open_clip(root, name)


def score(truth: LabelMap, labels: LabelMap, ids: Sequence[int]) -> Tally:
    """Score one frame."""
    tally = Tally()
    for each in ids:
        there, found = truth == each, labels == each
        pixels = int(np.count_nonzero(there))
        if pixels < LEAST_SEEN_PX:
            painted = int(np.count_nonzero(found)) > LEAST_SEEN_PX
            tally = tally.plus(Tally(painted=int(painted), gone=1))
            continue
        foreign = int(np.count_nonzero(there & (labels != each) & (labels != 0)))
        tally = tally.plus(Tally(region_similarity(found, there), 1, foreign_px=foreign, seen_px=pixels))
    return tally


def from_true_anchors(engine: Propagator, clip: Clip, memory_anchors: int) -> Iterator[tuple[int, LabelMap]]:
    """The engine's masks between true ones."""
    ids, video = clip.object_ids(), Frames(list(clip.frames))
    truths = list(clip.read_truths())
    masks = {at: np.stack([truths[at] == each for each in ids]).astype(np.float32) for at in ANCHORS}
    anchors = {at: Anchor(at, video[at], mask) for at, mask in masks.items()}
    plan = Plan(LENGTH, ANCHORS, ())
    for segment in plan.segments:
        left, right = (anchors[at] for at in segment.anchors)
        beyond = [anchors[at] for at in plan.beyond(segment)] if memory_anchors > 2 else []
        for result in engine.propagate(video, left, right, beyond):
            yield result.index, label_map(result.probability, ids)


def from_strokes(clip: Clip, scratch: Path, arguments: Sequence[str]) -> Iterator[tuple[int, LabelMap]]:
    """The pipeline's masks from strokes on the anchors."""
    annotate(clip, scratch / "data", requests=0, placement="given")
    roots = ["--data-root", str(scratch / "data"), "--outputs-root", str(scratch / "outputs"), "--placement", "given"]
    run_pipeline(clip.name, [*roots, *arguments], scratch / f"{clip.name}.log")
    for index, frame in enumerate(clip.frames):
        yield index, read_mask(scratch / "outputs" / clip.name / "masks" / f"{frame.stem}.png")


def measure(clip: Clip, results: dict[int, LabelMap]) -> Tally:
    """Score a clip."""
    tally, ids = Tally(), clip.object_ids()
    for index, truth in enumerate(clip.read_truths()):
        if index not in ANCHORS:
            tally = tally.plus(score(truth, results[index], ids))
    return tally


def sheet(clip: Clip, results: dict[int, LabelMap]) -> Frame:
    """Some frames, and below them truth and result, if there is one."""
    columns = []
    for index in np.linspace(2, LENGTH - 3, _SHEET_FRAMES).astype(int).tolist():
        rgb = np.array(Image.open(clip.frames[index]))
        layers = [read_mask(clip.truths[index])]
        layers += [results[index]] if index in results else []
        tiles = [rgb, *(np.where(ids[..., None] > 0, rgb // 2 + _COLOURS[ids % 5] // 2, rgb) for ids in layers)]
        size = _SHEET_WIDTH_PX, round(_SHEET_WIDTH_PX * rgb.shape[0] / rgb.shape[1])
        columns.append(np.vstack([cv2.resize(tile, size, interpolation=cv2.INTER_AREA) for tile in tiles]))
    return np.asarray(np.hstack(columns), np.uint8)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parse()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    arguments = [f"--{kind}={name}" for kind in ("segmenter", "propagator", "refiner") if (name := vars(options)[kind])]
    engine = None
    if options.true_anchors:
        engine = registry.propagator(options.propagator or "match:lite", options.weights, "cpu", {})
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory(prefix="lis-presence-") as temporary:
        scratch = options.scratch or Path(temporary)
        for name, composition in compositions(options.clips_of, options.clips):
            clip = write_clip(name, composition, scratch / "clips")
            found: dict[int, LabelMap] = {}
            if not options.only_clips:
                if engine:
                    found = dict(from_true_anchors(engine, clip, options.memory_anchors))
                else:
                    found = dict(from_strokes(clip, scratch, arguments))
                tallies[name] = measure(clip, found)
                print(name, *(f"{key} {value:.3f}" for key, value in tallies[name].figures().items()), flush=True)
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                Image.fromarray(sheet(clip, found)).save(options.pictures / f"{name}.png")
    if tallies:
        _report(tallies, options.json)
    return 0


def _report(tallies: dict[str, Tally], file: Path | None) -> None:
    rows: dict[str, Tally] = dict(tallies)
    for kind in KINDS:
        rows[kind] = _sum([tally for name, tally in tallies.items() if name.endswith(kind)])
    rows["pooled"] = _sum(list(tallies.values()))
    table = Table("clips", "J", "painted", "foreign", "gone", box=SIMPLE)
    for name, tally in rows.items():
        figures = (f"{value:.3f}" for value in tally.figures().values())
        table.add_row(name, *figures, end_section=name == list(tallies)[-1])
    Console().print(table)
    if file:
        text: dict[str, Any] = {name: tally.figures() for name, tally in rows.items()}
        text = {"clips": text, "command": shlex.join(sys.orig_argv), "machine": machine()}
        file.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


def _sum(tallies: Sequence[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total = total.plus(tally)
    return total


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips-of", type=Path, required=True, help="the set davis16_train")
    parser.add_argument("--clips", type=int, default=CLIPS, help="the first so many (%(default)s)")
    parser.add_argument("--true-anchors", action="store_true", help="the propagator alone, from true masks")
    parser.add_argument("--only-clips", action="store_true", help="measure nothing: make the clips, and --pictures")
    parser.add_argument("--segmenter", help="an engine; default, here and below: as luigi.cfg says")
    parser.add_argument("--propagator")
    parser.add_argument("--refiner")
    parser.add_argument("--memory-anchors", type=int, choices=(2, 4), default=2, help="with --true-anchors")
    parser.add_argument("--weights", type=Path, default=Path("data/weights"), help="folder of the checkpoints")
    parser.add_argument("--scratch", type=Path, help="a new folder that keeps clips, results and logs")
    parser.add_argument("--pictures", type=Path, help="a folder for sheets: frames, truth, result")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
