"""Pairs of crops for `siammask:lite`, made from one still, as its tracker would cut them out of two frames.

Either the whole picture is bent and shifted between the two, or the object is cut out and moves in front of another
picture.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.engines.propagators.siammask import crops
from stages.training.recipe import Draw, Sample
from stages.training.scenes import draw_object, drawn, photograph

SEARCH_SIDE_PX: Final = 191
"""Smaller than the tracker's: the network is the same at every cell, and most of a larger crop teaches nothing new."""
CELLS: Final = (SEARCH_SIDE_PX - crops.TEMPLATE_SIDE_PX) // crops.STRIDE_PX + 1 + 8
LEAST_OBJECT_PX: Final = 600
WANTED: Final = f"an object of {LEAST_OBJECT_PX} pixels"
_MASKS_PER_PAIR: Final = 1
_ABSENT: Final = 0.06
"""Share of the pairs whose search crop does not show the target."""

Grid = NDArray[np.float32]
"""(h, w, 2) where in a picture (x, y) every pixel of a crop comes from."""


@dataclass(frozen=True)
class Layer:
    """A picture with one thing in it."""

    rgb: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    """(H, W): 1 object, 0 background, 255 unknown."""

    @property
    def box(self) -> NDArray[np.float64]:
        """Centre x, centre y, width, height of the object."""
        return bounding_box(self.mask == 1)


def draw_pair(draw: Draw, rng: np.random.Generator, context: float) -> Sample:
    """See `SiamMaskRecipe.sample`, in `siammask_lite.py`."""
    target = _draw_layer(draw, rng)
    # An object that fills its picture has no surroundings there.
    fills = max(target.box[2:] / target.mask.shape[::-1]) > 0.6
    behind = draw(rng).rgb if rng.random() < (0.8 if fills else 0.35) else None
    fill = crops.mean_colour(target.rgb if behind is None else behind)

    size = target.box[2:] * np.exp(rng.normal(0, 0.04, 2))
    z_grid = square(target.box[:2], around(size, context), crops.TEMPLATE_SIDE_PX)
    scene = _Scene(draw, rng, behind, fill)
    z, z_mask = scene.show(target, z_grid, z_grid, busy=0.3)

    motion = Motion(target.box, rng)
    moved = motion.box(target.mask == 1)
    offset, scale = searched(moved[2:], rng, context)
    side = SEARCH_SIDE_PX / scale
    if rng.random() < _ABSENT:
        shown = _draw_layer(draw, rng)
        x_grid = square(shown.box[:2], 1.5 * crops.context_side(*shown.box[2:].tolist()), SEARCH_SIDE_PX)
        answer = np.zeros(4)
    else:
        shown = target
        x_grid = motion.back(square(moved[:2] - offset / scale, side, SEARCH_SIDE_PX))
        answer = np.array([*offset, *(moved[2:] * scale)])
    camera_centre = target.box[:2] + rng.normal(0, 0.25, 2) * target.box[2:]
    camera = square(camera_centre, side * np.exp(rng.normal(0, 0.06)), SEARCH_SIDE_PX)
    x, x_mask = scene.show(shown, x_grid, camera, busy=0.45)
    return photographed(Layer(z, z_mask), Layer(x, x_mask if answer[2] else np.zeros_like(x_mask)), answer, rng)


def searched(size: NDArray[np.floating], rng: np.random.Generator, context: float) -> tuple[NDArray[np.float64], float]:
    """Where a crop of a tracker shows a target of this size: offset from the middle in its pixels, and its scale."""
    believed = size * np.exp(rng.normal(0, 0.12, 2))  # from the frame before
    offset = rng.normal(0, 10, 2) if rng.random() < 0.6 else rng.uniform(-56, 56, 2)
    return offset, crops.TEMPLATE_SIDE_PX / around(believed, context)


def around(size: NDArray[np.floating], context: float) -> float:
    """Side of the square around a target of this size, see `crops.context_side`."""
    width, height = size.tolist()
    return crops.context_side(width, height, context)


def photographed(z: Layer, x: Layer, box: NDArray[np.floating], rng: np.random.Generator) -> Sample:
    """Both crops as one camera sees them, a while apart, and the template's mask as a segmenter draws it."""
    camera = int(rng.integers(2**31))
    z_rgb, x_rgb = (photograph(each.rgb, np.random.default_rng(camera)) for each in (z, x))
    return {
        "z": np.dstack([z_rgb, 255 * _imperfect(z.mask == 1, rng)]),
        "x": _drift(x_rgb, rng),
        "target": x.mask,
        "box": box.astype(np.float32),
        "cells": _cells(box, rng),
    }


