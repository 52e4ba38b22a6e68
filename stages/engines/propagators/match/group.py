"""Objects that are looked at together: those that one view holds at about the scale that each would get alone.

They share everything but the readout and the decoder.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stages.core.boxes import Box
from stages.core.fusion import agreement
from stages.core.types import Anchor, Frame
from stages.engines.bidirectional import common_shape
from stages.engines.propagators.match.evidence import Evidence, against, gather
from stages.engines.propagators.match.matching import CELL_PX, SUB_CELLS
from stages.engines.propagators.match.network import LEAST, Features, MatchTrunk
from stages.engines.propagators.match.patch import Patch
from stages.engines.propagators.match.prior import Carried, both, carry
from stages.engines.propagators.match.reading import Memory, followed, look_up, memory, told_apart
from stages.engines.propagators.match.seen import NOWHERE, Seen, Side
from stages.engines.propagators.match.view import WIDENINGS, View

_LARGEST_LOSS_OF_SCALE = 1.5
_LEAST_CONSISTENCY = 0.7


class Near(NamedTuple):
    """A neighbour of a frame that is decided already, or an anchor."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    masks: Sequence[Patch]
    """Of all objects of the stretch."""


class _Observed(NamedTuple):
    """What a group knows of a frame before it decides."""

    index: int  # type: ignore[assignment]
    frame: Frame
    position: float
    near: Near | None
    features: Features
    evidence: Evidence
    base: Tensor
    """(1, objects, h / 2, w / 2), see `Evidence`."""
    carried: tuple[Carried | None, Carried | None]


class Group:
    """Objects that are looked at together, between one or two anchors."""

    def __init__(
        self,
        network: MatchTrunk,
        frames: Sequence[Frame],
        stretch: range,
        order: Collection[tuple[int, int]],
        numbers: list[int],
        box: Box,
        left: Anchor | None,
        right: Anchor | None,
        beyond: Sequence[Anchor],
    ) -> None:
        """Take the objects of these numbers, to be looked for around a box; the anchors have their masks only.

        `order`: of frames and neighbours of theirs, see `inwards`.
        """
        self.numbers, self._box = numbers, box
        self._network, self._frames, self._stretch, self._order = network, frames, stretch, order
        self._left, self._right, self._beyond = left, right, beyond
        self._widenings = iter(WIDENINGS)
        self._widen()

    def observe(self, index: int, frame: Frame, position: float, near: Near | None) -> None:
        """Gather what is known of a frame."""
        self._observed = self._observe(index, frame, position, near)

    @property
    def taken(self) -> Patch:
        """Where these objects are on the frame observed, in [0, 1], as far as is known so far."""
        return self._view.on_frame((1 - (1 - self._observed.base[0]).prod(dim=0)).cpu().numpy())

    def look(self, others: Sequence[Patch]) -> list[Seen]:
        """Find the objects on the frame observed, in a wider view if one of them runs out of it.

        `others`: what is `taken` by other groups.
        """
        seen, runs_out = self._decide(others)
        while runs_out and self._widen():
            self._observed = self._observe(*self._observed[:4])
            seen, runs_out = self._decide(others)
        return seen

    def _widen(self) -> bool:
        """Prepare the first view, or the next one; False if there is none."""
        widening = next(self._widenings, None)
        if widening is None:
            return False
        anchors = self._left, self._right
        self._view = View.around(self._box, widening, self._frames[self._stretch.start].shape[:2])
        self._priors = carry(self._frames, self._stretch, *anchors, self._view.halved, self._order)
        self._memories = [anchor and self._remember(anchor) for anchor in anchors]
        self._keys = {
            anchor.index: known.key for anchor, known in zip(anchors, self._memories, strict=True) if anchor and known
        }
        self._further = [(each.index > self._stretch.start, self._remember(each)) for each in self._beyond]
        return True

    def _remember(self, anchor: Anchor) -> Memory:
        return memory(self._features(anchor.frame).key, self._tensor(self._view.masks(anchor.masks))[None])

    def _observe(self, index: int, frame: Frame, position: float, near: Near | None) -> _Observed:
        forward, backward = carried = self._priors.at(index)
        # An anchor behind a cut shows another shot; if both lie behind one, either may still show the same object.
        memories = [each for each, masks in zip(self._memories, carried, strict=True) if each and masks]
        further = [each for is_after, each in self._further if carried[is_after]]
        features = self._features(frame)
        readout = look_up(features.key, memories or [each for each in self._memories if each], further)
        width, height = self._view.halved.size_wh
        if near is not None and (step := self._step(near, index, features.key)):
            readout = told_apart(readout, self._tensor(step.masks * step.trust)[None])
            forward, backward = (
                each and each.with_near(step, has)
                for each, has in zip(carried, readout.has[0].cpu().numpy(), strict=True)
            )
        self._keys[index] = features.key
        flow = both(forward, backward, len(self.numbers), (height, width))
        place = np.float32(0.5 if forward is None or backward is None else position)
        evidence = gather(readout, *(self._tensor(np.asarray(part))[None] for part in (*flow, place)))
        return _Observed(index, frame, position, near, features, evidence, evidence.base.transpose(0, 1), carried)

    def _decide(self, others: Sequence[Patch]) -> tuple[list[Seen], bool]:
        """The objects in the present view, and whether one of them runs out of it."""
        forward, backward = self._observed.carried
        near, evidence, base = self._observed.near, self._observed.evidence, self._observed.base
        evidence = evidence._replace(rivals=against(base, self._outside(others)).transpose(0, 1))
        logits, presence = self._network(self._observed.features, evidence)
        masks = torch.sigmoid(logits)
        masks = ((masks - LEAST) / (1 - 2 * LEAST)).clamp(0, 1)
        scores = _similarity_inside(masks, evidence.similarity[0]).tolist()
        layers, claims = masks[:, 0].cpu().numpy(), base[0].cpu().numpy()
        likely = [None] * len(layers) if presence is None else torch.sigmoid(presence).tolist()
        agreements = np.full(len(layers), np.nan, np.float32)
        has = [(before > 0, after > 0) for before, after in evidence.has.tolist()]
        in_both = [before and after for before, after in has]
        differing: list[Patch | None] = [None] * len(layers)
        if forward and backward:  # of an object that one of them lacks, they say nothing
            agreements = np.where(in_both, agreement(forward.masks, backward.masks), agreements)
            differing = [
                self._view.differing(one, other) if has_two else None
                for one, other, has_two in zip(forward.masks, backward.masks, in_both, strict=True)
            ]
        shown = [Patch.around(self._view.on_frame(layer).values, self._view.box) for layer in layers]
        seen = [
            Seen(
                *mask,
                self._view.on_frame(claims[number]).on(mask.box),
                scores[number],
                float(agreements[number]),
                self._side(forward, number),
                self._side(backward, number),
                presence=likely[number],
                on_anchors=has[number],
                was_there=near is None or not near.masks[self.numbers[number]].mask_box.is_empty,
                disagreement=differing[number],
            )
            for number, mask in enumerate(shown)
        ]
        return seen, any(self._view.cuts_off(layer) for layer in layers)

    def _outside(self, others: Sequence[Patch]) -> Tensor:
        """Where others are, all in one: (1, 1, h / 2, w / 2)."""
        box = self._view.box
        free = [1 - other.on(box) for other in others if not other.box.common(box).is_empty]
        if not free:
            return torch.zeros_like(self._observed.base[:, :1])
        return self._tensor(self._view.halved.patches([Patch(box, 1 - np.prod(free, axis=0))]))[None]

    def _step(self, near: Near, index: int, key: Tensor) -> Carried | None:
        """What a neighbour's masks become on a frame: by flow, and by matching where that is not consistent."""
        masks = self._view.halved.patches([near.masks[number] for number in self.numbers])
        by_flow, there = self._priors.step(near.index, index, masks), self._keys.pop(near.index, None)
        if by_flow is None or not (masks > 0.5).any():
            return by_flow
        where = functional.avg_pool2d(self._tensor(by_flow.trust), SUB_CELLS)[0] < _LEAST_CONSISTENCY
        if there is None:  # it was decided in a narrower view
            there = self._features(self._frames[near.index]).key
        read, trust = followed(key, there, self._tensor(masks), where)
        return by_flow.else_by(Carried(read.cpu().numpy(), trust.cpu().numpy()))

    def _features(self, frame: Frame) -> Features:
        picture = self._tensor(self._view.picture(frame)).permute(2, 0, 1)[None]
        return self._network.features(picture.float().contiguous(memory_format=torch.channels_last))

    def _tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(next(self._network.parameters()).device)

    def _side(self, carried: Carried | None, number: int) -> Side:
        if carried is None:
            return NOWHERE
        inside = carried.masks[number] > 0.5
        if not inside.any():
            return NOWHERE
        return Side(self._view.halved.box_on_frame(Box.around(inside)), float(carried.trust[0][inside].mean()))


