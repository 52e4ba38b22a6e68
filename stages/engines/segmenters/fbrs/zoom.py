"""ZoomIn: from the second click on, the network looks at the object only (f-BRS, CVPR 2020, section 3.3).

Rectangles are (top, bottom, left, right) in pixels, all four *inclusive*, as in the original.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stages.engines.segmenters.fbrs.clicks import Click
from stages.engines.segmenters.fbrs.network import resize


class Roi(NamedTuple):
    """A region of interest: first and last row, first and last column."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top + 1, self.right - self.left + 1


@dataclass(frozen=True)
class ZoomSettings:
    """How ZoomIn chooses its crop; defaults of the official evaluation (which takes 600 px on DAVIS)."""

    target_px: int = 400
    """Longer side of the crop after resizing; small crops are enlarged."""
    skip_clicks: int = 1
    """So many first clicks see the whole picture."""
    expansion: float = 1.4
    """Crop over object, on each axis."""
    min_crop_px: int = 200
    """Smallest side of a crop, before it is cut off at the picture's border."""
    recompute_iou: float = 0.5
    """A crop stays until a better one overlaps it less than this."""
    threshold: float = 0.5
    """Probability from which a pixel belongs to the object."""


OFFICIAL_ZOOM = ZoomSettings()


def expand(roi: Roi, ratio: float, min_size_px: int | None = None) -> Roi:
    """Enlarge around the centre; each axis on its own, rounding half to even. May leave the picture."""
    spans = []
    for first, last in ((roi.top, roi.bottom), (roi.left, roi.right)):
        centre = 0.5 * (first + last)
        size = ratio * (last - first + 1)
        if min_size_px is not None:
            size = max(size, min_size_px)
        spans += [round(centre - 0.5 * size), round(centre + 0.5 * size)]
    return Roi(*spans)


def clamp(roi: Roi, size_hw: tuple[int, int]) -> Roi:
    """Cut off what lies outside the picture; nothing is shifted."""
    height, width = size_hw
    return Roi(max(roi.top, 0), min(roi.bottom, height - 1), max(roi.left, 0), min(roi.right, width - 1))


def roi_iou(a: Roi, b: Roi) -> float:
    """The rows' IoU times the columns' IoU (not the IoU of the areas), in [0, 1]."""

    def span_iou(a_first: int, a_last: int, b_first: int, b_last: int) -> float:
        intersection = max(0, min(a_last, b_last) - max(a_first, b_first) + 1)
        return intersection / (max(a_last, b_last) - min(a_first, b_first) + 1)

    return span_iou(a.top, a.bottom, b.top, b.bottom) * span_iou(a.left, a.right, b.left, b.right)


def object_roi(mask: NDArray[np.bool_], clicks: Iterable[Click], expansion: float, min_crop_px: int) -> Roi:
    """The crop for an object: its mask (H, W), not empty, and every positive click, enlarged and clamped."""
    mask = mask.copy()
    for click in clicks:
        if click.is_positive:
            mask[int(click.row), int(click.column)] = True
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = Roi(int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1]))
    height, width = mask.shape
    return clamp(expand(box, expansion, min_crop_px), (height, width))


def holds_clicks(roi: Roi, clicks: Iterable[Click]) -> bool:
    """Whether all positive clicks are inside. The last row and column count as outside, as in the original."""
    return all(
        roi.top <= click.row < roi.bottom and roi.left <= click.column < roi.right
        for click in clicks
        if click.is_positive
    )


def crop(image: Tensor, roi: Roi, target_px: int) -> Tensor:
    """Cut (N, C, H, W) to the region and resize it so that its longer side is `target_px`."""
    height, width = roi.size_hw
    scale = target_px / max(height, width)
    inside = image[:, :, roi.top : roi.bottom + 1, roi.left : roi.right + 1]
    return resize(inside, (round(height * scale), round(width * scale)))


def clicks_in_crop(clicks: Iterable[Click], roi: Roi, crop_hw: tuple[int, int]) -> list[Click]:
    """Map clicks into a resized crop.

    Without half pixels, although `crop` aligns corners: the original is inconsistent here. Clicks outside the region
    stay in the list, with coordinates below zero or beyond the crop.
    """
    (height, width), (crop_height, crop_width) = roi.size_hw, crop_hw
    return [
        click._replace(
            row=crop_height * (click.row - roi.top) / height, column=crop_width * (click.column - roi.left) / width
        )
        for click in clicks
    ]


def paste(probability: Tensor, roi: Roi, size_hw: tuple[int, int]) -> Tensor:
    """Put a map of the crop (1, 1, h, w) back into a picture of zeros (1, 1, H, W)."""
    full = probability.new_zeros((1, 1, *size_hw))
    full[:, :, roi.top : roi.bottom + 1, roi.left : roi.right + 1] = resize(probability, roi.size_hw)
    return full


class ZoomIn:
    """The crop of one object in one picture, from click to click."""

    def __init__(self, settings: ZoomSettings, repair: bool = False) -> None:
        """Begin without a crop.

        Args:
            settings: see there.
            repair: forget the crop when the object's mask has become empty. The original then shows the network the
                whole picture, yet squeezes the result into the old crop.
        """
        self.settings = settings
        self.roi: Roi | None = None
        self.changed = False
        """Whether the last `forward` gave another picture than the one before it."""
        self._repair = repair
        self._previous: Tensor | None = None
        self._crop: Tensor | None = None

    def forward(self, image: Tensor, clicks: list[Click]) -> tuple[Tensor, list[Click]]:
        """Zoom in, as far as something is known about the object: (1, 3, H, W) and clicks to crop and clicks in it."""
        self.changed = False
        if len(clicks) <= self.settings.skip_clicks:
            return image, clicks
        mask = self._mask()
        if mask is None:
            if self._repair and self.roi is not None:
                self.roi, self._crop, self.changed = None, None, True
            return image, clicks
        candidate = object_roi(mask, clicks, self.settings.expansion, self.settings.min_crop_px)
        if (
            self.roi is None
            or self._crop is None
            or not holds_clicks(self.roi, clicks)
            or roi_iou(candidate, self.roi) < self.settings.recompute_iou
        ):
            self.roi, self._crop, self.changed = candidate, crop(image, candidate, self.settings.target_px), True
        height, width = self._crop.shape[-2:]
        return self._crop, clicks_in_crop(clicks, self.roi, (height, width))

    def inverse(self, probability: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Bring the map of what `forward` gave (1, 1, h, w) back to the picture (1, 1, H, W), and remember it."""
        self._previous = probability if self.roi is None else paste(probability, self.roi, size_hw)
        return self._previous

    def wants_rerun(self) -> bool:
        """Whether the first look, at the whole picture, found an object so small that a second one is due."""
        mask = self._mask()
        if self.settings.skip_clicks > 0 or self.roi is not None or mask is None:
            return False
        height, width = mask.shape
        candidate = object_roi(mask, [], self.settings.expansion, self.settings.min_crop_px)
        return roi_iou(candidate, Roi(0, height - 1, 0, width - 1)) < 0.5

    def _mask(self) -> NDArray[np.bool_] | None:
        """The object as the previous prediction saw it, unless there is nothing to see."""
        if self._previous is None:
            return None
        mask: NDArray[np.bool_] = (self._previous[0, 0] > self.settings.threshold).cpu().numpy()
        return mask if mask.any() else None
