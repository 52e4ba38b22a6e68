"""Masks that optical flow carries into a stretch from both ends, before anything is matched."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.optical_flow import Field, consistency, dense_flow, is_cut, sources, to_gray
from stages.core.packed import Packed
from stages.core.soft import from_uint8, to_uint8
from stages.core.types import Anchor, Frame, Probability
from stages.engines.propagators.match.view import View

_STEPS_A_PIXEL = 64
_TRUST_IN_NEAR = np.float32(0.6)
_TINY = np.float32(1e-6)


class Carried(NamedTuple):
    """Masks as one direction of flow brings them to a frame, at the size of the view."""

    masks: Probability
    """(objects, h, w) in [0, 1]."""
    trust: Probability
    """(1, h, w), or (objects, h, w), in [0, 1]: the product of the flow's consistency along each pixel's path."""

    def with_near(self, near: "Carried", has: NDArray[np.bool_]) -> "Carried":
        """The same, with what a neighbouring frame's decided masks say where trust in the long way has fallen.

        `has` (objects,): which objects the anchor has. One that is not on the neighbour has been lost there, or is
        covered: that says nothing.
        """
        speaks = (has & (near.masks > 0.5).any(axis=(1, 2)))[:, None, None].astype(np.float32)
        share: Probability = speaks * _TRUST_IN_NEAR * (1 - self.trust) * near.trust
        trust: Probability = self.trust + share
        masks = (self.trust * self.masks + share * near.masks) / trust.clip(_TINY)
        return Carried(masks, trust)

    def else_by(self, other: "Carried") -> "Carried":
        """The same where it is to be trusted, and another one where it is not."""
        rest = (1 - self.trust) * other.trust
        trust: Probability = self.trust + rest
        return Carried((self.trust * self.masks + rest * other.masks) / trust.clip(_TINY), trust)


class Flow(NamedTuple):
    """What both directions bring to a frame."""

    priors: Probability
    """(2, objects, h, w): forward and backward; a single one stands for both, and 0.5 for none."""
    trusts: Probability
    """(2, objects, h, w) in [0, 1]; 0 where there is no flow."""


def both(forward: Carried | None, backward: Carried | None, objects: int, size_hw: tuple[int, int]) -> Flow:
    """Put two directions side by side; behind a cut, or without an anchor, there is none."""
    one, other = forward or backward, backward or forward
    if one is None or other is None:
        return Flow(np.full((2, objects, *size_hw), 0.5, np.float32), np.zeros((2, objects, *size_hw), np.float32))
    trusts = (np.broadcast_to(each.trust, each.masks.shape) for each in (one, other))
    return Flow(np.stack([one.masks, other.masks]), np.stack(list(trusts)))


class Priors:
    """What flow brings to the frames of a stretch, compressed; nothing from behind a cut."""

    def __init__(
        self,
        forward: Mapping[int, Packed],
        backward: Mapping[int, Packed],
        steps: Mapping[tuple[int, int], "_KeptFlow"],
    ) -> None:
        """Forward and backward by frame: masks and trust in them, one behind the other.

        `steps`: flow from a frame to a neighbour, by both their indices.
        """
        self._directions, self._steps = (forward, backward), steps

    def at(self, index: int) -> tuple[Carried | None, Carried | None]:
        """What comes to a frame from the anchor before, and from the one after."""
        forward, backward = (
            _carried(direction[index].unpack()) if index in direction else None for direction in self._directions
        )
        return forward, backward

    def step(self, neighbour: int, index: int, masks: Probability) -> Carried | None:
        """Carry a neighbour's masks (objects, h, w) one step of flow; None at a cut, or if that was not `asked`."""
        kept = self._steps.get((index, neighbour))
        if kept is None:
            return None
        flow = kept.unpack()
        from_xy = sources(flow.field)
        moved = [_remap(mask, from_xy, cv2.BORDER_REPLICATE) for mask in masks]
        return Carried(np.stack(moved), flow.consistency[None])


