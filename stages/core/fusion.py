"""Joining what two directions, and several objects, say about the same frame. Pure functions on arrays.

Fusion of a stretch between the anchors a < b, at frame t, with u = (t - a) / (b - a):

    p = (w_f p_f + w_b p_b) / (w_f + w_b),    w_f = (1 - u) (s_f + 0.1),    w_b = u (s_b + 0.1)

where s is the trust in a direction: one score for the whole mask, or one value for every pixel. The constant keeps the
anchor's distance in charge where both directions trust themselves little.

Lost rule, for one direction on one frame: the track is lost if its tracker says so, if its score is too low, or if its
area is out of proportion to the area that the anchors let expect (`area_between`). A lost direction is left out. If no
direction is left, the mask is empty and the reason is kept: nothing is better than rubbish that looks like a mask.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.overlap import iou
from stages.core.types import LabelMap, Probability

LARGEST_AREA_FACTOR = 4.0
"""How many times larger or smaller than expected a tracked mask may be; the truth stays within 1.5 between anchors."""
_LEAST_TRUST = np.float32(0.1)


def fuse(
    forward: Probability,
    backward: Probability,
    position: float,
    forward_trust: float | Probability,
    backward_trust: float | Probability,
) -> Probability:
    """Join both directions of one object on one frame, pixel by pixel; the formula stands at the top of this module.

    Args:
        forward: (H, W) float32 in [0, 1], carried from the anchor before.
        backward: (H, W) float32 in [0, 1], carried from the anchor after.
        position: u in (0, 1): 0 at the anchor before, 1 at the anchor after.
        forward_trust: in [0, 1], one number or (H, W) float32.
        backward_trust: the same of the other direction.

    Returns:
        (H, W) float32 in [0, 1].
    """
    forward_weight = np.float32(1 - position) * (np.asarray(forward_trust, np.float32) + _LEAST_TRUST)
    backward_weight = np.float32(position) * (np.asarray(backward_trust, np.float32) + _LEAST_TRUST)
    share = backward_weight / (forward_weight + backward_weight)
    fused: Probability = forward + share * (backward - forward)
    return fused


def agreement(forward: Probability, backward: Probability) -> NDArray[np.float32]:
    """How far both directions agree: the IoU of their masks, the estimate of quality where no truth is known.

    Args:
        forward: (objects, H, W) float32 in [0, 1].
        backward: the same.

    Returns:
        (objects,) float32 in [0, 1]; NaN where both masks are empty, which says nothing.
    """
    return iou(forward > 0.5, backward > 0.5, of_nothing=np.nan).astype(np.float32)


def disagreement(forward: Probability, backward: Probability) -> NDArray[np.bool_]:
    """Where both directions disagree: their masks, each at 0.5, differ.

    Args:
        forward: (..., H, W) float32 in [0, 1].
        backward: the same.

    Returns:
        (..., H, W) bool.
    """
    differing: NDArray[np.bool_] = (forward > 0.5) != (backward > 0.5)
    return differing


def area_between(before_px: float, after_px: float, position: float) -> float:
    """The area to expect between two anchors: areas change by factors, so their logarithms are interpolated.

    Args:
        before_px: the object's area on the anchor before, in pixels, above 0.
        after_px: on the anchor after.
        position: u in [0, 1].
    """
    return math.exp((1 - position) * math.log(before_px) + position * math.log(after_px))


def lost_reason(score: float, minimum_score: float, area_px: float, expected_area_px: float) -> str:
    """Why a track is lost on a frame, or "" if it is not.

    Args:
        score: the tracker's, in [0, 1].
        minimum_score: below it the track is lost.
        area_px: of the tracked mask.
        expected_area_px: from the anchors, see `area_between`.

    Returns:
        Words with figures, the detail of `Gone`.
    """
    if area_px == 0:
        return "nothing left of the mask"
    if score < minimum_score:
        return f"score {score:.2f} below {minimum_score:.2f}"
    if not 1 / LARGEST_AREA_FACTOR <= area_px / expected_area_px <= LARGEST_AREA_FACTOR:
        return f"area {area_px:.0f} px, expected about {expected_area_px:.0f} px"
    return ""


def label_map(probability: Probability, object_ids: Sequence[int], background_level: float = 0.5) -> LabelMap:
    """One decision per pixel: the id of the most probable object, if it exceeds the background level, else 0.

        label(x) = object_ids[argmax_o p_o(x)]  if max_o p_o(x) > background_level  else  0

    that is one argmax over (background_level, p_1, ..., p_n). Of equally probable objects the first one wins.

    Args:
        probability: (objects, H, W) float32 in [0, 1]; no objects give an empty map.
        object_ids: the ids of the objects, in the same order, each in 1..254.
        background_level: what an object must exceed.

    Returns:
        (H, W) uint8 object ids.
    """
    labels = np.zeros(probability.shape[1:], np.uint8)
    highest = np.full(probability.shape[1:], background_level, np.float32)
    for object_id, candidate in zip(object_ids, probability, strict=True):
        window = Box.around(candidate > background_level).slices  # most of a frame has nothing of an object
        wins = candidate[window] > highest[window]
        labels[window][wins] = object_id
        highest[window][wins] = candidate[window][wins]
    return labels