def groups(
    network: MatchTrunk,
    frames: Sequence[Frame],
    stretch: range,
    order: Collection[tuple[int, int]],
    left: Anchor | None,
    right: Anchor | None,
    beyond: Sequence[Anchor],
) -> Iterator[Group]:
    """Objects to be looked at together, with their own part of the anchors.

    An object joins a group if in the common view no member is more than 1.5 times smaller than in a view of its own.
    """
    object_count, *frame_hw = common_shape(left, right)
    boxes = {}
    for number in range(object_count):
        shown = [anchor.masks[number] > 0.5 for anchor in (left, right) if anchor is not None]
        if not any(each.any() for each in shown):
            continue
        height, width = frame_hw
        comes_or_goes = not all(each.any() for each in shown)
        boxes[number] = Box(0, 0, width, height) if comes_or_goes else Box.around(np.any(shown, axis=0))
    for members in _merged(boxes, frame_hw):
        box = Box.hull(boxes[number] for number in members)
        before, after = (anchor and anchor._replace(masks=anchor.masks[members]) for anchor in (left, right))
        further = [each._replace(masks=each.masks[members]) for each in beyond]
        yield Group(network, frames, stretch, order, members, box, before, after, further)


def _merged(boxes: dict[int, Box], frame_hw: Sequence[int]) -> list[list[int]]:
    """Each object joins the first group that loses too little of anybody's scale."""

    def scale(numbers: Sequence[int]) -> float:
        return View.around(Box.hull(boxes[number] for number in numbers), WIDENINGS[0], frame_hw).scale

    merged: list[list[int]] = []
    for number in boxes:
        for members in merged:
            if _LARGEST_LOSS_OF_SCALE * scale([*members, number]) >= max(scale([each]) for each in (*members, number)):
                members.append(number)
                break
        else:
            merged.append([number])
    return merged


def _similarity_inside(masks: Tensor, similarity: Tensor) -> Tensor:
    """How alike the cells of each mask (objects, 1, h, w) and the anchors' are: (objects,) in [0, 1]."""
    shares = functional.avg_pool2d((masks > 0.5).float(), CELL_PX)[:, 0]
    best = similarity.amax(dim=0).clamp(0, 1)  # rounding goes beyond 1
    return (shares * best).sum(dim=(1, 2)) / shares.sum(dim=(1, 2)).clamp(min=1e-6)
