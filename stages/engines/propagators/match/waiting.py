"""Frames that are decided, while they wait for their turn to be told."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stages.core.packed import Packed
from stages.core.types import SegmentFrame
from stages.engines.propagators.match.patch import Patch
from stages.engines.propagators.match.seen import Seen
from stages.engines.segment_frame import segment_frame

_NOTHING = np.zeros((0, 0), np.float32)


class Waiting:
    """A frame's objects: their masks in 8 bits, compressed, their disagreement in one."""

    def __init__(self, index: int, objects: Sequence[Seen], frame_hw: Sequence[int]) -> None:
        self._index, self._frame_hw = index, tuple(frame_hw)
        self._masks = [(seen.box, Packed(seen.probability)) for seen in objects]
        self._differing = [seen.disagreement and _Bits(seen.disagreement) for seen in objects]
        self._rest = [seen._replace(probability=_NOTHING, claim=_NOTHING, disagreement=None) for seen in objects]

    def told(self) -> SegmentFrame:
        """The frame's result, its masks rounded to 1/255."""
        probability = np.zeros((len(self._rest), *self._frame_hw), np.float32)
        for layer, (box, mask) in zip(probability, self._masks, strict=True):
            Patch(box, mask.unpack()).draw(layer)
        differing = [None if bits is None else self._whole(bits.unpack()) for bits in self._differing]
        return segment_frame(self._index, probability, self._rest, differing)

    def _whole(self, patch: Patch) -> NDArray[np.bool_]:
        layer = np.zeros(self._frame_hw, np.bool_)
        patch.draw(layer)
        return layer


class _Bits:
    """A layer of yes and no."""

    def __init__(self, layer: Patch) -> None:
        self._box, self._shape = layer.box, layer.values.shape
        self._bits = np.packbits(layer.values)

    def unpack(self) -> Patch:
        bits = np.unpackbits(self._bits, count=int(np.prod(self._shape)))
        return Patch(self._box, bits.reshape(self._shape).astype(np.bool_))
