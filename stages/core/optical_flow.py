"""Dense optical flow between neighbouring frames, and where on a frame to compute it.

T. Kroeger, R. Timofte, D. Dai, L. Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016, as in OpenCV.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.types import Frame, Probability

Gray = NDArray[np.uint8]
Field = NDArray[np.float32]
_SHORTEST_SIDE_PX = 16
_TOLERANCE_PX = 1.0
_TOLERANCE_OF_MOTION = 0.05
_THUMBNAIL_WH = (64, 36)
_SAME_SHOT_HISTOGRAM = 0.85
_SAME_SHOT_LAYOUT = 0.6


def to_gray(frame: Frame) -> Gray:
    """(H, W, 3) uint8 RGB -> (H, W) uint8."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def dense_flow(dis: cv2.DISOpticalFlow, now: Gray, before: Gray) -> Field:
    """Flow from every pixel of `now` to `before`, both (h, w) uint8: (h, w, 2) float32, x and y.

    Pictures with a shorter side go in with their border repeated: DIS reads beyond those, and ends the process.
    """
    height, width = now.shape
    if min(height, width) < _SHORTEST_SIDE_PX:
        below, right = max(0, _SHORTEST_SIDE_PX - height), max(0, _SHORTEST_SIDE_PX - width)
        now, before = (
            np.asarray(cv2.copyMakeBorder(gray, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
            for gray in (now, before)
        )
    return np.ascontiguousarray(dis.calc(now, before, None)[:height, :width], np.float32)


def consistency(there: Field, back: Field) -> Field:
    """How well a flow is undone by the flow back, pixel by pixel: (h, w) float32 in [0, 1].

    exp(-e^2 / 2 s^2), where e is how far a pixel ends from its start, and s is 1 pixel plus 5 % of the motion.
    """
    back = cv2.remap(back, *sources(there), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    tolerance_px = _TOLERANCE_PX + _TOLERANCE_OF_MOTION * np.hypot(there[..., 0], there[..., 1])
    return np.exp(-((there + back) ** 2).sum(axis=2) / (2 * tolerance_px**2))


def sources(flow: Field, left: float = 0, top: float = 0) -> tuple[Field, Field]:
    """Where every pixel comes from, as x and y for cv2.remap; the flow (h, w, 2) starts at (left, top)."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(left, left + width, dtype=np.float32)
    y = flow[..., 1] + np.arange(top, top + height, dtype=np.float32)[:, None]
    return x, y


def paste(layer: Field, box: Box, shape: tuple[int, ...]) -> Probability:
    """A layer that fills the box (h, w) on an otherwise empty frame of shape (H, W)."""
    whole = np.zeros(shape, np.float32)
    whole[box.slices] = layer
    return whole


def is_cut(before: Gray, now: Gray) -> bool:
    """Whether two neighbouring frames belong to different shots.

    Both their histograms and their layouts (correlation of thumbnails) must differ: a flash changes only the first, a
    fast camera only the second.
    """
    one, other = (cv2.resize(gray, _THUMBNAIL_WH, interpolation=cv2.INTER_AREA) for gray in (before, now))
    counts = [np.bincount((thumbnail // 8).ravel(), minlength=32) for thumbnail in (one, other)]
    if np.minimum(*counts).sum() >= _SAME_SHOT_HISTOGRAM * one.size:
        return False
    a, b = (cv2.GaussianBlur(thumbnail, (0, 0), 2).astype(np.float32) for thumbnail in (one, other))
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum()) < _SAME_SHOT_LAYOUT * float(np.sqrt((a**2).sum() * (b**2).sum()))
