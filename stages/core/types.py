"""What the parts of the pipeline hand to each other: pictures, masks, anchors and tracks, as arrays."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.core.states import Gone

Frame = NDArray[np.uint8]
"""A picture: (H, W, 3) uint8 RGB."""
Probability = NDArray[np.float32]
"""Soft masks: (H, W) or (objects, H, W) float32 in [0, 1]."""
LabelMap = NDArray[np.uint8]
"""(H, W) uint8: object ids, 0 is background."""


class Anchor(NamedTuple):
    """A frame whose masks are known: where propagation starts."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    frame: Frame
    masks: Probability
    """(objects, H, W) float32 in [0, 1]; an object that is absent here is all zero."""


@dataclass(frozen=True)
class Direction:
    """What one direction of a two-directional engine saw of every object on one frame."""

    box_xyxy: NDArray[np.float32]
    """(objects, 4) pixels, right and bottom exclusive; zeros where the object is lost or absent."""
    score: NDArray[np.float32]
    """(objects,) in [0, 1]."""


@dataclass(frozen=True)
class SegmentFrame:
    """The joined result of a segment on one frame."""

    index: int
    probability: Probability
    """(objects, H, W) float32 in [0, 1]."""
    score: NDArray[np.float32]
    """(objects,) in [0, 1]: how sure the engine is."""
    agreement: NDArray[np.float32]
    """(objects,) IoU of the forward and the backward mask; NaN where only one direction exists."""
    gone: tuple[Gone | None, ...]
    """(objects,) why a mask is empty; None where there is one."""
    directions: dict[str, Direction] = field(default_factory=dict)
    """"forward" and "backward", for engines that have them."""
    disagreement: NDArray[np.bool_] | None = None
    """(objects, H, W) where the forward and the backward mask, each at 0.5, differ: nowhere for an object that only one
    direction has. None on frames that have one direction only, and of engines that do not tell."""


@dataclass(frozen=True)
class TrackResult:
    """One object on one frame, seen from one direction."""

    probability: Probability
    """(H, W) float32 in [0, 1]; all zero when the object is lost."""
    box_xyxy: tuple[float, float, float, float]
    """Pixels, right and bottom exclusive."""
    score: float
    """In [0, 1]."""
    reason: str = ""
    """Why the mask is empty, if it is: in words, with figures."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is to be seen of one mask (`stages.core.look`); NaN where there is no mask, or where nobody looked."""

    sureness: float = math.nan
    """The IoU that the soft mask itself expects of the mask: if each pixel is right with its own probability."""
    largest: float = math.nan
    """Share of the mask's largest part."""
