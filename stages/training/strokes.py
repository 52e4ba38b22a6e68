"""Strokes as annotators draw them, made from masks in all their variety.

Lines along the middle, scrawls, dots; the whole middle as the interactive robot draws it (`benchmarks.strokes`); one or
two short lines, which is what people draw; single clicks; and strokes on the background near an object.
"""

from itertools import pairwise
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from stages.core.centre_lines import longest_paths

Mask = NDArray[np.bool_]
Path = NDArray[np.int32]
"""(N, 2) pixels (x, y)."""


Hand = Literal["annotator", "robot", "person", "clicks"]
HANDS: Final[dict[Hand, float]] = {"annotator": 0.35, "robot": 0.25, "person": 0.22, "clicks": 0.18}
"""How often each is at work."""
_ROBOT_OPENING: Final = 0.1
_MOST_CLICKS: Final = 5


def draw_hand(rng: np.random.Generator) -> Hand:
    """Who draws."""
    return list(HANDS)[int(rng.choice(len(HANDS), p=list(HANDS.values())))]


def draw_by(hand: Hand, mask: Mask, rng: np.random.Generator) -> list[Path]:
    """Strokes of a hand inside a mask (H, W) that is not empty, at least one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    corner = np.array([columns[0], rows[0]], np.int32)
    near = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if hand == "clicks":
        paths = _clicks(near, rng)
    elif hand == "person":
        paths = [path for path in _short_lines(near, rng) if len(path)]
    elif hand == "robot":
        paths = _whole_middle(near, rng)
    else:
        paths = draw_strokes(near, rng)
    return [path + corner for path in paths or list(points_inside(near, 1, rng)[:, None])]


def draw_on_background(mask: Mask, free: Mask, rng: np.random.Generator) -> list[Path]:
    """Strokes where nothing is meant: along an object's rim at some distance, scrawls, or dots.

    Args:
        mask: (H, W), the object.
        free: (H, W), background that may be drawn on; not empty.
        rng: makes every choice.
    """
    style = rng.random()
    if style < 0.4:
        return list(points_inside(free, int(rng.integers(1, 5)), rng)[:, None])
    if style < 0.65:
        paths = [_scrawl(free, rng) for _ in range(rng.integers(1, 4))]
    else:
        distance_px = int(rng.integers(6, max(8, len(mask) // 7)))
        grown = cv2.dilate(mask.astype(np.uint8), disc(distance_px))
        rims, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        rim = max(rims, key=len)[:, 0].astype(np.int32)
        paths = []
        for _ in range(rng.integers(1, 4)):
            turned = np.roll(rim, -int(rng.integers(len(rim))), axis=0)
            paths.append(_inside(turned[: max(2, int(rng.uniform(0.04, 0.4) * len(rim)))].astype(float), free))
    return [path for path in paths if len(path)] or list(points_inside(free, 1, rng)[:, None])


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
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    reached = np.cumsum(depth.ravel(), dtype=np.float64)
    chosen = np.searchsorted(reached, (1 - rng.random(count)) * reached[-1])
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
    small = _halved(mask)
    radius_px = rng.uniform(0, 0.1) * np.sqrt(np.count_nonzero(small))
    opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, disc(int(radius_px)))
    pixels_yx = np.argwhere(skeletonize(opened > 0))  # type: ignore[no-untyped-call]
    if not len(pixels_yx):
        return []
    paths = sorted(longest_paths(pixels_yx), key=len, reverse=True)[:6]
    kept = [path for index, path in enumerate(paths) if index == 0 or (len(path) >= 4 and rng.random() < 0.8)]
    return [_by_hand(2 * path[:, ::-1], mask, rng) for path in kept]


def _halved(mask: Mask) -> NDArray[np.uint8]:
    """A mask at half the resolution, a pixel each way at least."""
    size_wh = [max(1, side // 2) for side in mask.shape[::-1]]
    return np.asarray(cv2.resize(mask.astype(np.uint8), size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _whole_middle(mask: Mask, rng: np.random.Generator) -> list[Path]:
    """The longest path of every part of the opened mask's skeleton, from end to end, as the robot draws it."""
    small = _halved(mask)
    radius_px = min(16.0, _ROBOT_OPENING * rng.uniform(0.7, 1.3) * np.sqrt(np.count_nonzero(small)))
    # Beyond the border nothing is known: an object that leaves the picture is not eaten from there.
    opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, disc(int(radius_px)))
    pixels_yx = np.argwhere(skeletonize((opened if opened.any() else small) > 0))  # type: ignore[no-untyped-call]
    paths = [2 * path[:, ::-1].astype(np.int32) for path in longest_paths(pixels_yx)] if len(pixels_yx) else []
    kept = [path for path in paths if len(path) >= 2] or paths[:1]
    return [path for path in (_inside(path.astype(float), mask) for path in kept) if len(path)]


def _short_lines(mask: Mask, rng: np.random.Generator) -> list[Path]:
    """One line or a few: a piece of the middle, or a straight one."""
    paths = []
    for _ in range(1 + int(rng.random() < 0.4) + int(rng.random() < 0.2)):
        start, end = points_inside(mask, 2, rng)
        share = rng.uniform(0.25, 1.0)
        count = max(2, int(share * np.hypot(*(end - start))))
        line = start + np.linspace(0, share, count)[:, None] * (end - start)
        bend = rng.normal(0, 0.06) * np.hypot(*(end - start)) * np.sin(np.linspace(0, np.pi, count))
        across = np.array([-(end - start)[1], (end - start)[0]]) / max(float(np.hypot(*(end - start))), 1.0)
        paths.append(_inside(np.rint(line + bend[:, None] * across), mask))
    return paths


def _clicks(mask: Mask, rng: np.random.Generator) -> list[Path]:
    """One to five points, the first one mostly in the very middle, as the robot clicks."""
    count = int(rng.integers(1, _MOST_CLICKS + 1)) if rng.random() < 0.6 else 1
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    first = np.array([[column, row]], np.int32) if rng.random() < 0.6 else points_inside(mask, 1, rng)
    rest = points_inside(mask, count - 1, rng) if count > 1 else first[:0]
    return list(np.concatenate([first, rest])[:, None])


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
