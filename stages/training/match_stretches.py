"""Stretches of video to learn propagation from: of real clips, and of composed ones, at the pipeline's distances."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.types import Frame, LabelMap
from stages.training.choreography import Kind, compose
from stages.training.composed import LEAST_SEEN_PX, Composition, Shot, shots
from stages.training.pictures import Picture, clips_of
from stages.training.recipe import Draw

SIZE_HW: Final = (224, 304)
"""Of the view; everything is looked at in it."""
_STEPS: Final = (2, 20)
"""From anchor to anchor, in frames of a clip, small ones as often as large ones; `davis16_train` holds every second."""
_LARGEST_SCALE: Final = 2.0
_VIEWS: Final = {1.5: 0.5, 2.4: 0.3, 3.75: 0.2}
"""By how much the objects' box is grown: as the engine does it, in the first view, the second, the third."""
_KINDS: Final[tuple[Kind, ...]] = ("mixed", "alike", "touching", "fast")
_STILL_CAST: Final = 0.35
"""How often one thing of a composed clip comes from a picture by itself."""
_LENGTH: Final = 40
_PLACES: Final = 4
"""Of a composed clip, before one is taken at which nobody comes or goes."""


@dataclass(frozen=True)
class Stretch:
    """Frames from one anchor to the next, both included."""

    frames: Sequence[Frame]
    """Each (H, W, 3) uint8 RGB."""
    labels: Sequence[LabelMap]
    """Each (H, W) uint8: 0 background, objects, 255 unknown."""


def clip_stretch(draw: Draw, rng: np.random.Generator) -> Stretch:
    """A stretch of a real clip, forwards or backwards."""
    clips = clips_of(draw)
    frames = clips[int(rng.integers(len(clips)))]
    steps = _steps(rng, len(frames) - 1)
    first = int(rng.integers(len(frames) - steps))
    chosen = list(frames[first : first + steps + 1])
    if rng.random() < 0.5:
        chosen.reverse()
    return _viewed([each.rgb for each in chosen], [each.labels for each in chosen], rng)


def composed_stretch(draw: Draw, rng: np.random.Generator) -> Stretch:
    """A stretch of a composed clip; rather one in which somebody comes or goes."""
    clip = composed_clip(draw, rng)
    steps = _steps(rng, clip.length - 1)
    for _ in range(_PLACES):
        first = int(rng.integers(clip.length - steps))
        if _is_eventful(clip, first, steps):
            break
    frames, labels = zip(*(clip.at(first + time) for time in range(steps + 1)), strict=True)
    return _viewed(list(frames), list(labels), rng)


def composed_clip(draw: Draw, rng: np.random.Generator) -> Composition:
    """A composed clip of two to four objects, of those clips and pictures that are drawn from."""
    sceneries, cast = _studio(draw)  # type: ignore[arg-type]  # a protocol of a call has a hash, too
    if rng.random() < _STILL_CAST and (still := _still(draw, rng)):
        cast = [*(cast[place] for place in rng.choice(len(cast), min(3, len(cast)), replace=False)), still]
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    return compose(sceneries, cast, kind, int(rng.integers(2, 5)), _LENGTH, rng)


def _is_eventful(composition: Composition, first: int, steps: int) -> bool:
    times = first, first + steps // 2, first + steps
    seen = composition.seen_at(times) >= LEAST_SEEN_PX
    return bool((seen.any(axis=0) & ~seen.all(axis=0) & (seen[0] | seen[-1])).any())


@lru_cache(maxsize=4)
def _studio(draw: object) -> tuple[list[Shot], list[Shot]]:
    """Sceneries and cast."""
    clips = clips_of(draw)
    return [Shot(frames) for frames in clips], [shot for frames in clips for shot in shots(frames)]


def _still(draw: Draw, rng: np.random.Generator) -> Shot | None:
    picture: Picture = draw(rng)
    found = [shot for object_id in picture.objects() for shot in shots([picture], object_id)]
    return found[int(rng.integers(len(found)))] if found else None


def _steps(rng: np.random.Generator, most: int) -> int:
    low, high = _STEPS
    return min(most, round(float(np.exp(rng.uniform(*np.log((low, high)))))))


def _viewed(frames: list[Frame], labels: list[LabelMap], rng: np.random.Generator) -> Stretch:
    """What the engine would look at: the surroundings of some objects, or of all, in one size; and perhaps mirrored."""
    rows, columns = _view(labels, rng)
    size = SIZE_HW[::-1]
    shrinks = columns.stop - columns.start > size[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    tone = _tone(rng)
    flip = rng.random() < 0.5
    pictures, truths = [], []
    for frame, ids in zip(frames, labels, strict=True):
        picture = cv2.LUT(cv2.resize(frame[rows, columns], size, interpolation=how), tone)
        truth = cv2.resize(ids[rows, columns], size, interpolation=cv2.INTER_NEAREST)
        pictures.append(np.ascontiguousarray(picture[:, ::-1]) if flip else picture)
        truths.append(np.ascontiguousarray(truth[:, ::-1]) if flip else truth)
    return Stretch(pictures, truths)


def _view(labels: Sequence[LabelMap], rng: np.random.Generator) -> tuple[slice, slice]:
    height, width = labels[0].shape
    anchors = labels[0], labels[-1]
    ids = [each for each in np.unique(np.stack(anchors)).tolist() if 0 < each < 255]
    if ids and rng.random() < 0.6:
        ids = rng.permutation(ids)[: int(rng.integers(1, len(ids) + 1))].tolist()
    inside = np.any([np.isin(each, ids) for each in anchors], axis=0)
    box = Box.around(inside) if inside.any() else Box(0, 0, width, height)
    growth = float(rng.choice(list(_VIEWS), p=list(_VIEWS.values()))) * rng.uniform(0.85, 1.15)
    least_wh = np.array(SIZE_HW[::-1]) / _LARGEST_SCALE
    across, down = np.maximum(np.array(box.size_wh) * growth, least_wh)
    across = min(max(across, down * SIZE_HW[1] / SIZE_HW[0]), width)
    down = min(max(down, across * SIZE_HW[0] / SIZE_HW[1]), height)
    middle = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    spans = []
    for length, side, centre in ((height, down, middle[1]), (width, across, middle[0])):
        start = int(np.clip(centre - side / 2 + rng.normal(0, 0.04) * side, 0, length - side))
        spans.append(slice(start, start + int(side)))
    rows, columns = spans
    return rows, columns


def _tone(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another gamma, contrast and colour, the same for all frames: (1, 256, 3)."""
    tone = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.15))
    tone = (tone - 0.5) * np.exp(rng.normal(0, 0.12)) + 0.5 + rng.normal(0, 0.04)
    return np.clip(255 * tone[:, None] * np.exp(rng.normal(0, 0.05, 3)), 0, 255).astype(np.uint8)[None]
