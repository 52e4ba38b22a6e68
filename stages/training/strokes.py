"""Strokes as an annotator draws them, made from masks in all their variety: lines along the middle, scrawls, dots."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from stages.core.centre_lines import longest_paths

Mask = NDArray[np.bool_]
Path = NDArray[np.int32]
"""(N, 2) pixels (x, y)."""


def draw_strokes(mask: Mask, rng: np.random.Generator) -> list[Path]:
    """Strokes inside a mask (H, W) that is not empty: along its middle mostly, else a scrawl, or a few dots."""
    style = rng.random()
    if style < 0.65:
        paths = _along_the_middle(mask, rng)
    elif style < 0.85:
        paths = [_scrawl(mask, rng) for _ in range(rng.integers(1, 4))]
    else:
        paths = list(points_inside(mask, int(rng.integers(1, 7)), rng)[:, None])
    return [path for path in paths if len(path)] or list(points_inside(mask, 1, rng)[:, None])


def points_inside(mask: Mask, count: int, rng: np.random.Generator) -> Path:
    """Points (count, 2) in a mask, rather in its middle than at its rim."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1].ravel().astype(float)
    chosen = rng.choice(depth.size, count, p=depth / depth.sum())
    return np.column_stack([chosen % mask.shape[1], chosen // mask.shape[1]]).astype(np.int32)


def rasterise(paths: list[Path], size_hw: tuple[int, int], radius_px: int) -> NDArray[np.float32]:
    """Draw strokes of this radius into a map (H, W): 1 on a stroke, else 0."""
    canvas = np.zeros(size_hw, np.uint8)
    for path in paths:
        cv2.polylines(canvas, [path.reshape(-1, 1, 2)], False, 1)
        cv2.line(canvas, path[0].tolist(), path[0].tolist(), 1)
    return cv2.dilate(canvas, disc(radius_px)).astype(np.float32)


def disc(radius_px: int) -> NDArray[np.uint8]:
    """The pixels within a radius: (2r + 1, 2r + 1) uint8, 1 inside."""
    y, x = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    return (x * x + y * y <= radius_px * radius_px).astype(np.uint8)


def _along_the_middle(mask: Mask, rng: np.random.Generator) -> list[Path]:
    """Most of the paths of the skeleton, a bit displaced, shorter at their ends; thin parts may go without."""
    small = cv2.resize(mask.astype(np.uint8), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    radius_px = rng.uniform(0, 0.1) * np.sqrt(np.count_nonzero(small))
    opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, disc(int(radius_px)))
    pixels_yx = np.argwhere(skeletonize(opened > 0))  # type: ignore[no-untyped-call]
    if not len(pixels_yx):
        return []
    paths = sorted(longest_paths(pixels_yx), key=len, reverse=True)[:6]
    kept = [path for index, path in enumerate(paths) if index == 0 or (len(path) >= 4 and rng.random() < 0.8)]
    return [_by_hand(2 * path[:, ::-1], mask, rng) for path in kept]


def _by_hand(path_xy: NDArray[np.intp], mask: Mask, rng: np.random.Generator) -> Path:
    """Cut the ends, thin out to a polyline, displace its corners, keep what stays inside."""
    start, stop = rng.uniform(0, 0.25, 2) * len(path_xy)
    path = path_xy[int(start) : max(int(len(path_xy) - stop), int(start) + 1)]
    step = int(rng.integers(4, 12))
    corners = path[::step] + rng.normal(0, rng.uniform(0, 2.5), path[::step].shape)
    return _inside(np.rint(corners), mask)


def _scrawl(mask: Mask, rng: np.random.Generator) -> Path:
    """A line between a few points of the mask, as far as it stays inside."""
    corners = points_inside(mask, int(rng.integers(2, 5)), rng)
    fractions = np.linspace(0, 1, 20)[:, None]
    line = np.concatenate([a + fractions * (b - a) for a, b in pairwise(corners)])
    return _inside(np.rint(line), mask)


def _inside(points: NDArray[np.floating], mask: Mask) -> Path:
    """The first points up to the one that leaves the mask."""
    whole = points.astype(np.int32)
    nearest = whole.clip(0, np.array(mask.shape[::-1]) - 1)
    fits = (whole == nearest).all(axis=1) & mask[nearest[:, 1], nearest[:, 0]]
    return whole[: int(np.argmin(np.append(fits, False)))]
