"""Refinement of any mask: points near its boundary are decided anew, coarse to fine, where they are uncertain."""

from typing import Any, Final, NamedTuple, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stages.core.boxes import Box
from stages.core.types import Frame, Probability
from stages.engines.refiners.pointrend.lite import CELL, LitePoints, as_logits, told, views
from stages.engines.refiners.pointrend.points import subdivided
from stages.nn.prepare import prepare

_LONGEST_PX: Final = 192
"""A larger object is looked at in this size."""
_MARGIN_PX: Final = 40
"""Around the object, in pixels of that size."""
_BAND_CELLS: Final = 3
"""How far from the boundary pixels may change."""
_SURE: Final = 0.02
"""A cell of which the mask takes less than this, or all but this, is not at its boundary."""
_STEPS: Final = 3
"""Doublings, from two cells to one pixel."""
_POINTS: Final = 2
"""Of a step, for every pixel of the boundary's length."""
_FAR: Final = 1e3
"""What is not near the boundary is more certain than any logit."""


class Window(NamedTuple):
    """An object's surroundings, and the size in which they are looked at."""

    box: Box
    """Of the frame."""
    size_wh: tuple[int, int]

    @classmethod
    def around(cls, solid: NDArray[np.bool_]) -> "Window":
        """The window of a mask (H, W) that is not empty."""
        object_box = Box.around(solid)
        scale = min(1.0, _LONGEST_PX / max(object_box.size_wh))
        margin = round(_MARGIN_PX / scale)
        left, top, right, bottom = object_box
        height, width = solid.shape
        box = Box(max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin))
        small_width, small_height = (max(1, round(scale * side)) for side in box.size_wh)
        return cls(box, (small_width, small_height))

    def seen(self, layer: NDArray[Any]) -> NDArray[Any]:
        """What the window shows of a frame's layer, in its size; sides are made multiples of two cells."""
        width, height = self.size_wh
        resized = cv2.resize(np.ascontiguousarray(layer[self.box.slices]), self.size_wh, interpolation=cv2.INTER_AREA)
        return cv2.copyMakeBorder(resized, 0, -height % (2 * CELL), 0, -width % (2 * CELL), cv2.BORDER_REPLICATE)

    def added(self, change: NDArray[np.float32], mask: Probability) -> Probability:
        """A mask (H, W) of the frame with a change of what the window shows of it; in [0, 1]."""
        width, height = self.size_wh
        refined: Probability = mask.copy()
        inside = refined[self.box.slices]
        inside += cv2.resize(change[:height, :width], self.box.size_wh, interpolation=cv2.INTER_LINEAR)
        np.clip(inside, 0, 1, out=inside)
        return refined


class Boundary:
    """The engine `pointrend` with a network of ours (implements `stages.engines.protocols.Refiner`)."""

    def __init__(self, network: LitePoints, *, device: str) -> None:
        """Take a network, filled and in eval mode.

        Args:
            network: taken over.
            device: `auto`, `cpu` or `cuda`.
        """
        self._network = cast(LitePoints, prepare(network, device))
        self._device = next(self._network.parameters()).device

    @torch.inference_mode()
    def refine(self, frame: Frame, probability: Probability) -> Probability:
        """See `stages.engines.protocols.Refiner`."""
        solid = probability > 0.5
        if not solid.any():
            return probability.copy()
        window = Window.around(solid)
        picture, mask = window.seen(frame), window.seen(probability)
        cells, near = (torch.from_numpy(view)[None].to(self._device) for view in views(picture, mask))
        return window.added(self._decided(mask, cells, near) - mask, probability)

    def _decided(self, mask: Probability, cells: Tensor, near: Tensor) -> Probability:
        """The mask that points make of what the window shows; far from the boundary it stays as it is."""
        given, band = torch.from_numpy(mask)[None, None].to(self._device), band_of(cells)

        def uncertainty(logits: Tensor) -> Tensor:
            return -logits.abs() - _FAR * (1 - functional.interpolate(band, logits.shape[-2:]))

        def predict(points: Tensor) -> Tensor:
            logits: Tensor = self._network(told(cells, near, points))
            return logits

        coarse = as_logits(functional.avg_pool2d(given, 2**_STEPS))
        points = _POINTS * boundary_length(mask > 0.5) + 1
        decided = subdivided(coarse, _STEPS, points, uncertainty, predict).sigmoid()
        kept = torch.where(functional.interpolate(band, given.shape[-2:]) > 0, decided, given)
        found: Probability = kept[0, 0].cpu().numpy()
        return found


def band_of(cells: Tensor) -> Tensor:
    """The cells (N, 1, h, w) near the boundary, 1, and the others, 0; of what `views` gave."""
    share = cells[:, :1]
    at_boundary = ((share > _SURE) & (share < 1 - _SURE)).float()
    return functional.max_pool2d(at_boundary, 2 * _BAND_CELLS + 1, 1, _BAND_CELLS)


def boundary_length(solid: NDArray[np.bool_]) -> int:
    """Of a mask (H, W), in pixels: neighbours of which one is inside."""
    return int(np.count_nonzero(solid[1:] != solid[:-1]) + np.count_nonzero(solid[:, 1:] != solid[:, :-1]))
