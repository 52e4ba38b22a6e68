"""Anchor masks by GrabCut: no weights, no training.

C. Rother, V. Kolmogorov, A. Blake, "GrabCut", SIGGRAPH 2004, as OpenCV has it. The box that a person would draw is
grown around the strokes; how far a pixel lies from the strokes, in units of their extent, says what it may become.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.drawing import NO_STROKE, rasterise
from stages.core.strokes import FrameScribbles
from stages.core.types import Frame, Probability

_GROWTH = 0.5
_SMALLEST_EXTENT_PX = 48.0  # a dot, or a dash, stands for something larger
_PROBABLY_OBJECT = 0.08
_SURELY_BACKGROUND = 0.45
_WORKING_SIDE_PX = 256
_ITERATIONS = 5
_SOFTNESS_PX = 1.0


class GrabCut:
    """The `Segmenter` of that name."""

    def segment(self, frame: Frame, scribbles: FrameScribbles, previous: Probability | None = None) -> Probability:
        """See `stages.engines.protocols.Segmenter`; strokes of other objects and of the background are background."""
        height, width = frame.shape[:2]
        labels = rasterise(scribbles, (width, height))
        masks = [
            _segment_object(frame, labels == i, (labels != i) & (labels != NO_STROKE)) for i in scribbles.object_ids
        ]
        return np.array(masks, np.float32).reshape(-1, height, width)


def _segment_object(frame: Frame, own: NDArray[np.bool_], others: NDArray[np.bool_]) -> Probability:
    """One object's soft mask (H, W) float32 in [0, 1] from its own and all other strokes, each (H, W) bool."""
    probability = np.zeros(own.shape, np.float32)
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    if not rows.size:  # covered by another object's strokes
        return probability
    extent_px = max(_SMALLEST_EXTENT_PX, float(np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1)))
    margin_px = int(_GROWTH * extent_px)
    box = (
        slice(max(0, rows[0] - margin_px), rows[-1] + margin_px + 1),
        slice(max(0, columns[0] - margin_px), columns[-1] + margin_px + 1),
    )
    crop = np.ascontiguousarray(frame[box])
    scale = min(1.0, _WORKING_SIDE_PX / max(crop.shape[:2]))
    small_wh = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))

    distance = _distance(own, box, small_wh) / extent_px
    decision = np.full(small_wh[::-1], cv2.GC_PR_BGD, np.uint8)
    decision[distance < _PROBABLY_OBJECT] = cv2.GC_PR_FGD
    decision[distance > _SURELY_BACKGROUND] = cv2.GC_BGD
    if others.any():
        decision[_distance(others, box, small_wh) * scale < 1] = cv2.GC_BGD
    decision[distance * extent_px * scale < 1] = cv2.GC_FGD
    if not (decision == cv2.GC_BGD).any():  # strokes all over the picture: its rim has to stand for the background
        decision[[0, -1]], decision[:, [0, -1]] = cv2.GC_BGD, cv2.GC_BGD

    small = cv2.cvtColor(cv2.resize(crop, small_wh, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2Lab)
    cv2.setRNGSeed(0)  # it starts from random colour clusters
    cv2.grabCut(small, decision, None, np.zeros((1, 65)), np.zeros((1, 65)), _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    hard = (decision & 1).astype(np.float32)  # GC_FGD and GC_PR_FGD are odd
    soft = cv2.GaussianBlur(hard, (0, 0), _SOFTNESS_PX)
    probability[box] = cv2.resize(soft, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    probability[own] = 1  # which the blur may have washed out, where the object is a few pixels wide
    return probability


def _distance(strokes: NDArray[np.bool_], box: tuple[slice, slice], small_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Distance to the nearest stroke in frame pixels, in the box, at working scale."""
    distance = cv2.distanceTransform((~strokes).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(cv2.resize(distance[box], small_wh, interpolation=cv2.INTER_LINEAR), np.float32)
