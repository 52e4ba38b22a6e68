"""Soft masks that wait for their turn: thousands of them in little memory."""

import cv2
import numpy as np

from stages.core.soft import from_uint8, to_uint8
from stages.core.types import Probability


class Packed:
    """Layers (..., H, W) float32 in [0, 1], in 8 bits and compressed."""

    def __init__(self, layers: Probability) -> None:
        self._shape = layers.shape
        rows = to_uint8(layers.reshape(-1, layers.shape[-1])) if layers.size else None
        self._png = None if rows is None else cv2.imencode(".png", rows, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]

    def unpack(self) -> Probability:
        """The layers, rounded to 1/255."""
        if self._png is None:
            return np.zeros(self._shape, np.float32)
        return from_uint8(np.asarray(cv2.imdecode(self._png, cv2.IMREAD_UNCHANGED), np.uint8)).reshape(self._shape)
