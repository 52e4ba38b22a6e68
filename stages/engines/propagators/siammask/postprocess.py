"""From what the network says to the target's next box and its mask in the frame.

Pure functions, in the order of use. The 3125 candidates of a search crop (5 anchors in 25x25 cells) are in the order of
`crops.anchors`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.engines.propagators.siammask.crops import (
    CELLS,
    FIRST_CELL,
    SEARCH_SIDE_PX,
    STRIDE_PX,
    TEMPLATE_SIDE_PX,
    SearchArea,
    context_side,
)

OUTSIDE: Final = -1.0
"""Value of a pasted mask where the patch does not reach."""

_MIN_SIZE_PX: Final = 10.0
_MIN_CONTOUR_AREA_PX: Final = 100


@dataclass(frozen=True)
class Configuration:
    """The published hyper-parameters; the defaults are those of `siammask_base`."""

    penalty_k: float = 0.09
    """How much a change of shape or size counts against a candidate."""
    window_influence: float = 0.39
    """Share of the cosine window in a candidate's final score."""
    size_rate: float = 0.38
    """How fast the size follows (`lr` in the original)."""
    mask_threshold: float = 0.30
    """Soft masks above it are the object (`seg_thr`)."""


CONFIGURATIONS: Final[Mapping[str, Configuration]] = MappingProxyType(
    {
        "davis": Configuration(penalty_k=0.04, window_influence=0.40, size_rate=1.0, mask_threshold=0.35),
        "vot": Configuration(penalty_k=0.04, window_influence=0.42, size_rate=0.25, mask_threshold=0.30),
        "vot18": Configuration(penalty_k=0.10, window_influence=0.41, size_rate=0.32, mask_threshold=0.15),
        "base": Configuration(),
        # Not published: chosen for the network of `lite.py` on the development sequences.
        "lite": Configuration(penalty_k=0.10, window_influence=0.40, size_rate=0.6, mask_threshold=0.5),
    }
)


@dataclass(frozen=True)
class Candidate:
    """The best of the 3125."""

    index: int
    y: int
    """Cell."""
    x: int
    """Cell."""


# -------------------------------------------------------------------------------------------------- candidates


