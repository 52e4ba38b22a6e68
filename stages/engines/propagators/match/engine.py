"""Propagation by matching against both anchors at once: the `Propagator` around the networks of `match`.

Nothing is chained but the flow: every frame is matched with the anchors themselves, so that an error on one frame stays
there. Objects that the same anchors show, and that one view holds at about the scale that each would get alone, share
everything but the readout and the decoder.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stages.core.boxes import Box
from stages.core.fusion import agreement, lost_reason
from stages.core.states import NOT_ON_ANCHORS, Gone, Source
from stages.core.types import Anchor, Direction, Frame, Probability, SegmentFrame
from stages.engines.bidirectional import (
    areas_px,
    common_shape,
    expected_area_px,
    position_between,
    stacked,
    stretch_between,
)
from stages.engines.propagators.match.matching import CELL_PX
from stages.engines.propagators.match.network import (
    LEAST,
    Evidence,
    Features,
    MatchTrunk,
    Memory,
    against,
    fuse,
    gather,
    look_up,
    memory,
)
from stages.engines.propagators.match.prior import Carried, both, carry
from stages.engines.propagators.match.view import WIDENINGS, View
from stages.nn.fused import fuse_convolutions
from stages.nn.prepare import prepare

_MINIMUM_SCORE = 0.3
_LEAST_PRESENCE = 0.5
_LEAST_PRESENCE_ON_ONE = 0.8
"""Of an object that one of two anchors lacks: that speaks against it, too."""
_LEAST_CLAIM = 0.02
_TINY = np.finfo(np.float32).tiny
_LARGEST_LOSS_OF_SCALE = 1.5


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

        Raises:
            InputError: there is no anchor, or the two differ in the number of objects or the size of the frame.
        """
        object_count, height, width = common_shape(left, right)
        before_px, after_px = (areas_px(anchor, object_count) for anchor in (left, right))
        stretch = stretch_between(len(frames), left, right)
        groups = [_Group(self._network, frames, stretch, *group) for group in _groups(left, right, beyond)]
        nothing = np.zeros((height, width), np.float32)
        absent = Seen(nothing, nothing, 0.0, np.nan, _NOWHERE, _NOWHERE, NOT_ON_ANCHORS)
        for index in stretch:
            position = position_between(index, left, right)
            frame = frames[index]
            objects = [absent] * object_count
            taken = [group.observe(index, frame, position, len(groups) > 1) for group in groups]
            for place, group in enumerate(groups):
                outside = 1 - np.prod([1 - each for each in taken[:place] + taken[place + 1 :]], axis=0)
                for number, seen in zip(group.numbers, group.look(outside), strict=True):
                    objects[number] = _judge(seen, expected_area_px(before_px[number], after_px[number], position))
            objects = share(objects)
            yield SegmentFrame(
                index,
                np.array([seen.probability for seen in objects], np.float32).reshape(-1, height, width),
                np.array([seen.score for seen in objects], np.float32),
                np.array([seen.agreement for seen in objects], np.float32),
                tuple(seen.gone for seen in objects),
                {
                    "forward": _direction([seen.forward for seen in objects]),
                    "backward": _direction([seen.backward for seen in objects]),
                },
                stacked([seen.disagreement for seen in objects]),
            )


class Side(NamedTuple):
    """One object on one frame as one direction of flow brings it."""

    box_xyxy: tuple[float, float, float, float]
    trust: float


_NOWHERE = Side((0, 0, 0, 0), 0)


class Seen(NamedTuple):
    """One object on one frame."""

    probability: Probability
    """(H, W)."""
    claim: Probability
    """(H, W) in [0, 1]: the same by matching and flow alone, see `network.fuse`."""
    score: float
    agreement: float
    forward: Side
    backward: Side
    gone: Gone | None = None
    presence: float | None = None
    """In [0, 1]: how likely it is there, if the network has an opinion."""
    least_presence: float = _LEAST_PRESENCE
    if_absent: str = ""
    """What its absence would mean."""
    disagreement: NDArray[np.bool_] | None = None
    """(H, W) where what both directions of flow bring differs; None if one of them brings nothing."""


