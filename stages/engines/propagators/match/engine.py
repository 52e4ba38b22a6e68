"""Propagation by matching against both anchors at once: the `Propagator` around the networks of `match`.

Every frame is matched with the anchors themselves. What is carried from frame to frame is flow, all the way from the
anchors, and, where that is no longer to be trusted, one step of flow from a neighbour that is decided already: so the
frames are decided from the anchors inwards.
"""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import torch
from torch import nn

from stages.core.types import Anchor, Direction, Frame, SegmentFrame
from stages.engines.bidirectional import (
    areas_px,
    common_shape,
    expected_area_px,
    position_between,
    stacked,
    stretch_between,
)
from stages.engines.propagators.match.group import Near, groups
from stages.engines.propagators.match.hidden import Whereabouts
from stages.engines.propagators.match.network import MatchTrunk
from stages.engines.propagators.match.order import Waiting, inwards
from stages.engines.propagators.match.seen import Seen, Side, judged, on_no_anchor, share
from stages.nn.fused import fuse_convolutions
from stages.nn.prepare import prepare


def rearranged(network: nn.Module) -> nn.Module:
    """The network itself, its convolutions fused."""
    fuse_convolutions(network)
    return network


class Match:
    """Masks matched with both anchors, fused with what flow carries from them, and corrected by a decoder, if any."""

    def __init__(self, network: MatchTrunk, *, device: str) -> None:
        """Take a network, filled and in eval mode; `device` is `auto`, `cpu` or `cuda`."""
        self._network = cast(MatchTrunk, prepare(network, device, rearranged))

    @torch.inference_mode()
    def propagate(
        self, frames: Sequence[Frame], left: Anchor | None, right: Anchor | None, beyond: Sequence[Anchor] = ()
    ) -> Iterator[SegmentFrame]:
        """Carry the anchors' masks over the frames strictly between them; see `stages.engines.protocols.Propagator`.

        Results wait compressed, at 8 bits a pixel, until all frames are decided.

        Raises:
            InputError: there is no anchor, or the two differ in the number of objects or the size of the frame.
        """
        object_count, *frame_hw = common_shape(left, right)
        before_px, after_px = (areas_px(anchor, object_count) for anchor in (left, right))
        stretch = stretch_between(len(frames), left, right)
        together = list(groups(self._network, frames, stretch, left, right, beyond))
        elsewhere = [on_no_anchor(frame_hw)] * object_count
        decided = {anchor.index: anchor.masks for anchor in (left, right) if anchor is not None}
        whereabouts = Whereabouts()
        for index, masks in decided.items():
            whereabouts.note(index, masks)
        waiting: dict[int, Waiting] = {}
        for index, neighbour in inwards(stretch, before_px.tolist(), after_px.tolist()):
            position = position_between(index, left, right)
            frame, objects = frames[index], list(elsewhere)
            near = Near(neighbour, decided.pop(neighbour)) if neighbour in decided else None
            taken = [group.observe(index, frame, position, near, len(together) > 1) for group in together]
            for place, group in enumerate(together):
                outside = 1 - np.prod([1 - each for each in taken[:place] + taken[place + 1 :]], axis=0)
                for number, seen in zip(group.numbers, group.look(outside), strict=True):
                    objects[number] = judged(seen, expected_area_px(before_px[number], after_px[number], position))
            result = _segment_frame(index, share(objects), frame_hw)
            decided[index], waiting[index] = result.probability, Waiting(result)
            whereabouts.note(index, result.probability)
        for index in stretch:
            yield whereabouts.with_covers(waiting.pop(index).told())


def _segment_frame(index: int, objects: list[Seen], frame_hw: Sequence[int]) -> SegmentFrame:
    return SegmentFrame(
        index,
        np.array([seen.probability for seen in objects], np.float32).reshape(-1, *frame_hw),
        np.array([seen.score for seen in objects], np.float32),
        np.array([seen.agreement for seen in objects], np.float32),
        tuple(seen.gone for seen in objects),
        {
            "forward": _direction([seen.forward for seen in objects]),
            "backward": _direction([seen.backward for seen in objects]),
        },
        stacked([seen.disagreement for seen in objects]),
    )


def _direction(sides: list[Side]) -> Direction:
    boxes = np.array([side.box_xyxy for side in sides], np.float32).reshape(-1, 4)
    return Direction(boxes, np.array([side.trust for side in sides], np.float32))
