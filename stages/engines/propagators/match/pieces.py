"""Pieces of an object that lie at another one: each of several that look alike is to be found in one place.

Appearance gives a part of one to the other, and what is wrong on a frame is carried on to the next. Place tells: that
part lies away from the rest of its object, and touches the one that it is a part of.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.types import Anchor
from stages.engines.propagators.match.patch import Patch
from stages.engines.propagators.match.seen import Seen

_TOUCHES = 0.1
"""The share of a piece's rim that is another object's."""
_RIM_PX = 2
_WITH_RIM = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8)


class _Piece(NamedTuple):
    """A connected part of an object's mask."""

    box: Box
    """Around it and its rim."""
    inside: NDArray[np.bool_]
    """(h, w), fills the box."""

    @property
    def rim(self) -> NDArray[np.bool_]:
        """(h, w): the pixels around it."""
        return cv2.dilate(self.inside.view(np.uint8), _WITH_RIM).view(np.bool_) & ~self.inside


def sizes_px(anchors: Sequence[Anchor]) -> list[int]:
    """How large each object is on the anchors: the longest side of a box around it; 0 if none shows it."""
    masks = np.stack([anchor.masks > 0.5 for anchor in anchors], axis=1)
    return [max(max(Box.around(mask).size_wh) for mask in shown) for shown in masks]


def in_one_place(objects: Sequence[Seen], sizes_px: Sequence[int]) -> list[Seen]:
    """Give each piece that is far from the rest of its object to the one that it touches, if it touches one.

    Far is further than the object is large: pieces that something in front keeps apart lie closer together. The rest of
    an object is the piece that place and motion claim most of.
    """
    result = list(objects)
    for number, (seen, size_px) in enumerate(zip(objects, sizes_px, strict=True)):
        for piece in _far_off(seen, size_px) if len(objects) > 1 else ():
            rim = piece.rim
            touched = [np.count_nonzero(rim & (each.mask.on(piece.box) > 0.5)) for each in objects]
            owner = int(np.argmax(touched))
            if touched[owner] > _TOUCHES * np.count_nonzero(rim):
                given = Patch.around(np.where(piece.inside, seen.mask.on(piece.box), 0), piece.box)
                result[number], result[owner] = _less(result[number], piece), _more(result[owner], given)
    return result


def _far_off(seen: Seen, far_px: float) -> Iterator[_Piece]:
    """The pieces of an object's mask whose centre is that far from the box around the rest."""
    mask = seen.probability > 0.5
    if not mask.any():
        return
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    claimed = np.bincount(labels[mask], weights=seen.claim[mask], minlength=count)
    rest = int(np.argmax(claimed))
    left, top, width, height, _ = boxes[rest].tolist()
    for piece in range(1, count):
        x, y, across, down, _ = boxes[piece].tolist()
        beside = max(left - x - across / 2, x + across / 2 - left - width, 0)
        above = max(top - y - down / 2, y + down / 2 - top - height, 0)
        if piece != rest and np.hypot(beside, above) > far_px:
            box = Box(x - _RIM_PX, y - _RIM_PX, x + across + _RIM_PX, y + down + _RIM_PX)
            inside = np.pad(labels[y : y + down, x : x + across] == piece, _RIM_PX)
            yield _Piece(box.moved(seen.box.left, seen.box.top), inside)


def _less(seen: Seen, piece: _Piece) -> Seen:
    common = seen.box.common(piece.box)
    probability = seen.probability.copy()
    probability[common.within(seen.box)][piece.inside[common.within(piece.box)]] = 0
    return seen._replace(probability=probability)


def _more(seen: Seen, given: Patch) -> Seen:
    box = Box.hull([seen.box, given.box])
    probability = np.maximum(seen.mask.on(box), given.on(box))
    return seen._replace(box=box, probability=probability, claim=Patch(seen.box, seen.claim).on(box))