class _Observed(NamedTuple):
    """What a group knows of a frame before it decides."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    frame: Frame
    position: float
    features: Features
    evidence: Evidence
    base: Tensor
    """(1, objects, h / 2, w / 2), see `fuse`."""
    carried: tuple[Carried | None, Carried | None]


class _Group:
    """Objects that are looked at together, between one or two anchors."""

    def __init__(
        self,
        network: MatchTrunk,
        frames: Sequence[Frame],
        stretch: range,
        numbers: list[int],
        left: Anchor | None,
        right: Anchor | None,
        beyond: Sequence[Anchor],
    ) -> None:
        self.numbers = numbers
        self._network, self._frames, self._stretch = network, frames, stretch
        self._left, self._right, self._beyond = left, right, beyond
        self._widenings = iter(WIDENINGS)
        self._widen()

    def observe(self, index: int, frame: Frame, position: float, for_others: bool) -> Probability:
        """Gather what is known of a frame, and tell other groups where these objects are: (H, W) in [0, 1].

        A number without extent if nobody asks.
        """
        self._observed = self._observe(index, frame, position)
        if not for_others:
            return np.zeros((), np.float32)
        taken = 1 - (1 - self._observed.base[0]).prod(dim=0)
        return self._view.paste(taken.cpu().numpy())

    def look(self, outside: Probability) -> list[Seen]:
        """Find the objects on the frame observed, in a wider view if one of them runs out of it.

        `outside` (H, W): where objects of other groups are, or a number without extent.
        """
        seen, runs_out = self._decide(outside)
        while runs_out and self._widen():
            self._observed = self._observe(*self._observed[:3])
            seen, runs_out = self._decide(outside)
        return seen

    def _widen(self) -> bool:
        """Prepare the first view, or the next one; False if there is none."""
        widening = next(self._widenings, None)
        if widening is None:
            return False
        anchors = self._left, self._right
        masks = np.concatenate([anchor.masks for anchor in anchors if anchor is not None])
        self._view = View.around(Box.around(masks.max(axis=0) > 0.5), widening, masks.shape[1:])
        self._priors = carry(self._frames, self._stretch, *anchors, self._view.halved)
        self._memories = [anchor and self._remember(anchor) for anchor in anchors]
        self._further = [(each.index > self._stretch.start, self._remember(each)) for each in self._beyond]
        return True

    def _remember(self, anchor: Anchor) -> Memory:
        return memory(self._features(anchor.frame).key, self._tensor(self._view.masks(anchor.masks))[None])

    def _observe(self, index: int, frame: Frame, position: float) -> _Observed:
        forward, backward = carried = self._priors.at(index)
        # An anchor behind a cut shows another shot; if both lie behind one, either may still show the same object.
        memories = [each for each, masks in zip(self._memories, carried, strict=True) if each and masks]
        further = [each for is_after, each in self._further if carried[is_after]]
        features = self._features(frame)
        readout = look_up(features.key, memories or [each for each in self._memories if each], further)
        width, height = self._view.halved.size_wh
        flow = both(forward, backward, len(self.numbers), (height, width))
        place = np.float32(0.5 if forward is None or backward is None else position)
        evidence = gather(readout, *(self._tensor(np.asarray(part))[None] for part in (*flow, place)))
        return _Observed(index, frame, position, features, evidence, fuse(evidence).transpose(0, 1), carried)

    def _decide(self, outside: Probability) -> tuple[list[Seen], bool]:
        """The objects in the present view, and whether one of them runs out of it."""
        forward, backward = self._observed.carried
        evidence, base = self._observed.evidence, self._observed.base
        there = self._view.halved.masks(outside[None]) if outside.ndim else np.zeros((1, *base.shape[2:]), np.float32)
        evidence = evidence._replace(rivals=against(base, self._tensor(there)[None]).transpose(0, 1))
        logits, presence = self._network(self._observed.features, evidence)
        masks = torch.sigmoid(logits)
        masks = ((masks - LEAST) / (1 - 2 * LEAST)).clamp(0, 1)
        scores = _similarity_inside(masks, evidence.similarity[0]).tolist()
        layers, claims = masks[:, 0].cpu().numpy(), base[0].cpu().numpy()
        likely = [None] * len(layers) if presence is None else torch.sigmoid(presence).tolist()
        if_absent = absences(evidence)
        agreements = np.full(len(layers), np.nan, np.float32)
        in_both = evidence.has.all(dim=1).cpu().numpy()
        differing: list[NDArray[np.bool_] | None] = [None] * len(layers)
        if forward and backward:  # of an object that one of them lacks, they say nothing
            agreements = np.where(in_both, agreement(forward.masks, backward.masks), agreements)
            differing = [
                self._view.differing(one, other) if has_two else None
                for one, other, has_two in zip(forward.masks, backward.masks, in_both, strict=True)
            ]
        seen = [
            Seen(
                self._view.paste(layer),
                self._view.paste(claims[number]),
                scores[number],
                float(agreements[number]),
                self._side(forward, number),
                self._side(backward, number),
                presence=likely[number],
                least_presence=_LEAST_PRESENCE if in_both[number] else _LEAST_PRESENCE_ON_ONE,
                if_absent=if_absent[number],
                disagreement=differing[number],
            )
            for number, layer in enumerate(layers)
        ]
        return seen, any(self._view.cuts_off(layer) for layer in layers)

    def _features(self, frame: Frame) -> Features:
        picture = self._tensor(self._view.picture(frame)).permute(2, 0, 1)[None]
        return self._network.features(picture.float().contiguous(memory_format=torch.channels_last))

    def _tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(next(self._network.parameters()).device)

    def _side(self, carried: Carried | None, number: int) -> Side:
        if carried is None:
            return _NOWHERE
        inside = carried.masks[number] > 0.5
        if not inside.any():
            return _NOWHERE
        return Side(self._view.halved.on_frame(Box.around(inside)), float(carried.trust[inside].mean()))


def _groups(
    left: Anchor | None, right: Anchor | None, beyond: Sequence[Anchor]
) -> Iterator[tuple[list[int], Anchor | None, Anchor | None, list[Anchor]]]:
    """Objects to be looked at together, with their own part of the anchors.

    An object joins a group if in the common view no member is more than 1.5 times smaller than in a view of its own.
    """
    object_count, *frame_hw = common_shape(left, right)
    boxes = {}
    for number in range(object_count):
        shown = np.any([anchor.masks[number] > 0.5 for anchor in (left, right) if anchor is not None], axis=0)
        if shown.any():
            boxes[number] = Box.around(shown)
    for members in _merged(boxes, frame_hw):
        yield (
            members,
            left and left._replace(masks=left.masks[members]),
            right and right._replace(masks=right.masks[members]),
            [each._replace(masks=each.masks[members]) for each in beyond],
        )


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


def _judge(seen: Seen, expected_area_px: float) -> Seen:
    """The same, or emptied with a reason, if the object is lost on this frame, or not there."""
    if seen.presence is not None and seen.presence < seen.least_presence:
        gone = Gone(Source.ABSENT, f"{seen.if_absent} (presence {seen.presence:.2f})")
        return seen._replace(probability=np.zeros_like(seen.probability), score=1 - seen.presence, gone=gone)
    area_px = int(np.count_nonzero(seen.probability > 0.5))
    if seen.presence is None:
        reason = lost_reason(seen.score, _MINIMUM_SCORE, area_px, expected_area_px)
    else:
        reason = "" if area_px else "nothing left of the mask"
    return _lost(seen, reason) if reason else seen


def absences(evidence: Evidence) -> list[str]:
    """What it would mean of each object that it is not there: by its anchors, and by what is where flow carries it."""
    carried = evidence.flow > 0.5
    covered = (carried & (evidence.rivals > 0.5)).flatten(1).sum(dim=1) > carried.flatten(1).sum(dim=1) / 2
    words = []
    for (before, after), is_covered in zip(evidence.has.tolist(), covered.tolist(), strict=True):
        if before and after:
            words.append("covered by another object" if is_covered else "not found")
        else:
            words.append("not entered yet" if after else "has left")
    return words


def share(objects: list[Seen]) -> list[Seen]:
    """Where objects overlap: each against the background, which is where none of them is, and then one another.

    p_k / (p_k + (1 - p_1) (1 - p_2) ...) leaves one object alone as it is, and between two that touch no seam that each
    of them alone would not claim. Of several, the one wins whose p_k (c_k + 0.02) is largest, c_k being its claim by
    matching and flow: a decoder that knows appearance takes look-alikes for one another, place and motion do not. The
    others give way in proportion.
    """
    if len(objects) < 2:
        return objects
    probability = np.stack([seen.probability for seen in objects])
    background = np.prod(1 - probability, axis=0)
    shares = probability * (np.stack([seen.claim for seen in objects]) + _LEAST_CLAIM)
    probability /= np.maximum(probability + background, _TINY)
    probability *= shares / np.maximum(shares.max(axis=0), _TINY)
    return [
        seen._replace(probability=mask)
        if seen.gone or (mask > 0.5).any()
        else _lost(seen, "all of it is another object's")
        for seen, mask in zip(objects, probability, strict=True)
    ]


def _lost(seen: Seen, reason: str) -> Seen:
    return seen._replace(probability=np.zeros_like(seen.probability), score=0.0, gone=Gone(Source.LOST, reason))


def _similarity_inside(masks: Tensor, similarity: Tensor) -> Tensor:
    """How alike the cells of each mask (objects, 1, h, w) and the anchors' are: (objects,) in [0, 1]."""
    shares = functional.avg_pool2d((masks > 0.5).float(), CELL_PX)[:, 0]
    best = similarity.amax(dim=0).clamp(min=0)
    return (shares * best).sum(dim=(1, 2)) / shares.sum(dim=(1, 2)).clamp(min=1e-6)


def _direction(sides: list[Side]) -> Direction:
    boxes = np.array([side.box_xyxy for side in sides], np.float32).reshape(-1, 4)
    return Direction(boxes, np.array([side.trust for side in sides], np.float32))
