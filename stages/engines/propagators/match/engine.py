"""Propagation by matching against both anchors at once: the `Propagator` around the networks of `match`.

Nothing is chained but the flow: every frame is matched with the anchors themselves, so that an error on one frame stays
there. Objects that the same anchors show, and that one view holds at about the scale that each would get alone, share
everything but the readout and the decoder.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.core.boxes import Box
from stages.core.fusion import agreement, lost_reason
from stages.core.states import Gone, Source
from stages.core.types import Anchor, Direction, Frame, Probability, SegmentFrame
from stages.engines.bidirectional import (
    areas_px,
    common_shape,
    expected_area_px,
    position_between,
    stretch_between,
)
from stages.engines.propagators.match.matching import CELL_PX
from stages.engines.propagators.match.network import LEAST, Features, MatchTrunk, gather, look_up, memory
from stages.engines.propagators.match.prior import Carried, carry, join, no_flow
from stages.engines.propagators.match.view import WIDENINGS, View
from stages.nn.fused import fuse_convolutions
from stages.nn.prepare import prepare

_MINIMUM_SCORE = 0.3
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
        groups = [_Group(self._network, frames, stretch, *group) for group in _groups(left, right)]
        absent = _Seen(np.zeros((height, width), np.float32), 0.0, np.nan, _NOWHERE, _NOWHERE, Gone(Source.ABSENT))
        for index in stretch:
            position = position_between(index, left, right)
            frame = frames[index]
            objects = [absent] * object_count
            for group in groups:
                for number, seen in zip(group.numbers, group.look(index, frame, position), strict=True):
                    objects[number] = _judge(seen, expected_area_px(before_px[number], after_px[number], position))
            yield SegmentFrame(
                index,
                _compete(np.array([seen.probability for seen in objects]).reshape(-1, height, width)),
                np.array([seen.score for seen in objects], np.float32),
                np.array([seen.agreement for seen in objects], np.float32),
                tuple(seen.gone for seen in objects),
                {
                    "forward": _direction([seen.forward for seen in objects]),
                    "backward": _direction([seen.backward for seen in objects]),
                },
            )


class _Side(NamedTuple):
    """One object on one frame as one direction of flow brings it."""

    box_xyxy: tuple[float, float, float, float]
    trust: float


_NOWHERE = _Side((0, 0, 0, 0), 0)


class _Seen(NamedTuple):
    """One object on one frame."""

    probability: Probability
    """(H, W)."""
    score: float
    agreement: float
    forward: _Side
    backward: _Side
    gone: Gone | None = None


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
    ) -> None:
        self.numbers = numbers
        self._network, self._frames, self._stretch = network, frames, stretch
        self._left, self._right = left, right
        self._widenings = iter(WIDENINGS)
        self._widen()

    def look(self, index: int, frame: Frame, position: float) -> list[_Seen]:
        """Find the objects on a frame, in a wider view if one of them runs out of it."""
        seen, runs_out = self._look(index, frame, position)
        while runs_out and self._widen():
            seen, runs_out = self._look(index, frame, position)
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
        self._memories = [
            anchor and memory(self._features(anchor.frame).key[0], self._tensor(self._view.masks(anchor.masks)))
            for anchor in anchors
        ]
        return True

    def _look(self, index: int, frame: Frame, position: float) -> tuple[list[_Seen], bool]:
        """The objects in the present view, and whether one of them runs out of it."""
        forward, backward = carried = self._priors.at(index)
        # An anchor behind a cut shows another shot; if both lie behind one, either may still show the same object.
        memories = [each for each, masks in zip(self._memories, carried, strict=True) if each and masks]
        features = self._features(frame)
        readouts, similarity = look_up(features.key[0], memories or [each for each in self._memories if each])
        width, height = self._view.halved.size_wh
        flow = join(forward, backward, position) or no_flow(len(readouts), (height, width))
        evidence = gather(readouts, similarity, *(self._tensor(np.asarray(part, np.float32)) for part in flow))
        masks = torch.sigmoid(self._network(features, evidence))
        masks = ((masks - LEAST) / (1 - 2 * LEAST)).clamp(0, 1)
        scores = _similarity_inside(masks, similarity).tolist()
        layers = masks[:, 0].cpu().numpy()
        agreements = agreement(forward.masks, backward.masks) if forward and backward else np.full(len(layers), np.nan)
        seen = [
            _Seen(
                self._view.paste(layer),
                scores[number],
                float(agreements[number]),
                self._side(forward, number),
                self._side(backward, number),
            )
            for number, layer in enumerate(layers)
        ]
        return seen, any(self._view.cuts_off(layer) for layer in layers)

    def _features(self, frame: Frame) -> Features:
        picture = self._tensor(self._view.picture(frame)).permute(2, 0, 1)[None]
        return self._network.features(picture.float().contiguous(memory_format=torch.channels_last))

    def _tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array).to(next(self._network.parameters()).device)

    def _side(self, carried: Carried | None, number: int) -> _Side:
        if carried is None:
            return _NOWHERE
        inside = carried.masks[number] > 0.5
        if not inside.any():
            return _NOWHERE
        return _Side(self._view.halved.on_frame(Box.around(inside)), float(carried.trust[inside].mean()))


def _groups(left: Anchor | None, right: Anchor | None) -> Iterator[tuple[list[int], Anchor | None, Anchor | None]]:
    """Objects to be looked at together, with their own part of the anchors; an anchor that lacks them is left out.

    An object joins a group if in the common view no member is more than 1.5 times smaller than in a view of its own.
    """
    object_count, *frame_hw = common_shape(left, right)
    boxes = {}
    sides: dict[tuple[bool, bool], list[int]] = {}
    for number in range(object_count):
        inside = [None if anchor is None else anchor.masks[number] > 0.5 for anchor in (left, right)]
        shown = [mask for mask in inside if mask is not None and mask.any()]
        if shown:
            boxes[number] = Box.around(np.any(shown, axis=0))
            in_left, in_right = (mask is not None and bool(mask.any()) for mask in inside)
            sides.setdefault((in_left, in_right), []).append(number)
    for (in_left, in_right), numbers in sides.items():
        for members in _merged({number: boxes[number] for number in numbers}, frame_hw):
            yield (
                members,
                left._replace(masks=left.masks[members]) if left and in_left else None,
                right._replace(masks=right.masks[members]) if right and in_right else None,
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


def _judge(seen: _Seen, expected_area_px: float) -> _Seen:
    """The same, or emptied with a reason, if the object is lost on this frame."""
    area_px = int(np.count_nonzero(seen.probability > 0.5))
    reason = lost_reason(seen.score, _MINIMUM_SCORE, area_px, expected_area_px)
    if not reason:
        return seen
    return seen._replace(probability=np.zeros_like(seen.probability), score=0.0, gone=Gone(Source.LOST, reason))


def _compete(probability: Probability) -> Probability:
    """Where objects overlap: each against the background, which is where none of them is.

    p_k / (p_k + (1 - p_1) (1 - p_2) ...): the order of the objects is kept, one object alone is left as it is, and
    between two that touch no seam is left that each of them alone would not claim.
    """
    if len(probability) < 2:
        return probability
    background = np.prod(1 - probability, axis=0)
    return probability / np.maximum(probability + background, np.finfo(np.float32).tiny)


def _similarity_inside(masks: Tensor, similarity: Tensor) -> Tensor:
    """How alike the cells of each mask (objects, 1, h, w) and the anchors' are: (objects,) in [0, 1]."""
    shares = functional.avg_pool2d((masks > 0.5).float(), CELL_PX)[:, 0]
    best = similarity.amax(dim=0).clamp(min=0)
    return (shares * best).sum(dim=(1, 2)) / shares.sum(dim=(1, 2)).clamp(min=1e-6)


def _direction(sides: list[_Side]) -> Direction:
    boxes = np.array([side.box_xyxy for side in sides], np.float32).reshape(-1, 4)
    return Direction(boxes, np.array([side.trust for side in sides], np.float32))
