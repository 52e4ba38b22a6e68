"""Propagation by dense optical flow, from both anchors: no weights, no training. Flow: DIS, with the medium preset."""

import cv2
import numpy as np

from stages.core.boxes import Box
from stages.core.optical_flow import Field, Gray, consistency, dense_flow, is_cut, paste, sources, to_gray
from stages.core.types import Frame, Probability
from stages.engines.bidirectional import Bidirectional, TrustedResult

_LONG_SIDE_PX = 384
_CROP_GROWTHS = (1.5, 2.25, 3.5)
_MINIMUM_SCORE = 0.01  # trust fades along the way without the mask being wrong: only without any is a track lost


class Flow(Bidirectional):
    """Masks carried by optical flow from both anchors: one `FlowTracker` per object and direction."""

    def __init__(self) -> None:
        super().__init__(FlowTracker, _MINIMUM_SCORE)


class FlowTracker:
    """Warps one object's soft mask from frame to frame.

    Flow is computed in a crop that follows the object: most of the frame costs nothing, and a small object is not
    scaled down with it. The mask itself stays at the frame's resolution. With it travels the trust in every pixel:
    the product, along the pixel's path, of the flow's consistency (`stages.core.optical_flow`). A cut ends the track.
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._reason = ""

    def start(self, frame: Frame, mask: Probability) -> None:
        """Begin with the object's soft mask (H, W) float32 in [0, 1] on its anchor frame (H, W, 3) uint8 RGB."""
        self._gray = to_gray(frame)
        self._mask, self._trust = mask, np.ones_like(mask)

    def step(self, frame: Frame) -> TrustedResult:
        """Follow the object to a neighbouring frame (H, W, 3) uint8 RGB; see `stages.engines.protocols.Tracker`."""
        gray = to_gray(frame)
        if not self._reason:
            self._reason = self._advance(gray)
        self._gray = gray
        if self._reason:
            nothing = np.zeros_like(self._mask)
            return TrustedResult(nothing, (0, 0, 0, 0), 0.0, self._reason, trust=nothing)
        inside = self._mask > 0.5
        score = float(self._trust[inside].mean())
        left, top, right, bottom = Box.around(inside)
        return TrustedResult(self._mask, (left, top, right, bottom), score, trust=self._trust)

    def _advance(self, gray: Gray) -> str:
        """Move mask and trust on to the next frame, or say why that cannot be done."""
        if is_cut(self._gray, gray):
            return "a cut"
        around = Box.around(self._mask > 0.5)
        for growth in _CROP_GROWTHS:
            crop = around.grown(growth, gray.shape)
            mask, trust = self._warp(gray, crop)
            if not crop.cuts_off(mask > 0.5, gray.shape):
                break
        self._mask, self._trust = (paste(layer, crop, gray.shape) for layer in (mask, trust))
        return "" if (mask > 0.5).any() else "the flow leaves nothing of the mask"

    def _warp(self, gray: Gray, crop: Box) -> tuple[Field, Field]:
        """Mask and trust on the next frame, inside the crop."""
        to_before, consistent = self._flow(gray[crop.slices], self._gray[crop.slices])
        x, y = sources(to_before, crop.left, crop.top)
        # Beyond the frame an object that touches its border goes on, but nothing is known.
        mask = cv2.remap(self._mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        trust = cv2.remap(self._trust, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        return mask, trust * consistent

    def _flow(self, now: Gray, before: Gray) -> tuple[Field, Field]:
        """Flow from every pixel of `now` to `before`, (h, w, 2) x and y, and its consistency (h, w) in [0, 1]."""
        height, width = now.shape
        scale = min(1.0, _LONG_SIDE_PX / max(height, width))
        size_wh = round(width * scale), round(height * scale)
        small_now, small_before = (
            cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA) for picture in (now, before)
        )
        there = dense_flow(self._dis, small_now, small_before)
        consistent = consistency(there, dense_flow(self._dis, small_before, small_now))
        there = cv2.resize(there, (width, height)) * np.array([width / size_wh[0], height / size_wh[1]], np.float32)
        return there, cv2.resize(consistent, (width, height))
