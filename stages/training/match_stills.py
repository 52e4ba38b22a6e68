"""Stretches of video made from single pictures: an object moves, turns and bends, before another picture or its own.

For variety: there are more pictures with masks than clips. Motion is smooth, and so is the light; nothing else is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.training.match_stretches import SIZE_HW, Stretch
from stages.training.pictures import Picture
from stages.training.recipe import Draw
from stages.training.scenes import draw_object, drawn, motion_kernel, with_band

SIDE_PX: Final = 256
"""Sizes and motions are shares of it."""
WANTED: Final = "an object that has some contour and takes less than half of the picture"
LEAST_OBJECT_PX, LARGEST_SHARE = 300, 0.5
"""Pixels of an object in its picture, and how much of that it may take: something must be left to move before."""
_LEAST_VISIBLE_PX: Final = 400
_STEPS: Final = (3, 8)
_MIDDLE_XY: Final = np.array([SIZE_HW[1] / 2, SIZE_HW[0] / 2])
_GREY: Final = (127, 127, 127)

Rgb = NDArray[np.uint8]
Mask = NDArray[np.uint8]
"""1 object, 0 background, 255 unknown."""
Soft = NDArray[np.float32]


def still_stretch(draw: Draw, rng: np.random.Generator) -> Stretch:
    """Make one: an object, and in a third of them another one that may cover it."""
    layers, target_layer = drawn(
        lambda: _scene(draw, rng),
        lambda made: all(np.count_nonzero(_compose(*made, time)[1] == 1) >= _LEAST_VISIBLE_PX for time in (0.0, 1.0)),
        "an object of some size",
    )
    times = np.linspace(0, 1, int(rng.integers(*_STEPS, endpoint=True)) + 1).tolist()
    light = _Light(rng)
    frames, labels = zip(*(_compose(layers, target_layer, time) for time in times), strict=True)
    return Stretch([light.at(time, rgb) for time, rgb in zip(times, frames, strict=True)], list(labels))


@dataclass(frozen=True)
class _Pose:
    """How a layer lies: all numbers can be interpolated."""

    values: NDArray[np.float64]
    """Rotation (radians), logarithm of the scale, shear, and shift x, y in crop pixels."""
    field: Soft
    """(4, 4, 2) crop pixels: displacements of a coarse grid."""

    @classmethod
    def drawn(cls, rng: np.random.Generator, strength: float) -> "_Pose":
        deviation = np.array([np.deg2rad(7), 0.07, 0.06, 0.09 * SIDE_PX, 0.09 * SIDE_PX])
        field = rng.normal(0, 0.018 * SIDE_PX * strength, (4, 4, 2)).astype(np.float32)
        return cls(rng.normal(0, deviation * strength), field)

    def blended(self, other: "_Pose", bend: "_Pose", time: float) -> "_Pose":
        """From this pose to another, by a detour."""
        shares = 1 - time, time, 2 * time * (1 - time)
        poses = self, other, bend
        return _Pose(
            sum((share * pose.values for share, pose in zip(shares, poses, strict=True)), np.zeros(5)),
            sum((np.float32(share) * pose.field for share, pose in zip(shares, poses, strict=True)), np.float32(0)),  # type: ignore[arg-type]
        )


class _Layer:
    """A picture, or an object cut out of it, that moves."""

    def __init__(
        self, rgb: Rgb, mask: Mask, centre_xy: Any, scale: float, place_xy: Any, rng: np.random.Generator, cut_out: bool
    ) -> None:
        """`scale`: picture pixels in a crop pixel; `centre_xy` of the picture comes to `place_xy` of the crop."""
        if scale > 1.5:
            rgb = cv2.GaussianBlur(rgb, (0, 0), 0.4 * scale)
        self._rgb, self._mask, self.cut_out = rgb, mask, cut_out
        self._centre, self._scale, self._place = np.asarray(centre_xy), scale, np.asarray(place_xy)
        strength = float(rng.choice([0.4, 1.0, 1.6]))
        self._first, self._last, self._bend = (_Pose.drawn(rng, strength) for _ in range(3))

    def at(self, time: float) -> tuple[Rgb, Mask]:
        """Its picture (H, W, 3), grey beyond its border, and its mask there."""
        pose = self._first.blended(self._last, self._bend, time)
        turn, log_scale, shear, *shift = pose.values
        cos, sin = np.cos(turn), np.sin(turn)
        linear = (
            np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]]) * (self._scale * np.exp(log_scale))
        )
        height, width = SIZE_HW
        y, x = np.mgrid[:height, :width]
        field = cv2.resize(pose.field, (width, height), interpolation=cv2.INTER_CUBIC)
        from_xy = (np.dstack([x, y]) - self._place - shift + field) @ linear.T + self._centre
        from_xy = from_xy.astype(np.float32)
        rgb = cv2.remap(self._rgb, from_xy, None, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, _GREY)
        mask = cv2.remap(self._mask, from_xy, None, cv2.INTER_NEAREST, None, cv2.BORDER_CONSTANT, 0)
        return rgb, mask


def _scene(draw: Draw, rng: np.random.Generator) -> tuple[list[_Layer], int]:
    """Layers from back to front, and which of them holds the object."""
    picture, mask = _fitting_object(draw, rng)
    cut_out = rng.random() < 0.6
    centre, longer = _extent(mask)
    scale = longer / (SIDE_PX * rng.uniform(0.4, 0.75))
    middle = _MIDDLE_XY + rng.uniform(-0.1, 0.1, 2) * SIDE_PX
    target = _Layer(picture.rgb, mask, centre, scale, middle, rng, cut_out)
    layers = [target]
    if cut_out:
        behind = draw(rng)
        height, width = behind.labels.shape
        wide = min(height / SIZE_HW[0], width / SIZE_HW[1]) * rng.uniform(0.6, 1.0)
        unused = np.zeros_like(behind.labels)
        layers.insert(0, _Layer(behind.rgb, unused, (width / 2, height / 2), wide, _MIDDLE_XY, rng, False))
    place = len(layers) - 1
    if rng.random() < 0.35:
        other, other_mask = _fitting_object(draw, rng)
        other_centre, other_longer = _extent(other_mask)
        size = other_longer / (SIDE_PX * rng.uniform(0.15, 0.5))
        beside = rng.uniform(0.15, 0.85, 2) * SIZE_HW[::-1]
        layer = _Layer(other.rgb, other_mask, other_centre, size, beside, rng, True)
        # In front of everything, or behind the object, where that is cut out.
        in_front = rng.random() < 0.6 or not cut_out
        layers.insert(len(layers) if in_front else place, layer)
        place += not in_front
    return layers, place


def _fitting_object(draw: Draw, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """An object of at most half the picture; cut out, it leaves behind what may not belong to it."""
    return drawn(
        lambda: draw_object(lambda rng: with_band(draw(rng)), rng),
        lambda one: LEAST_OBJECT_PX <= np.count_nonzero(one[1] == 1) <= LARGEST_SHARE * one[1].size,
        WANTED,
    )


def _extent(mask: Mask) -> tuple[tuple[float, float], int]:
    """Centre and longer side of an object's box."""
    box = Box.around(mask == 1)
    return ((box.left + box.right) / 2, (box.top + box.bottom) / 2), max(box.size_wh)


