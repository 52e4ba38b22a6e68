"""Propagation by dense optical flow, from both anchors: no weights, no training.

Flow: T. Kroeger, R. Timofte, D. Dai, L. Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV 2016, as OpenCV
has it, with the medium preset.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.engines import Frame, Probability
from stages.propagators.bidirectional import Bidirectional, TrustedResult

_Gray = NDArray[np.uint8]
_Field = NDArray[np.float32]

_SMALLEST_CROP_PX = 96
_LONG_SIDE_PX = 384
_CROP_GROWTHS = (1.5, 2.25, 3.5)
_TOLERANCE_PX = 1.0
_TOLERANCE_OF_MOTION = 0.05
_MINIMUM_SCORE = 0.01  # trust fades along the way without the mask being wrong: only without any is a track lost
_THUMBNAIL_WH = (64, 36)
_SAME_SHOT_HISTOGRAM = 0.85
_SAME_SHOT_LAYOUT = 0.6


class Flow(Bidirectional):
    """Masks carried by optical flow from both anchors: one `FlowTracker` per object and direction."""

    def __init__(self) -> None:
        super().__init__(FlowTracker, _MINIMUM_SCORE)


class FlowTracker:
    """Warps one object's soft mask from frame to frame.

    Flow is computed in a crop that follows the object: most of the frame costs nothing, and a small object is not
    scaled down with it. The mask itself stays at the frame's resolution. With it travels the trust in every pixel:
    the product, along the pixel's path, of exp(-e^2 / 2 s^2), where e is how far it ends from its start after the flow
    to the frame before and the flow back, and s is 1 pixel plus 5 % of the motion. A cut ends the track.
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._reason = ""

    def start(self, frame: Frame, mask: Probability) -> None:
        """Begin with the object's soft mask (H, W) float32 in [0, 1] on its anchor frame (H, W, 3) uint8 RGB."""
        self._gray = _gray(frame)
        self._mask, self._trust = mask, np.ones_like(mask)

    def step(self, frame: Frame) -> TrustedResult:
        """Follow the object to a neighbouring frame (H, W, 3) uint8 RGB; see `stages.engines.Tracker`."""
        gray = _gray(frame)
        if not self._reason:
            self._reason = self._advance(gray)
        self._gray = gray
        if self._reason:
            nothing = np.zeros_like(self._mask)
            return TrustedResult(nothing, (0, 0, 0, 0), 0.0, self._reason, trust=nothing)
        inside = self._mask > 0.5
        score = float(self._trust[inside].mean())
        left, top, right, bottom = _Box.around(inside)
        return TrustedResult(self._mask, (left, top, right, bottom), score, trust=self._trust)

    def _advance(self, gray: _Gray) -> str:
        """Move mask and trust on to the next frame, or say why that cannot be done."""
        if _is_cut(self._gray, gray):
            return "a cut"
        around = _Box.around(self._mask > 0.5)
        for growth in _CROP_GROWTHS:
            crop = around.grown(growth, gray.shape)
            mask, trust = self._warp(gray, crop)
            if not _touches_border(mask > 0.5, crop, gray.shape):
                break
        self._mask, self._trust = (_paste(layer, crop, gray.shape) for layer in (mask, trust))
        return "" if (mask > 0.5).any() else "the flow leaves nothing of the mask"

    def _warp(self, gray: _Gray, crop: "_Box") -> tuple[_Field, _Field]:
        """Mask and trust on the next frame, inside the crop."""
        to_before, consistency = self._flow(gray[crop.slices], self._gray[crop.slices])
        x, y = _sources(to_before, crop.left, crop.top)
        # Beyond the frame an object that touches its border goes on, but nothing is known.
        mask = cv2.remap(self._mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        trust = cv2.remap(self._trust, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        return mask, trust * consistency

    def _flow(self, now: _Gray, before: _Gray) -> tuple[_Field, _Field]:
        """Flow from every pixel of `now` to `before`, (h, w, 2) x and y, and its consistency (h, w) in [0, 1]."""
        height, width = now.shape
        scale = min(1.0, _LONG_SIDE_PX / max(height, width))
        size_wh = round(width * scale), round(height * scale)
        small_now, small_before = (
            cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA) for picture in (now, before)
        )
        there = self._dis.calc(small_now, small_before, None)
        back = self._dis.calc(small_before, small_now, None)
        back = cv2.remap(back, *_sources(there, 0, 0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        tolerance_px = _TOLERANCE_PX + _TOLERANCE_OF_MOTION * np.hypot(there[..., 0], there[..., 1])
        consistency = np.exp(-((there + back) ** 2).sum(axis=2) / (2 * tolerance_px**2))
        there = cv2.resize(there, (width, height)) * np.array([width / size_wh[0], height / size_wh[1]], np.float32)
        return there, cv2.resize(consistency, (width, height))


class _Box(NamedTuple):
    """Pixels, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, inside: NDArray[np.bool_]) -> "_Box":
        left, top, width, height = cv2.boundingRect(inside.view(np.uint8))
        return cls(left, top, left + width, top + height)

    def grown(self, factor: float, shape: tuple[int, ...]) -> "_Box":
        """Grown about its centre, to a smallest size, then clipped to the frame."""
        width = max(_SMALLEST_CROP_PX, factor * (self.right - self.left))
        height = max(_SMALLEST_CROP_PX, factor * (self.bottom - self.top))
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return _Box(
            max(0, int(x - width / 2)),
            max(0, int(y - height / 2)),
            min(shape[1], int(x + width / 2)),
            min(shape[0], int(y + height / 2)),
        )

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


def _touches_border(inside: NDArray[np.bool_], crop: _Box, shape: tuple[int, ...]) -> bool:
    """Whether a mask (h, w) runs into a side of its crop that is not the frame's."""
    sides = (
        crop.left > 0 and inside[:, 0].any(),
        crop.top > 0 and inside[0].any(),
        crop.right < shape[1] and inside[:, -1].any(),
        crop.bottom < shape[0] and inside[-1].any(),
    )
    return any(sides)


def _paste(layer: _Field, crop: _Box, shape: tuple[int, ...]) -> Probability:
    whole = np.zeros(shape, np.float32)
    whole[crop.slices] = layer
    return whole


def _sources(flow: _Field, left: float, top: float) -> tuple[_Field, _Field]:
    """Where every pixel comes from, as x and y for cv2.remap."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(left, left + width, dtype=np.float32)
    y = flow[..., 1] + np.arange(top, top + height, dtype=np.float32)[:, None]
    return x, y


def _gray(frame: Frame) -> _Gray:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def _is_cut(before: _Gray, now: _Gray) -> bool:
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