def foreground_score(cls: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax of each anchor's two class logits: (1, 10, 25, 25) -> (3125,) in [0, 1], the foreground's share."""
    background, foreground = cls.reshape(2, -1)
    highest = np.maximum(background, foreground)
    background, foreground = np.exp(background - highest), np.exp(foreground - highest)
    return np.asarray(foreground / (background + foreground))


def decode_boxes(loc: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn the network's offsets into boxes.

    Args:
        loc: (1, 20, 25, 25) dx, dy, dw, dh of the five anchors; not changed.
        anchors: (3125, 4) from `crops.anchors`.

    Returns:
        (4, 3125) centre x, centre y, width, height; crop pixels, relative to the crop's centre. May hold infinities.
    """
    dx, dy, dw, dh = loc.reshape(4, -1)
    x, y, width, height = anchors.T
    with np.errstate(over="ignore"):
        return np.stack([dx * width + x, dy * height + y, np.exp(dw) * width, np.exp(dh) * height])


def size_penalty(boxes: NDArray[np.float32], target_wh: tuple[float, float], penalty_k: float) -> NDArray[np.floating]:
    """Discount candidates whose size or shape is not the target's.

    Args:
        boxes: (4, 3125) from `decode_boxes`.
        target_wh: the target's last size, crop pixels.
        penalty_k: see `Configuration`.

    Returns:
        (3125,) in [0, 1]; NaN where a box is degenerate.
    """
    width, height = boxes[2:]
    target_width, target_height = target_wh
    with np.errstate(all="ignore"):
        size_change = _change(context_side(width, height) / context_side(target_width, target_height))
        shape_change = _change(target_width / target_height / (width / height))
        return np.exp(-(shape_change * size_change - 1) * penalty_k)


def penalised_score(
    score: NDArray[np.float32],
    penalty: NDArray[np.floating],
    window: NDArray[np.float64],
    window_influence: float,
) -> NDArray[np.float64]:
    """What candidates are ranked by: (3125,)."""
    return penalty * score * (1 - window_influence) + window * window_influence


def best_candidate(penalised: NDArray[np.float64], boxes: NDArray[np.float32]) -> Candidate | None:
    """The first of the best candidates; None if no candidate has finite numbers.

    The original would choose a NaN if there was one.
    """
    usable = np.isfinite(penalised) & np.isfinite(boxes).all(axis=0)
    if not usable.any():
        return None
    index = int(np.argmax(np.where(usable, penalised, -np.inf)))
    _, y, x = np.unravel_index(index, (len(penalised) // CELLS**2, CELLS, CELLS))
    return Candidate(index, int(y), int(x))


# ----------------------------------------------------------------------------------------------- the next state


def next_state(
    area: SearchArea,
    size_wh: tuple[float, float],
    box: NDArray[np.float32],
    rate: float,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Move the target to the chosen box; the position at once, the size as fast as `rate` allows.

    Args:
        area: where it was looked for.
        size_wh: its last size, frame pixels.
        box: (4,) the candidate's column of `decode_boxes`.
        rate: penalty * score * `Configuration.size_rate` of the candidate.

    Returns:
        Centre (x, y) and size (w, h) in frame pixels, before `clip_state`.
    """
    dx, dy, width, height = (float(value) / area.scale for value in box)
    x, y = area.centre_xy
    return (x + dx, y + dy), (size_wh[0] * (1 - rate) + width * rate, size_wh[1] * (1 - rate) + height * rate)


def clip_state(
    centre_xy: tuple[float, float], size_wh: tuple[float, float], frame_wh: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Keep the centre on the frame (its far borders included) and the size between 10 pixels and the frame's."""
    x, y = (max(0.0, min(extent, value)) for value, extent in zip(centre_xy, frame_wh, strict=True))
    width, height = (max(_MIN_SIZE_PX, min(extent, value)) for value, extent in zip(size_wh, frame_wh, strict=True))
    return (x, y), (width, height)


# ------------------------------------------------------------------------------------------------------- masks


def patch_box(area: SearchArea, y: int, x: int) -> tuple[float, float, float, float]:
    """The square of the frame that the mask of cell (y, x) covers: left, top, width, height; pixels."""
    left, top, side, _ = area.box_xywh
    per_crop_px = side / SEARCH_SIDE_PX
    patch_side = per_crop_px * TEMPLATE_SIDE_PX
    return (
        left + (x - FIRST_CELL) * STRIDE_PX * per_crop_px,
        top + (y - FIRST_CELL) * STRIDE_PX * per_crop_px,
        patch_side,
        patch_side,
    )


def frame_box(
    patch_xywh: tuple[float, float, float, float], mask_side: int, frame_wh: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The frame as the mask sees it: left, top, width, height in mask pixels."""
    left, top, side, _ = patch_xywh
    scale = mask_side / side
    return -left * scale, -top * scale, frame_wh[0] * scale, frame_wh[1] * scale


def paste(
    mask: NDArray[np.float32], box_xywh: tuple[float, float, float, float], frame_wh: tuple[int, int]
) -> NDArray[np.float32]:
    """Bring a mask to the frame's size.

    The scale is (W - 1) / W of the true one, as in the original. OpenCV before 5 rounds coordinates to 1/32 pixel.

    Args:
        mask: (side, side) float32 in [0, 1].
        box_xywh: from `frame_box`.
        frame_wh: width and height of the frame.

    Returns:
        (H, W) float32 in [-1, 1]: -1 outside of the patch, blended towards it within a mask pixel of the rim.
    """
    left, top, width, height = box_xywh
    x_scale, y_scale = (frame_wh[0] - 1) / width, (frame_wh[1] - 1) / height
    matrix = np.array([[x_scale, 0, -x_scale * left], [0, y_scale, -y_scale * top]])
    pasted = cv2.warpAffine(
        mask, matrix, frame_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE
    )
    return np.asarray(pasted, dtype=np.float32)


def rotated_box(
    mask: NDArray[np.bool_], centre_xy: tuple[float, float], size_wh: tuple[float, float]
) -> NDArray[np.float64]:
    """The smallest rectangle around the largest part of a mask, as the VOT challenges want it.

    Args:
        mask: (H, W) the thresholded mask.
        centre_xy: of the box that is used when no part has more than 100 pixels; before `clip_state`.
        size_wh: of that box.

    Returns:
        (4, 2) corners x, y.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea, default=None)
    if largest is not None and cv2.contourArea(largest) > _MIN_CONTOUR_AREA_PX:
        return np.asarray(cv2.boxPoints(cv2.minAreaRect(largest)), dtype=np.float64)
    half = np.array(size_wh) / 2
    return np.asarray(centre_xy + half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]))


def probability(pasted: NDArray[np.float32], mask_threshold: float) -> NDArray[np.float32]:
    """Calibrate a pasted mask, so that 0.5 is where the configuration draws the line.

    The odds are divided by those of the threshold. Other engines' masks, and the background, are compared at 0.5; the
    published thresholds are lower.

    Args:
        pasted: (H, W) float32 from `paste`.
        mask_threshold: see `Configuration`.

    Returns:
        (H, W) float32 in [0, 1].
    """
    soft = np.clip(pasted, 0, 1)
    object_odds = soft * np.float32(1 - mask_threshold)
    return np.asarray(object_odds / (object_odds + (1 - soft) * np.float32(mask_threshold)))


def _change(ratio: NDArray[np.floating]) -> NDArray[np.floating]:
    """Growing and shrinking count alike."""
    return np.asarray(np.maximum(ratio, 1 / ratio))