def _compose(layers: Sequence[_Layer], target_layer: int, time: float) -> tuple[Rgb, Mask]:
    """The picture at a time, and what is to be seen of the object (1) and of another one (2), or unknown (255)."""
    picture, labels = layers[0].at(time)
    if target_layer:
        labels = np.zeros_like(labels)
    for number, layer in enumerate(layers[1:], 1):
        rgb, mask = layer.at(time)
        inside = mask == 1
        alpha = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.8)[..., None]
        picture = (alpha * rgb + (1 - alpha) * picture).astype(np.uint8)
        labels[inside] = 1 if number == target_layer else 2
    return picture, labels


class _Light:
    """Brightness, contrast and colour that drift; blur and noise that come and go."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._gains = np.exp(rng.normal(0, 0.06, (2, 3)))
        self._offsets = rng.normal(0, 6, 2)

    def at(self, time: float, rgb: Rgb) -> Rgb:
        shares = np.array([1 - time, time])
        x = (rgb.astype(np.float32) - 127) * (shares @ self._gains) + 127 + shares @ self._offsets
        if self._rng.random() < 0.2:
            x = cv2.filter2D(x, -1, motion_kernel(self._rng))
        x = x + self._rng.normal(0, 3, x.shape)
        return np.clip(x, 0, 255).astype(np.uint8)
