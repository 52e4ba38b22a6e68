"""Results whose errors are known: what doubt is fitted on, and what it is measured on.

The real command runs on clips with truth, with centre-line strokes made from it. Sets to fit on are made of those clips
of `davis16_train` that every training sees; those to measure on share none with them. One is run with the engines
without weights, too, whose errors are others.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.clips import Clip, clip_names, open_clip
from benchmarks.presence import compositions, write_clip
from benchmarks.quality import DATASET, REQUESTS, annotate, run_pipeline
from stages.formats.layout import sequence_paths
from stages.training.composed import Composition, Shot
from stages.training.pictures import CLIPS_SET, HELD_OUT_CLIPS, by_clip
from stages.training.sets import PictureSet, read_set

_WITHOUT: Final = " without weights"
_ENGINES: Final = ("--segmenter=grabcut", "--propagator=flow", "--refiner=guided")
FITTED_ON: Final = ("composed for fitting", "clips for fitting")
MEASURED_ON: Final = ("held-out clips", "composed", "davis16", "multi", f"davis16{_WITHOUT}")
_SEED: Final = 1903
_COMPOSED: Final = 10
_CLIPS: Final = 16
_ANCHORS: Final = (2, 3, 4, 5, 8)
"""How many frames of a clip have strokes, in turn; many where errors are small, few where they are large."""


class Sources(NamedTuple):
    """Where clips with truth lie."""

    davis16: Path
    multi: Path
    clips: Path
    """The set `davis16_train`."""


def clips_of(name: str, sources: Sources, scratch: Path) -> Iterator[tuple[Clip, int]]:
    """The clips of a set, and how many anchors are asked for beyond those that its strokes are on already."""
    name = name.removesuffix(_WITHOUT)
    root = scratch / "clips" / name.replace(" ", "-")
    if name in ("davis16", "multi"):
        found = sources.davis16 if name == "davis16" else sources.multi
        yield from ((open_clip(found, clip), REQUESTS) for clip in clip_names(found))
    elif name == "composed":
        for clip, composition in compositions(sources.clips):
            yield _written(clip, composition, root), 0
    elif name == "composed for fitting":
        for clip, composition in compositions(sources.clips, _COMPOSED, _seen_by_trainings(sources.clips), _SEED):
            yield _written(clip, composition, root), 0
    else:
        chosen = HELD_OUT_CLIPS if name == "held-out clips" else _seen_by_trainings(sources.clips)[:_CLIPS]
        pictures, _ = read_set(PictureSet(CLIPS_SET, sources.clips, 1.0), "auto", chosen)
        for number, frames in enumerate(by_clip(pictures)):
            whole = Composition(Shot(frames), [], len(frames), {1: 1})
            anchors = np.linspace(0, len(frames) - 1, _ANCHORS[number % len(_ANCHORS)]).astype(int).tolist()
            yield _written(str(frames[0].clip), whole, root, anchors), 0


def results(name: str, sources: Sources, scratch: Path) -> Iterator[tuple[Clip, Path]]:
    """The clips of a set and their folders of results, which are made where they are missing or not up to date."""
    folder = scratch / name.replace(" ", "-")
    arguments = ["--data-root", str(folder / "data"), "--outputs-root", str(folder / "outputs"), "--placement", "given"]
    arguments += _ENGINES if name.endswith(_WITHOUT) else ()
    for clip, requests in clips_of(name, sources, scratch):
        paths = sequence_paths(folder / "data", DATASET, clip.name)
        if not paths.scribbles.exists():
            annotate(clip, folder / "data", requests, placement="eq1" if requests else "given")
        run_pipeline(clip.name, arguments, folder / f"{clip.name}.log")
        yield clip, folder / "outputs" / clip.name


def _seen_by_trainings(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "JPEGImages/480p").iterdir() if path.name not in HELD_OUT_CLIPS)


def _written(name: str, composition: Composition, root: Path, anchors: Sequence[int] | None = None) -> Clip:
    if not (root / "Scribbles" / name / "001.json").exists():
        for part in ("JPEGImages/480p", "Annotations/480p", "Scribbles"):
            shutil.rmtree(root / part / name, ignore_errors=True)
        return write_clip(name, composition, root, *([] if anchors is None else [anchors]))
    return open_clip(root, name)
