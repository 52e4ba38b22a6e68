"""The robot that clicks where a mask is most wrong, and the loop around it (f-BRS, CVPR 2020, section 5)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from stages.core.overlap import iou
from stages.engines.segmenters.fbrs.clicks import Click

IGNORE = -1
_THRESHOLD = 0.49
"""A pixel belongs to the mask above this probability, as in the official evaluation."""


def next_click(truth: NDArray[np.integer], mask: NDArray[np.bool_], previous: Sequence[Click] = ()) -> Click:
    """Click into the middle of the largest error.

    Args:
        truth: (H, W): 1 object, 0 background, -1 ignored.
        mask: (H, W) bool, the prediction.
        previous: clicks made already; their pixels, and only these, are not clicked again.

    Returns:
        Integer coordinates. Positive if the middle of the largest miss is deeper than that of the largest false
        alarm; with a perfect mask a negative click at (0, 0).
    """
    counted, is_object = truth != IGNORE, truth == 1
    miss = _depth(is_object & ~mask & counted)
    false_alarm = _depth(~is_object & mask & counted)
    for click in previous:
        miss[int(click.row), int(click.column)] = 0
        false_alarm[int(click.row), int(click.column)] = 0
    is_positive = bool(miss.max() > false_alarm.max())
    depth = miss if is_positive else false_alarm
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return Click(is_positive, int(row), int(column))


def _depth(error: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of every wrong pixel to the nearest right one; all outside the picture is right."""
    depth: NDArray[np.float64] = distance_transform_edt(np.pad(error, 1))[1:-1, 1:-1]
    return depth


def object_iou(truth: NDArray[np.integer], mask: NDArray[np.bool_]) -> float:
    """IoU in [0, 1] of a mask (H, W) with the truth (H, W; -1 ignored); 1 if both are empty."""
    counted = truth != IGNORE
    return float(iou((truth == 1) & counted, mask & counted))


class Session(NamedTuple):
    """What the robot did and how well each click went."""

    clicks: tuple[Click, ...]
    ious: tuple[float, ...]
    """After each click."""


def click_until(
    predict: Callable[[list[Click]], NDArray[np.float32]],
    truth: NDArray[np.integer],
    max_clicks: int = 20,
    target_iou: float = 0.9,
) -> Session:
    """Let the robot segment one object.

    Args:
        predict: maps all clicks so far to probabilities (H, W) in [0, 1]; `Predictor.predict` of one object.
        truth: (H, W): 1 object, 0 background, -1 ignored.
        max_clicks: give up after so many.
        target_iou: good enough.
    """
    mask = np.zeros(truth.shape, dtype=np.bool_)
    clicks: list[Click] = []
    ious: list[float] = []
    while len(clicks) < max_clicks and (not ious or ious[-1] < target_iou):
        clicks.append(next_click(truth, mask, clicks))
        mask = predict(clicks) > _THRESHOLD
        ious.append(object_iou(truth, mask))
    return Session(tuple(clicks), tuple(ious))


def clicks_needed(ious: Sequence[float], target_iou: float, max_clicks: int = 20) -> int:
    """Number of clicks to the first IoU that reaches the target (NoC), or `max_clicks`."""
    return next((n for n, iou in enumerate(ious, start=1) if iou >= target_iou), max_clicks)
