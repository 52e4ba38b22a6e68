"""Propagation by matching against both anchors at once: the `Propagator` around the networks of `match`.

Every frame is matched with the anchors themselves. What is carried from frame to frame is flow, all the way from the
anchors, and, where that is no longer to be trusted, one step of flow from a neighbour that is decided already: so the
frames are decided from the anchors inwards.
"""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import nn

from stages.core.types import Anchor, Frame, SegmentFrame
from stages.engines.bidirectional import (
    areas_px,
    common_shape,
    expected_area_px,
    position_between,
    stretch_between,
)
from stages.engines.propagators.match.group import Near, groups
from stages.engines.propagators.match.hidden import Whereabouts
from stages.engines.propagators.match.network import MatchTrunk
from stages.engines.propagators.match.order import inwards
from stages.engines.propagators.match.patch import Patch
from stages.engines.propagators.match.pieces import in_one_place, sizes_px
from stages.engines.propagators.match.seen import ON_NO_ANCHOR, judged, shared
from stages.engines.propagators.match.waiting import Waiting
from stages.nn.fused import fuse_convolutions
from stages.nn.prepare import Precision, prepare


def rearranged(network: nn.Module) -> nn.Module:
    """The network itself, its convolutions fused."""
    fuse_convolutions(network)
    return network


class Match:
    """Masks matched with both anchors, fused with what flow carries from them, and corrected by a decoder, if any."""

    def __init__(self, network: MatchTrunk, *, device: str, precision: Precision = "float32") -> None:
        """Take a network, filled and in eval mode; `device` is `auto`, `cpu` or `cuda`."""
        self._network = cast(MatchTrunk, prepare(network, device, rearranged, precision))

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
        order = list(inwards(stretch, before_px.tolist(), after_px.tolist()))
        together = list(groups(self._network, frames, stretch, set(order), left, right, beyond))
        ends = [anchor for anchor in (left, right) if anchor is not None]
        sizes = sizes_px(ends)
        decided = {anchor.index: [Patch.around(mask) for mask in anchor.masks] for anchor in ends}
        whereabouts = Whereabouts()
        for index, masks in decided.items():
            whereabouts.note(index, masks)
        waiting: dict[int, Waiting] = {}
        for index, neighbour in order:
            position = position_between(index, left, right)
            frame, objects = frames[index], [ON_NO_ANCHOR] * object_count
            near = Near(neighbour, decided.pop(neighbour)) if neighbour in decided else None
            for group in together:
                group.observe(index, frame, position, near)
            taken = [group.taken for group in together]
            for place, group in enumerate(together):
                for number, seen in zip(group.numbers, group.look(taken[:place] + taken[place + 1 :]), strict=True):
                    expected_px = expected_area_px(before_px[number], after_px[number], position)
                    objects[number] = judged(seen, expected_px, frame_hw)
            objects = in_one_place(shared(objects), sizes)
            decided[index], waiting[index] = [seen.mask for seen in objects], Waiting(index, objects, frame_hw)
            whereabouts.note(index, decided[index])
        for index in stretch:
            yield whereabouts.with_covers(waiting.pop(index).told())
