"""Pairs of crops for `siammask:lite` from two frames of a video, as its tracker would cut them out.

What stills do not show: how things bend, turn and blur, and what passes in front of them.
"""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.palette import IGNORE
from stages.core.types import Frame, LabelMap
from stages.engines.propagators.siammask import crops
from stages.training.match_stretches import composed_clip
from stages.training.pictures import clips_of
from stages.training.recipe import Draw, Sample
from stages.training.scenes import drawn
from stages.training.siammask_pairs import (
    LEAST_OBJECT_PX,
    SEARCH_SIDE_PX,
    WANTED,
    Grid,
    Layer,
    around,
    look,
    photographed,
    searched,
    square,
)

_STEPS: Final = (1, 15)
"""From frame to frame, small ones as often as large ones; `davis16_train` holds every second."""
_LEAST_SEEN_PX: Final = 200
"""Of the target on the second frame, where something may hide it."""

Pair = tuple[Layer, Layer]


def clip_pair(draw: Draw, rng: np.random.Generator, context: float) -> Sample:
    """Two frames of a real clip, the later one first as often as not; see `SiamMaskRecipe.sample`."""
    clips = clips_of(draw)

    def two() -> Pair | None:
        frames = clips[int(rng.integers(len(clips)))]
        one, other = (frames[place] for place in _places(len(frames), rng))
        return _both((one.rgb, one.labels), (other.rgb, other.labels), rng)

    return _cut_out(two, rng, context)


def composed_pair(draw: Draw, rng: np.random.Generator, context: float) -> Sample:
    """Two frames of a composed clip, in which things cross; see `SiamMaskRecipe.sample`."""

    def two() -> Pair | None:
        clip = composed_clip(draw, rng)
        one, other = (clip.at(time) for time in _places(clip.length, rng))
        return _both(one, other, rng)

    return _cut_out(two, rng, context)


def _places(count: int, rng: np.random.Generator) -> tuple[int, int]:
    low, high = _STEPS
    steps = min(count - 1, round(float(np.exp(rng.uniform(*np.log((low, high)))))))
    first = int(rng.integers(count - steps))
    return (first, first + steps) if rng.random() < 0.5 else (first + steps, first)


def _both(one: tuple[Frame, LabelMap], other: tuple[Frame, LabelMap], rng: np.random.Generator) -> Pair | None:
    """An object that both show, mirrored as often as not; None if there is none."""
    seen = [np.bincount(labels.ravel(), minlength=256)[1:IGNORE] for _, labels in (one, other)]
    found = np.flatnonzero((seen[0] >= LEAST_OBJECT_PX) & (seen[1] >= _LEAST_SEEN_PX)) + 1
    if not len(found):
        return None
    object_id, flip = int(rng.choice(found)), slice(None, None, int(rng.choice([-1, 1])))
    layers = [
        Layer(rgb[:, flip], np.where(labels == IGNORE, np.uint8(IGNORE), labels == object_id)[:, flip])
        for rgb, labels in (one, other)
    ]
    return layers[0], layers[1]


def _cut_out(two: Callable[[], Pair | None], rng: np.random.Generator, context: float) -> Sample:
    """Make crops of a pair."""
    pair = drawn(two, lambda found: found is not None, WANTED)
    assert pair is not None
    known, target = pair
    fill = tuple(int(value) for value in crops.mean_colour(known.rgb))

    def crop(layer: Layer, grid: Grid) -> Layer:
        return Layer(look(layer.rgb, grid, cv2.INTER_LINEAR, fill), look(layer.mask, grid, cv2.INTER_NEAREST, 0))

    size = known.box[2:] * np.exp(rng.normal(0, 0.04, 2))
    z_grid = square(known.box[:2], around(size, context), crops.TEMPLATE_SIDE_PX)
    offset, scale = searched(target.box[2:], rng, context)
    x_grid = square(target.box[:2] - offset / scale, SEARCH_SIDE_PX / scale, SEARCH_SIDE_PX)
    box: NDArray[np.float64] = np.array([*offset, *target.box[2:] * scale])
    return photographed(crop(known, z_grid), crop(target, x_grid), box, rng)