def carry(
    video: Sequence[Frame],
    stretch: range,
    left: Anchor | None,
    right: Anchor | None,
    view: View,
    asked: Collection[tuple[int, int]] | None = None,
) -> Priors:
    """Follow the masks of one or two anchors through a stretch; every frame is read once.

    The flows between two neighbouring frames, one to the other and back, serve both directions: one says where pixels
    come from, the other how far that can be trusted. Forward flows wait until the backward ones are done.

    Args:
        video: the frames.
        stretch: those between the anchors.
        left: the anchor before.
        right: the anchor after.
        view: what is looked at.
        asked: of which frames, from which neighbour, `Priors.step` will be asked: the only flows that are kept. None:
            of all, from either.
    """
    forward = None if left is None else _Track(left, view)
    backward = None if right is None else _Track(right, view)
    indices = [
        *([] if right is None else [stretch.stop]),
        *reversed(stretch),
        *([] if left is None else [stretch.start - 1]),
    ]
    steps: dict[tuple[int, int], _KeptFlow] = {}
    for index, to_after, to_before in _flows(video, indices, view):
        if backward is not None and index in stretch:
            backward.step(index, to_after)
        pairs = (index, index + 1), (index + 1, index)
        for pair, flow, is_waiting in zip(pairs, (to_after, to_before), (False, forward is not None), strict=True):
            if flow and (is_waiting or asked is None or pair in asked):
                steps[pair] = _KeptFlow(flow)
    if forward is not None:
        for index in stretch:
            pair = index, index - 1
            kept = steps.get(pair) if asked is None or pair in asked else steps.pop(pair, None)
            forward.step(index, kept.unpack() if kept else None)
    return Priors(forward.packed if forward else {}, backward.packed if backward else {}, steps)


class _Flow(NamedTuple):
    field: Field
    """(h, w, 2): from every pixel to the other frame."""
    consistency: Field
    """(h, w)."""


def _flows(
    video: Sequence[Frame], indices: Sequence[int], view: View
) -> Iterator[tuple[int, _Flow | None, _Flow | None]]:
    """From each frame but the first to the one before it in the list, and back; None at a cut."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)  # the view is small
    # A third of the preset's time; on four DAVIS sequences the fused masks lost 0.0015 of mean J.
    dis.setPatchStride(4)
    dis.setGradientDescentIterations(12)
    dis.setVariationalRefinementIterations(2)
    frame = video[indices[0]]
    whole, last = to_gray(frame), view.gray(frame)
    for index in indices[1:]:
        frame = video[index]
        before, whole = whole, to_gray(frame)
        now = view.gray(frame)
        if is_cut(before, whole):
            yield index, None, None
        else:
            there, back = dense_flow(dis, now, last), dense_flow(dis, last, now)
            yield index, _Flow(there, consistency(there, back)), _Flow(back, consistency(back, there))
        last = now


class _Track:
    """One direction: where on the anchor every pixel of the last frame comes from. A cut ends it.

    Places are carried, not masks: those would get softer with every step, and there may be many.
    """

    def __init__(self, anchor: Anchor, view: View) -> None:
        self._masks = view.masks(anchor.masks)
        height, width = self._masks.shape[1:]
        self._places = np.stack(sources(np.zeros((height, width, 2), np.float32)))
        self._trust = np.ones((height, width), np.float32)
        self._is_lost = False
        self.packed: dict[int, Packed] = {}

    def step(self, index: int, flow: _Flow | None) -> None:
        if flow is None:
            self._is_lost = True
        if flow is None or self._is_lost:
            return
        from_xy = sources(flow.field)
        # Beyond the border an object goes on, but nothing is known.
        self._places = np.stack([_remap(axis, from_xy, cv2.BORDER_REPLICATE) for axis in self._places])
        self._trust = _remap(self._trust, from_xy, cv2.BORDER_CONSTANT) * flow.consistency
        x, y = self._places
        masks = [_remap(mask, (x, y), cv2.BORDER_REPLICATE) for mask in self._masks]
        self.packed[index] = Packed(np.stack([*masks, self._trust]))


def _carried(layers: Probability) -> Carried:
    return Carried(layers[:-1], layers[-1:])


def _remap(layer: Field, from_xy: tuple[Field, Field], border: int) -> Field:
    return cv2.remap(layer, *from_xy, cv2.INTER_LINEAR, borderMode=border)


class _KeptFlow:
    """A flow while it waits: in 1/64 pixels, its consistency in 1/255."""

    def __init__(self, flow: _Flow) -> None:
        self._field: NDArray[np.int16] = np.rint(flow.field * _STEPS_A_PIXEL).astype(np.int16)
        self._consistency = to_uint8(flow.consistency)

    def unpack(self) -> _Flow:
        return _Flow(self._field * np.float32(1 / _STEPS_A_PIXEL), from_uint8(self._consistency))
