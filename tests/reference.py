"""The metrics again, the plain way: full frames, one step after the other, as the evaluation's description puts it.

Slow on purpose: tests compare `stages.core.metrics` with it.
"""

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import dilation, disk

Mask = NDArray[np.bool_]
Dilate = Callable[[Mask, NDArray[np.uint8]], NDArray[Any]]


def dilate_by_skimage(mask: Mask, footprint: NDArray[np.uint8]) -> NDArray[Any]:
    """As davisinteractive does it."""
    return np.asarray(dilation(mask, footprint))


def dilate_by_opencv(mask: Mask, footprint: NDArray[np.uint8]) -> NDArray[Any]:
    """The faster habit of later evaluation code."""
    return cv2.dilate(mask.astype(np.uint8), footprint) > 0


def region_similarity(prediction: Mask, truth: Mask) -> float:
    """J."""
    union = np.sum(np.logical_or(prediction, truth))
    return 1.0 if union == 0 else float(np.sum(np.logical_and(prediction, truth)) / union)


def boundary_map(mask: Mask) -> Mask:
    """A pixel is boundary where it differs from its right, lower or lower right neighbour inside the picture."""
    right, lower, lower_right = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1] = mask[:, 1:]
    lower[:-1] = mask[1:]
    lower_right[:-1, :-1] = mask[1:, 1:]
    boundary = (mask ^ right) | (mask ^ lower) | (mask ^ lower_right)
    boundary[-1] = mask[-1] ^ right[-1]
    boundary[:, -1] = mask[:, -1] ^ lower[:, -1]
    boundary[-1, -1] = False
    return boundary


def boundary_accuracy(prediction: Mask, truth: Mask, dilate: Dilate = dilate_by_skimage) -> float:
    """F."""
    footprint = disk(math.ceil(0.008 * np.linalg.norm(truth.shape)))  # type: ignore[no-untyped-call]
    predicted, true = boundary_map(prediction), boundary_map(truth)
    predicted_px, true_px = np.sum(predicted), np.sum(true)
    if predicted_px == 0 and true_px == 0:
        return 1.0
    if predicted_px == 0 or true_px == 0:
        return 0.0
    precision = np.sum(np.logical_and(predicted, dilate(true, footprint))) / predicted_px
    recall = np.sum(np.logical_and(true, dilate(predicted, footprint))) / true_px
    return 0.0 if precision + recall == 0 else float(2 * precision * recall / (precision + recall))
