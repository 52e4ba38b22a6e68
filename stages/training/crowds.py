"""Several objects of a picture in a crop, as anchors show them: neighbours, bystanders, what passes by, shadows."""

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.palette import IGNORE
from stages.training.pictures import SMALLEST_SIDE_PX, Picture
from stages.training.recipe import Draw
from stages.training.scenes import BEYOND, Affine, Crowd, Rgb, before_another, drawn, photograph, view, warp

_ZOOMED: Final = 0.4
"""How often the crop is as the second look's: 1.4 times the object."""
_ZOOM_FILL: Final = (0.62, 0.82)
_FILL: Final = (0.13, 0.95)
_JOINED: Final = 0.12
_WITH_NEIGHBOURS: Final = 0.8
_BEFORE_ANOTHER: Final = 0.2
_PASSED_BY: Final = 0.25
_SHADED: Final = 0.15
_LEAST_PX: Final = 50
"""Of an object in the crop."""
_LEAST_OF_THE_FIRST_PX: Final = 60


def draw_crowd(draw: Draw, rng: np.random.Generator, side_px: int, most: int) -> Crowd:
    """Draw a picture, choose up to `most` objects that are seen together, and look at them from somewhere near.

    A part of them is cut out and put in front of another picture; some are passed by an object of another picture,
    which is one of those chosen, or nobody's; some get a shadow, which is background.
    """
    picture, seed = _picture_with_object(draw, rng)
    (left, top, width, height), shape = picture.boxes[seed], picture.labels.shape
    fill = _ZOOM_FILL if rng.random() < _ZOOMED else _FILL
    box, is_full = Box(left, top, left + width, top + height), rng.random() < 0.5
    rgb, ids = _seen(picture, view(box, shape, rng, side_px, fill, is_full), side_px)
    crowd = _chosen(rgb, ids, seed, rng, most)
    if rng.random() < _SHADED:
        crowd = replace(crowd, rgb=_shaded(crowd.rgb, crowd.labels, rng))
    if rng.random() < _BEFORE_ANOTHER:
        cut = np.where((crowd.labels > 0) & (crowd.labels != IGNORE), np.uint8(1), np.uint8(0))
        mixed, _ = before_another(crowd.rgb, cut, draw(rng), rng)
        crowd = Crowd(mixed, crowd.labels * cut, np.zeros_like(crowd.bystanders))
    if rng.random() < _PASSED_BY:
        crowd = _passed_by(crowd, draw, rng, most)
    return replace(crowd, rgb=photograph(crowd.rgb, rng))


def has_enough(crowd: Crowd) -> bool:
    """Whether the first object can be seen."""
    return bool(np.count_nonzero(crowd.labels == 1) >= _LEAST_OF_THE_FIRST_PX)


def _picture_with_object(draw: Draw, rng: np.random.Generator) -> tuple[Picture, int]:
    wanted = f"an object that is {SMALLEST_SIDE_PX} pixels long"
    picture = drawn(lambda: draw(rng), lambda picture: bool(picture.objects()), wanted)
    fitting = picture.objects()
    sizes = np.sqrt([picture.areas[object_id] for object_id in fitting])
    return picture, int(rng.choice(fitting, p=sizes / sizes.sum()))


def _seen(picture: Picture, affine: Affine, side_px: int) -> tuple[Rgb, NDArray[np.uint8]]:
    scale = abs(np.linalg.det(affine[:, :2]))
    rgb = warp(picture.rgb, affine, side_px, cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR, BEYOND)
    return rgb, warp(picture.labels, affine, side_px, cv2.INTER_NEAREST, IGNORE)


