"""Propagation by dense optical flow, from both anchors: no weights, no training.

Flow: T. Kroeger, R. Timofte, D. Dai, L. Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016, in OpenCV's
medium preset.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.engines import Frame, Probability
from stages.propagators.bidirectional import Bidirectional, TrustedResult

_Gray = NDArray[np.uint8]
_Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, right and bottom exclusive."""

_SMALLEST_CROP_PX = 96
_LONG_SIDE_PX = 384  # larger crops are scaled down to it: beyond that, flow costs more and gets no better
_CROP_GROWTH = 1.5
_LARGEST_GROWTH = 4.0
_NO_TRUST = 0.0
_MINIMUM_SCORE = 0.02  # trust fades along the chain without the mask being wrong: only a track without any is lost
_CUT_CORRELATION = 0.5


class Flow(Bidirectional):
    """Masks carried by optical flow, as one `FlowTracker` per object and direction."""

    def __init__(self) -> None:
        super().__init__(FlowTracker, _MINIMUM_SCORE)


class FlowTracker:
    """Warps one object's soft mask from frame to frame.

    The flow is computed in a crop around the object, which magnifies small objects at the price of large ones and
    leaves most of the frame alone; the mask itself is kept at the frame's resolution. With the mask travels the trust in
    every pixel: the product, along its path, of exp(-e^2 / (2 s^2)), where e is how far the pixel ends from its start
    after following the flow there and the reverse flow back, and s is 1 pixel plus 5 % of the motion.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def start(self, frame: Frame, mask: Probability) -> None:
        """Begin with the object's soft mask (H, W) float32 in [0, 1] on its anchor frame (H, W, 3) uint8 RGB."""
        self._gray = _gray(frame)
        self._layers = np.dstack([mask, np.ones_like(mask)])
