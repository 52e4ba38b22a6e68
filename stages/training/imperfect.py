"""Masks that are wrong as the pipeline's are: soft, wobbly, leaking into what looks alike, lacking limbs, displaced.

Besides perturbations of the boundary as in CascadePSP (CVPR 2020, section 3.4), which keep to its neighbourhood, these
are the errors that one sees in masks made from few strokes and carried by motion: whole regions of one colour too much
or too little, and two such masks blended.
"""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stages.training.strokes import disc

Mask = NDArray[np.bool_]
Rgb = NDArray[np.uint8]

_UNTOUCHED: Final = 0.12
_BLENDED: Final = 0.3


def imperfect_mask(truth: Mask, others: Mask, rgb: Rgb, rng: np.random.Generator) -> NDArray[np.float32]:
    """A soft mask that somebody might take for the object's.

    Args:
        truth: (H, W), not empty.
        others: (H, W), other objects, into which it may leak.
        rgb: (H, W, 3) uint8, the picture.
        rng: makes every choice; one mask in eight is the truth, but for its softness.

    Returns:
        (H, W) float32 in [0, 1].
    """
    if rng.random() < _UNTOUCHED:
        mask = truth.astype(np.float32)
    else:
        mask = _damaged(truth, others, rgb, rng).astype(np.float32)
        if rng.random() < _BLENDED:
            share = rng.uniform(0.2, 0.8)
            mask = share * mask + (1 - share) * _damaged(truth, others, rgb, rng).astype(np.float32)
    return _softened(mask, rng)


def _damaged(truth: Mask, others: Mask, rgb: Rgb, rng: np.random.Generator) -> Mask:
    """A hard mask with some errors, at an overlap that is drawn first, so that small errors are not rare."""
    least_iou = rng.uniform(0.4, 0.95)
    for _ in range(6):
        mask = truth
        for error, how_often in _ERRORS.items():
            if rng.random() < how_often:
                mask = error(mask, others, rgb, rng)
        if np.count_nonzero(mask & truth) >= least_iou * np.count_nonzero(mask | truth):
            return mask
    return truth


def _softened(mask: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Blurred, with a sharpness that varies as that of a network's probabilities does; a third stays hard."""
    style = rng.random()
    if style < 0.3:
        return mask
    soft = cv2.GaussianBlur(mask, (0, 0), np.exp(rng.uniform(np.log(0.7), np.log(5))))
    if style < 0.6:
        return np.clip(soft, 0, 1)
    sharpness = np.exp(_noise(mask.shape, rng.uniform(8, 30), rng) * 0.7 + rng.uniform(-0.3, 1.5))
    logit = np.log((soft + 1e-3) / (1 - soft + 1e-3)) * sharpness + rng.normal(0, 0.4)
    return expit(logit).astype(np.float32)


# ---------------------------------------------------------------------------------------------- kinds of errors


def _leaking(mask: Mask, others: Mask, rgb: Rgb, rng: np.random.Generator) -> Mask:
    """One to three regions too much, of other objects first."""
    for _ in range(rng.integers(1, 4)):
        point = _on_rim(mask, rng, outside=True)
        near = _around(point, mask.shape, rng)
        region = near & others if (near & others).any() and rng.random() < 0.7 else _region(point, near, rgb, rng)
        mask = mask | region
    return mask


def _lacking(mask: Mask, _others: Mask, rgb: Rgb, rng: np.random.Generator) -> Mask:
    """One to three regions too little."""
    for _ in range(rng.integers(1, 4)):
        point = _on_rim(mask, rng, outside=False)
        mask = mask & ~_region(point, _around(point, mask.shape, rng), rgb, rng)
    return mask


def _without_thin_parts(mask: Mask, _others: Mask, _rgb: Rgb, rng: np.random.Generator) -> Mask:
    """Opened, or, as often, closed: bays are lost."""
    kernel = disc(int(rng.integers(2, 2 + max(2, int(0.08 * np.sqrt(np.count_nonzero(mask)))))))
    kind = cv2.MORPH_OPEN if rng.random() < 0.6 else cv2.MORPH_CLOSE
    return cv2.morphologyEx(mask.astype(np.uint8), kind, kernel) > 0


def _spotted(mask: Mask, _others: Mask, rgb: Rgb, rng: np.random.Generator) -> Mask:
    """Islands and holes."""
    for _ in range(rng.integers(1, 5)):
        point = int(rng.integers(0, mask.shape[1])), int(rng.integers(0, mask.shape[0]))
        region = _region(point, _around(point, mask.shape, rng, largest=0.08), rgb, rng)
        mask = mask & ~region if mask[point[1], point[0]] else mask | region
    return mask


def _fat_or_thin(mask: Mask, _others: Mask, _rgb: Rgb, rng: np.random.Generator) -> Mask:
    """Grown or shrunk, everywhere or on some stretches."""
    kernel = disc(int(rng.integers(1, 6)))
    changed = (cv2.dilate if rng.random() < 0.5 else cv2.erode)(mask.astype(np.uint8), kernel) > 0
    return np.where(_noise(mask.shape, rng.uniform(5, 40), rng) > rng.uniform(-1.5, 1), changed, mask)


def _coarse(mask: Mask, _others: Mask, _rgb: Rgb, rng: np.random.Generator) -> Mask:
    """A polygon of few corners, or what is left of it at a low resolution."""
    if rng.random() < 0.5:
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        polygons = [cv2.approxPolyDP(outline, rng.uniform(1.5, 6), True) for outline in outlines]
        return cv2.fillPoly(np.zeros(mask.shape, np.uint8), polygons, 1) > 0
    scale = 1 / rng.uniform(3, 10)
    small = cv2.resize(mask.astype(np.float32), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5


def _wobbly(mask: Mask, _others: Mask, _rgb: Rgb, rng: np.random.Generator) -> Mask:
    """The boundary displaced, by noise of one or two scales."""
    height, width = mask.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for _ in range(rng.integers(1, 3)):
        reach_px = np.exp(rng.uniform(np.log(2), np.log(25)))
        amplitude_px = min(rng.uniform(0.1, 0.5) * reach_px, 6)
        x += amplitude_px * _noise(mask.shape, reach_px, rng)
        y += amplitude_px * _noise(mask.shape, reach_px, rng)
    return cv2.remap(mask.astype(np.uint8), x, y, cv2.INTER_NEAREST) > 0


def _moved(mask: Mask, _others: Mask, _rgb: Rgb, rng: np.random.Generator) -> Mask:
    """Shifted a few pixels, a bit scaled and turned."""
    height, width = mask.shape
    affine = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 1.5), np.exp(rng.normal(0, 0.02)))
    affine[:, 2] += rng.normal(0, rng.uniform(0.5, 4), 2)
    return cv2.warpAffine(mask.astype(np.uint8), affine, (width, height), flags=cv2.INTER_NEAREST) > 0