def _chosen(rgb: Rgb, ids: NDArray[np.uint8], seed: int, rng: np.random.Generator, most: int) -> Crowd:
    """The first object, now and then joined with what it touches, and mostly some of its neighbours."""
    counts = np.bincount(ids.ravel(), minlength=256)
    others = [value for value in np.flatnonzero(counts >= _LEAST_PX).tolist() if value not in (0, seed, IGNORE)]
    number = np.zeros(256, np.uint8)
    number[seed], number[IGNORE] = 1, IGNORE
    if others:
        grown = cv2.dilate((ids == seed).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        touching = set(np.unique(ids[grown]).tolist())
        if rng.random() < _JOINED:
            for value in rng.permutation([value for value in others if value in touching])[:2].tolist():
                number[value] = 1
                others.remove(value)
    if others and rng.random() < _WITH_NEIGHBOURS:
        weight = np.array([4.0 if value in touching else 1.0 for value in others])
        count = int(rng.integers(1, min(most - 1, len(others)) + 1))
        for place, value in enumerate(rng.choice(others, count, replace=False, p=weight / weight.sum()).tolist()):
            number[value] = place + 2
    labels = number[ids]
    return Crowd(rgb, labels, (ids > 0) & (ids != IGNORE) & (labels == 0))


def _passed_by(crowd: Crowd, draw: Draw, rng: np.random.Generator, most: int) -> Crowd:
    """With an object of another picture in front, unless it would hide an object that was chosen."""
    side_px = len(crowd.labels)
    picture, seed = _picture_with_object(draw, rng)
    left, top, width, height = picture.boxes[seed]
    box = Box(left, top, left + width, top + height)
    affine = view(box, picture.labels.shape, rng, side_px, (0.15, 0.7))
    rows, columns = np.nonzero(crowd.labels == 1)
    middle = np.array([columns.mean(), rows.mean()]) if len(rows) else np.full(2, side_px / 2)
    now = affine[:, :2] @ [left + width / 2, top + height / 2] + affine[:, 2]
    affine[:, 2] += middle - now + rng.normal(0, 0.3, 2) * side_px
    rgb, ids = _seen(picture, affine, side_px)
    passing = ids == seed
    number = crowd.count + 1
    if np.count_nonzero(passing) < _LEAST_PX:
        return crowd
    before = np.bincount(crowd.labels.ravel(), minlength=256)[1:number]
    left_over = np.bincount(crowd.labels[~passing], minlength=256)[1:number]
    if (left_over < 0.5 * before).any() or (left_over < _LEAST_PX).any():
        return crowd
    alpha = cv2.GaussianBlur(passing.astype(np.float32), (0, 0), rng.uniform(0.5, 1.2))[..., None]
    mixed = (alpha * rgb + (1 - alpha) * crowd.rgb).astype(np.uint8)
    is_chosen = number <= most and rng.random() < 0.6
    labels = np.where(passing, np.uint8(number if is_chosen else 0), crowd.labels)
    return Crowd(mixed, labels, (crowd.bystanders & ~passing) | (passing & (not is_chosen)))


def _shaded(rgb: Rgb, labels: NDArray[np.uint8], rng: np.random.Generator) -> Rgb:
    """A soft dark shape under an object: its own, flattened and shifted, or an ellipse at its foot."""
    inside = labels == 1
    if not inside.any():
        return rgb
    box, side_px = Box.around(inside), len(labels)
    width, height = box.size_wh
    if rng.random() < 0.5:
        shade = np.zeros(labels.shape, np.float32)
        centre = round((box.left + box.right) / 2 + rng.normal(0, 0.15) * width), round(box.bottom - 0.03 * height)
        axes = max(2, round(width * rng.uniform(0.4, 0.8))), max(2, round(min(width, height) * rng.uniform(0.06, 0.2)))
        cv2.ellipse(shade, centre, axes, 0, 0, 360, 1, -1)
    else:
        flat, skew = rng.uniform(0.15, 0.6), rng.normal(0, 0.8)
        affine = np.array([[1, -skew, skew * box.bottom], [0, -flat if rng.random() < 0.5 else flat, 0]])
        affine[1, 2] = box.bottom - affine[1, 1] * box.bottom
        shade = cv2.warpAffine(inside.astype(np.float32), affine, (side_px, side_px))
    blur_px = np.exp(rng.uniform(np.log(0.01), np.log(0.06))) * side_px
    darkness = rng.uniform(0.25, 0.75) * cv2.GaussianBlur(shade, (0, 0), blur_px) * (labels == 0)
    return (rgb * (1 - cv2.GaussianBlur(darkness, (0, 0), 0.8)[..., None])).astype(np.uint8)
