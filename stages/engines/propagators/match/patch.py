"""Layers of a frame that are zero but for a box: most of a frame has nothing of an object, and costs nothing then."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box


class Patch(NamedTuple):
    """What fills a box; around it all is zero."""

    box: Box
    values: NDArray[Any]
    """(h, w), as large as the box."""

    @classmethod
    def around(cls, layer: NDArray[Any], box: Box | None = None) -> "Patch":
        """The part of a layer that is not zero. It fills a whole frame (H, W), or a box (h, w)."""
        inside = Box.around(layer > 0)
        return cls(inside if box is None else inside.moved(box.left, box.top), layer[inside.slices])

    def on(self, box: Box) -> NDArray[Any]:
        """What it shows in another box."""
        if box == self.box:
            return self.values
        shown = np.zeros(box.size_wh[::-1], self.values.dtype)
        self.draw(shown, box)
        return shown

    def draw(self, layer: NDArray[Any], box: Box | None = None) -> None:
        """Write it on a layer that fills a whole frame, or a box."""
        height, width = layer.shape
        box = box or Box(0, 0, width, height)
        common = self.box.common(box)
        layer[common.within(box)] = self.values[common.within(self.box)]

    @property
    def mask_box(self) -> Box:
        """Around what exceeds one half; empty if nothing does."""
        return Box.around(self.values > 0.5).moved(self.box.left, self.box.top)