_ERRORS: Final[dict[Callable[[Mask, Mask, Rgb, np.random.Generator], Mask], float]] = {
    _leaking: 0.5,
    _lacking: 0.5,
    _without_thin_parts: 0.3,
    _spotted: 0.25,
    _fat_or_thin: 0.4,
    _coarse: 0.25,
    _wobbly: 0.7,
    _moved: 0.4,
}
"""How often each kind occurs, in this order."""


# ---------------------------------------------------------------------------------------------- regions and noise


def _region(point_xy: tuple[int, int], near: Mask, rgb: Rgb, rng: np.random.Generator) -> Mask:
    """What has the colour of a point, near it; or all that is near, if that is next to nothing, and sometimes."""
    if rng.random() < 0.6:
        smooth = cv2.blur(rgb, (3, 3))
        flooded = np.zeros((near.shape[0] + 2, near.shape[1] + 2), np.uint8)
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
        tolerance = (float(rng.uniform(8, 40)),) * 3
        cv2.floodFill(smooth, flooded, point_xy, 0, tolerance, tolerance, flags)
        alike = cv2.morphologyEx(flooded[1:-1, 1:-1], cv2.MORPH_CLOSE, disc(2)) > 0
        if np.count_nonzero(alike & near) > 20:
            return alike & near
    return near


def _around(
    point_xy: tuple[int, int], size_hw: tuple[int, int], rng: np.random.Generator, largest: float = 0.28
) -> Mask:
    """A disc that is none: its radius, up to a share of the sides, varies with the direction."""
    radius_px = float(np.exp(rng.uniform(np.log(0.02), np.log(largest)))) * float(np.mean(size_hw))
    x = (np.arange(size_hw[1], dtype=np.float32) - point_xy[0]) * float(np.exp(rng.normal(0, 0.4)))
    y = np.arange(size_hw[0], dtype=np.float32) - point_xy[1]
    distance = np.sqrt(x**2 + y[:, None] ** 2)
    return distance < radius_px * (1 + 0.35 * _noise(size_hw, max(radius_px / 2, 2), rng))


def _on_rim(mask: Mask, rng: np.random.Generator, outside: bool) -> tuple[int, int]:
    """A point (x, y) near the boundary; anywhere, if there is none."""
    grown = (cv2.dilate if outside else cv2.erode)(mask.astype(np.uint8), disc(3)) > 0
    candidates = np.argwhere(grown != mask)
    row, column = candidates[rng.integers(len(candidates))] if len(candidates) else rng.integers(0, mask.shape, 2)
    return int(column), int(row)


def _noise(size_hw: tuple[int, ...], reach_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise (H, W) of deviation 1, made at a resolution that suits its reach."""
    step = max(reach_px / 2, 1)
    low = rng.normal(0, 1, (int(size_hw[0] / step) + 3, int(size_hw[1] / step) + 3)).astype(np.float32)
    low = cv2.GaussianBlur(low, (0, 0), 2)
    low /= max(float(low.std()), 1e-6)
    return cv2.resize(low, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_CUBIC)
