"""What is found of the objects on one frame: whether each is there, and which of them has which pixels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stages.core.boxes import Box
from stages.core.fusion import lost_reason
from stages.core.states import NOT_ON_ANCHORS, Gone, Source
from stages.core.types import Probability
from stages.engines.propagators.match.patch import Patch

_MINIMUM_SCORE = 0.3
_LEAST_PRESENCE = {(True, True): 0.5, (True, False): 0.6, (False, True): 0.4, (False, False): 0.7}
"""Of an object that all anchors have, or one lacks; that was there on the neighbouring frame, or was not."""
_SPECK, _SMALL = 0.04, 0.2
"""Shares of the area to expect: less than the first is never the object, less than the second only where it is sure."""
_SURE = 0.9
_LEAST_CLAIM = 0.02
_TINY = np.finfo(np.float32).tiny


class Side(NamedTuple):
    """One object on one frame as one direction of flow brings it."""

    box_xyxy: tuple[float, float, float, float]
    score: float
    """The mean trust in what it brings."""


NOWHERE = Side((0, 0, 0, 0), 0)


class Seen(NamedTuple):
    """One object on one frame."""

    box: Box
    """Where it is: all around it the probability is 0."""
    probability: Probability
    """(h, w), fills the box."""
    claim: Probability
    """(h, w) in [0, 1]: the same by matching and flow alone, see `Evidence.base`."""
    score: float
    agreement: float
    forward: Side
    backward: Side
    gone: Gone | None = None
    presence: float | None = None
    """In [0, 1]: how likely it is there, if the network has an opinion."""
    on_anchors: tuple[bool, bool] = (True, True)
    """Whether the anchor before has it, and the one after; of a single one, twice the same."""
    was_there: bool = True
    """On the neighbouring frame that is decided already."""
    disagreement: Patch | None = None
    """Where what both directions of flow bring differs, bool; None if one of them brings nothing."""

    @property
    def mask(self) -> Patch:
        """The probability on the frame."""
        return Patch(self.box, self.probability)

    @property
    def is_denied(self) -> bool:
        """Whether the network says that it is not there."""
        return self.presence is not None and self.presence < _LEAST_PRESENCE[all(self.on_anchors), self.was_there]

    def emptied(self, gone: Gone, score: float) -> "Seen":
        """The same without a pixel."""
        return self._replace(probability=np.zeros_like(self.probability), gone=gone, score=score)


_NOTHING = np.zeros((0, 0), np.float32)
ON_NO_ANCHOR = Seen(Box(0, 0, 0, 0), _NOTHING, _NOTHING, 0.0, np.nan, NOWHERE, NOWHERE, NOT_ON_ANCHORS)
"""An object of other stretches."""


def judged(seen: Seen, expected_area_px: float, frame_hw: Sequence[int]) -> Seen:
    """The same, or emptied with a reason, if the object is lost on this frame, or not there."""
    if seen.presence is not None and seen.is_denied:
        return seen.emptied(Gone(Source.ABSENT, _if_absent(seen)), 1 - seen.presence)
    reason = _if_lost(seen, expected_area_px, frame_hw)
    return seen.emptied(Gone(Source.LOST, reason), 0.0) if reason else seen


def _if_lost(seen: Seen, expected_area_px: float, frame_hw: Sequence[int]) -> str:
    area_px = int(np.count_nonzero(seen.probability > 0.5))
    if seen.presence is None or not area_px:
        return lost_reason(seen.score, _MINIMUM_SCORE, area_px, expected_area_px)
    least = _SMALL if seen.presence < _SURE else _SPECK
    if area_px >= least * expected_area_px or _is_cut_off(seen.mask.mask_box, frame_hw):
        return ""
    return f"area {area_px} px, expected about {expected_area_px:.0f} px (presence {seen.presence:.2f})"


def _is_cut_off(box: Box, frame_hw: Sequence[int]) -> bool:
    """Whether it may go on beyond the picture: what comes or leaves is small for a while."""
    return min(box) == 0 or box.bottom == frame_hw[0] or box.right == frame_hw[1]


def _if_absent(seen: Seen) -> str:
    before, after = seen.on_anchors
    words = "not found" if before and after else "not entered yet" if after else "has left"
    return f"{words} (presence {seen.presence:.2f})"


def shared(objects: list[Seen]) -> list[Seen]:
    """Where objects overlap: each against the background, which is where none of them is, and then one another.

    p_k / (p_k + (1 - p_1) (1 - p_2) ...) leaves one object alone as it is, and between two that touch no seam that each
    of them alone would not claim. Of several, the one wins whose p_k (c_k + 0.02) is largest, c_k being its claim by
    matching and flow: a decoder that knows appearance takes look-alikes for one another, place and motion do not. The
    others give way in proportion.
    """
    if len(objects) < 2:
        return objects
    shares = [seen.probability * (seen.claim + _LEAST_CLAIM) for seen in objects]
    result = []
    for seen, own_share in zip(objects, shares, strict=True):
        background, largest_share = np.ones_like(own_share), np.zeros_like(own_share)
        for other, share in zip(objects, shares, strict=True):
            common = seen.box.common(other.box)
            ours, theirs = common.within(seen.box), common.within(other.box)
            background[ours] *= 1 - other.probability[theirs]
            np.maximum(largest_share[ours], share[theirs], out=largest_share[ours])
        mask = seen.probability.copy()
        mask /= np.maximum(mask + background, _TINY)
        mask *= own_share / np.maximum(largest_share, _TINY)
        is_left = bool(seen.gone) or bool((mask > 0.5).any())
        gone = Gone(Source.LOST, "all of it is another object's")
        result.append(seen._replace(probability=mask) if is_left else seen.emptied(gone, 0.0))
    return result