class Motion:
    """What happens to an object between two frames: scale, turn, shear, and a smooth bend."""

    def __init__(self, box: NDArray[np.float64], rng: np.random.Generator) -> None:
        """Draw one for an object with this box."""
        self._centre = box[:2].astype(np.float32)
        self._size = float(np.sqrt(box[2] * box[3]))
        strength = rng.choice([0.4, 1.0, 1.6])
        angle = np.deg2rad(rng.normal(0, 11 * strength))
        stretch = np.exp(rng.normal(0, 0.09 * strength, 2))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shear = np.array([[1, rng.normal(0, 0.07 * strength)], [rng.normal(0, 0.04 * strength), 1]])
        flip = np.diag([-1 if rng.random() < 0.03 else 1, 1])
        scale = np.exp(rng.normal(0, 0.12 * strength))
        self._inverse = np.linalg.inv(flip @ turn @ shear @ np.diag(scale * stretch)).astype(np.float32)
        self._bend = [
            rng.normal(0, amplitude * strength, (knots, knots, 2)).astype(np.float32)
            for knots, amplitude in ((3, 0.06), (6, 0.035))
        ]

    def back(self, places: Grid) -> Grid:
        """Where in the first frame the places (h, w, 2) of the second one come from."""
        relative = (places - self._centre) / self._size
        bent = relative @ self._inverse.T
        for knots in self._bend:
            # Knots lie over three object sizes; what is further away moves with the outermost.
            where = (relative / 3 + 0.5) * (len(knots) - 1)
            x, y = (np.ascontiguousarray(where[..., axis], np.float32) for axis in (0, 1))
            bent = bent + cv2.remap(_smooth(knots), *_fine(x, y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return (bent * self._size + self._centre).astype(np.float32)

    def box(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The box of an object's mask after the motion."""
        reach, side = 3 * max(*bounding_box(mask)[2:]), 160
        grid = square(self._centre, reach, side)
        seen = look(mask.astype(np.uint8), self.back(grid), cv2.INTER_NEAREST, 0) > 0
        if not seen.any():
            return bounding_box(mask)
        box = bounding_box(seen)
        per_pixel = reach / side
        return np.array([*(grid[0, 0] + (box[:2] - 0.5) * per_pixel), *(box[2:] * per_pixel)])


class _Scene:
    """What both frames of a pair have in common beside the target."""

    def __init__(
        self, draw: Draw, rng: np.random.Generator, behind: NDArray[np.uint8] | None, fill: NDArray[np.float64]
    ) -> None:
        self._rng, self._behind, self._fill = rng, behind, tuple(int(v) for v in fill)
        self._other = _draw_layer(draw, rng) if rng.random() < 0.7 else None

    def show(self, target: Layer, grid: Grid, camera: Grid, busy: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A crop and its mask (1, 0, 255 unknown).

        Args:
            target: the object.
            grid: where in its picture the crop comes from.
            camera: where the crop lies, in units of the target's picture; the scenery follows it.
            busy: probability that something else is in front of the object or beside it.
        """
        rng = self._rng
        rgb = look(target.rgb, grid, cv2.INTER_LINEAR, self._fill)
        mask = look(target.mask, grid, cv2.INTER_NEAREST, 0)
        if self._behind is not None:
            height, width = self._behind.shape[:2]
            place = (camera - target.box[:2].astype(np.float32)) * (0.35 * min(height, width) / max(target.box[2:]))
            place = place + np.array([width / 2, height / 2], np.float32)
            scenery = look(self._behind, place, cv2.INTER_LINEAR, None)
            rgb = _over(rgb, mask == 1, scenery, rng.uniform(0.5, 0.9))
            mask = (mask == 1).astype(np.uint8)
        if self._other is not None and rng.random() < busy and (mask == 1).any():
            rgb, mask = self._add(rgb, mask)
        return rgb, mask

    def _add(self, rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Put another thing beside the object, or in front of up to half of it."""
        assert self._other is not None
        rng, side = self._rng, len(mask)
        box = bounding_box(mask == 1)
        scale = np.exp(rng.normal(0, 0.4)) * max(self._other.box[2:]) / max(box[2:])
        direction = rng.uniform(0, 2 * np.pi)
        away = rng.uniform(0.4, 1.6) * max(box[2:])
        centre = box[:2] + away * np.array([np.cos(direction), np.sin(direction)])
        y, x = np.mgrid[:side, :side]
        grid = ((np.dstack([x, y]) - centre) * scale + self._other.box[:2]).astype(np.float32)
        front = look(self._other.mask, grid, cv2.INTER_NEAREST, 0) == 1
        if np.count_nonzero(front & (mask == 1)) > 0.5 * np.count_nonzero(mask == 1):
            return rgb, mask
        mixed = _over(look(self._other.rgb, grid, cv2.INTER_LINEAR, 0), front, rgb, 0.7)
        return mixed, np.where(front, 0, mask).astype(np.uint8)


def bounding_box(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centre x, centre y, width, height in pixels, of a mask that is not empty."""
    box = Box.around(mask)
    return np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2, *box.size_wh])


def _draw_layer(draw: Draw, rng: np.random.Generator) -> Layer:
    picture, mask = drawn(
        lambda: draw_object(draw, rng), lambda one: np.count_nonzero(one[1] == 1) >= LEAST_OBJECT_PX, WANTED
    )
    return Layer(picture.rgb, mask)


def square(centre: NDArray[np.floating], side: float, pixels: int) -> Grid:
    """The pixel centres of a square crop that is `side` wide in its picture: (pixels, pixels, 2)."""
    steps = ((np.arange(pixels) + 0.5) / pixels - 0.5) * side - 0.5
    x, y = np.meshgrid(steps + centre[0], steps + centre[1])
    return np.dstack([x, y]).astype(np.float32)


def look(
    picture: NDArray[np.uint8], grid: Grid, interpolation: int, beyond: tuple[int, ...] | int | None
) -> NDArray[np.uint8]:
    """A crop of a picture; beyond its border a colour, or the picture's reflection."""
    border = cv2.BORDER_REFLECT if beyond is None else cv2.BORDER_CONSTANT
    value = 0 if beyond is None else beyond
    looked = cv2.remap(picture, grid.astype(np.float32), None, interpolation, None, border, value)
    return np.asarray(looked, np.uint8)


_KNOT_PX: Final = 8


def _smooth(knots: NDArray[np.float32]) -> NDArray[np.float32]:
    """Displacements between knots, by cubic interpolation, `_KNOT_PX` values a knot."""
    return np.asarray(cv2.resize(knots, None, fx=_KNOT_PX, fy=_KNOT_PX, interpolation=cv2.INTER_CUBIC))


def _fine(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """From places among knots to places among what `_smooth` returns."""
    return (x + 0.5) * _KNOT_PX - 0.5, (y + 0.5) * _KNOT_PX - 0.5


def _over(
    front: NDArray[np.uint8], mask: NDArray[np.bool_], behind: NDArray[np.uint8], blur: float
) -> NDArray[np.uint8]:
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), blur)[..., None]
    return (alpha * front + (1 - alpha) * behind).astype(np.uint8)


def _drift(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light and sharpness change from frame to frame."""
    x = rgb.astype(np.float32)
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.5, 1.6))
    if rng.random() < 0.6:
        x = x * np.exp(rng.normal(0, 0.08)) * np.exp(rng.normal(0, 0.02, 3)).astype(np.float32) + rng.normal(0, 6)
    return np.clip(x, 0, 255).astype(np.uint8)


def _imperfect(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """An anchor's mask as a segmenter draws it: in a third of the cases its outline wanders by a few pixels."""
    solid = mask.astype(np.uint8)
    if rng.random() < 0.65:
        return solid
    inside = cv2.distanceTransform(solid, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - solid, cv2.DIST_L2, 3)
    wander = cv2.resize(rng.normal(0, rng.uniform(0.5, 3), (8, 8)), mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    wandered = (inside > wander).astype(np.uint8)
    return wandered if wandered.any() else solid


def _cells(box: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.int64]:
    """Cells near the object's centre: where its mask may be asked for."""
    centre = box[1::-1] / crops.STRIDE_PX + CELLS // 2
    scatter = rng.normal(0, 1.1, (_MASKS_PER_PAIR, 2))
    return np.clip(np.rint(centre + scatter), 0, CELLS - 1).astype(np.int64)
