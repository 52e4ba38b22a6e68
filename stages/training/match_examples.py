"""From a stretch to a training example: anchors as imperfect as the pipeline's, flow as the engine carries it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.palette import IGNORE
from stages.core.soft import HALF, to_uint8
from stages.core.types import Anchor, Probability
from stages.engines.propagators.match.prior import Carried, Priors, both, carry
from stages.engines.propagators.match.view import View
from stages.training.imperfect import imperfect_mask
from stages.training.match_stretches import SIZE_HW, Stretch
from stages.training.recipe import Sample
from stages.training.scenes import nearest_known

OBJECTS: Final = 3
"""Slots; objects beyond them are scenery."""
FRAMES: Final = 2
"""Between the anchors, of each stretch."""
LEAST_ON_ANCHOR_PX: Final = 60
_ONE_SIDED: Final = 0.12
_WITHOUT_FLOW: Final = 0.06
_IMPERFECT: Final = 0.55
_WITHOUT_NEAR: Final = 0.3
_FLOW_FOR_NEAR: Final = 0.2
"""How often a neighbour's masks are what flow alone would have made of them."""
_ONE_FOR_ANOTHER: Final = 0.06
_NOT_FOUND: Final = 0.08
_VIEW: Final = View(Box(0, 0, SIZE_HW[1], SIZE_HW[0]), SIZE_HW, (SIZE_HW[1] // 2, SIZE_HW[0] // 2))


def example(stretch: Stretch, rng: np.random.Generator) -> Sample | None:
    """Make one of a stretch; None if no anchor shows anything.

    See `MatchRecipe.sample`.
    """
    last = len(stretch.frames) - 1
    sides = np.array([True, True])
    if rng.random() < _ONE_SIDED:
        sides[rng.integers(2)] = False
    ends = [0, last]
    ids = _followed([stretch.labels[end] for end, is_there in zip(ends, sides, strict=True) if is_there], rng)
    if not ids:
        return None
    masks = [_masks(stretch, end, ids, rng) if there else None for end, there in zip(ends, sides, strict=True)]
    left, right = (
        None if mask is None else Anchor(end, stretch.frames[end], mask) for end, mask in zip(ends, masks, strict=True)
    )
    known = np.zeros((2, OBJECTS, *SIZE_HW), np.uint8)
    for place, mask in enumerate(masks):
        other = masks[1 - place]
        known[place, : len(ids)] = to_uint8(mask if mask is not None else np.asarray(other))
    between = np.sort(rng.choice(np.arange(1, last), FRAMES, replace=last <= FRAMES)).tolist()
    carried = carry(stretch.frames, range(1, last), left, right, _VIEW)
    has_flow = rng.random() >= _WITHOUT_FLOW
    height, width = _VIEW.size_wh[::-1]
    priors = np.zeros((FRAMES, 2, OBJECTS, height, width), np.uint8)
    trusts = np.zeros_like(priors)
    near = np.zeros_like(priors[:, 0])
    positions = np.full(FRAMES, 0.5, np.float32)
    for number, index in enumerate(between):
        directions = carried.at(index) if has_flow else (None, None)
        if step := _near(stretch, index, ids, carried, rng):
            near[number, : len(ids)] = to_uint8(step.masks * step.trust)
            before, after = (np.asarray((each[: len(ids)] > HALF).any(axis=(1, 2))) for each in known)
            forward, backward = directions
            directions = forward and forward.with_near(step, before), backward and backward.with_near(step, after)
        flow = both(*directions, len(ids), (height, width))
        priors[number, :, : len(ids)] = to_uint8(flow.priors)
        trusts[number, :, : len(ids)] = to_uint8(flow.trusts)
        if all(directions):
            positions[number] = index / last
    return {
        "pictures": np.stack([stretch.frames[index] for index in (*ends, *between)]),
        "anchors": known,
        "targets": np.stack([_targets(stretch.labels[index], ids) for index in between]),
        "objects": np.arange(OBJECTS) < len(ids),
        "sides": sides,
        "priors": priors,
        "trusts": trusts,
        "near": near,
        "positions": positions,
    }


def _followed(labels: Sequence[NDArray[np.uint8]], rng: np.random.Generator) -> list[int]:
    """Some of the objects that the anchors show, in any order."""
    counts = np.max([np.bincount(each.ravel(), minlength=256) for each in labels], axis=0)
    shown = [each for each in np.flatnonzero(counts >= LEAST_ON_ANCHOR_PX).tolist() if 0 < each < IGNORE]
    return rng.permutation(shown)[:OBJECTS].tolist()


def _near(
    stretch: Stretch, index: int, ids: Sequence[int], carried: Priors, rng: np.random.Generator
) -> Carried | None:
    """A neighbour's masks, as well or badly as they may have been decided, carried one step; None if it has none."""
    neighbour = index + int(rng.choice([-1, 1]))
    if rng.random() < _WITHOUT_NEAR or neighbour in (0, len(stretch.frames) - 1):
        return None
    masks = _VIEW.masks(_masks(stretch, neighbour, ids, rng))
    if rng.random() < _FLOW_FOR_NEAR and (brought := [each.masks for each in carried.at(neighbour) if each]):
        masks = np.mean(brought, axis=0, dtype=np.float32)
    if len(ids) > 1 and rng.random() < _ONE_FOR_ANOTHER:
        one, other = rng.choice(len(ids), 2, replace=False)
        masks[[one, other]] = masks[[other, one]]
    masks[rng.random(len(ids)) < _NOT_FOUND] = 0
    return carried.step(neighbour, index, masks)


def _masks(stretch: Stretch, end: int, ids: Sequence[int], rng: np.random.Generator) -> Probability:
    """The masks on an anchor as a segmenter draws them, or without error; empty where an object is not there."""
    labels = stretch.labels[end]
    is_imperfect = rng.random() < _IMPERFECT
    masks = np.zeros((len(ids), *SIZE_HW), np.float32)
    for number, each in enumerate(ids):
        inside = nearest_known(_target(labels, each))
        if np.count_nonzero(inside) < LEAST_ON_ANCHOR_PX:
            continue
        others = (labels != each) & (labels > 0) & (labels < IGNORE)
        masks[number] = imperfect_mask(inside, others, stretch.frames[end], rng) if is_imperfect else inside
    return masks


def _targets(labels: NDArray[np.uint8], ids: Sequence[int]) -> NDArray[np.uint8]:
    targets = np.zeros((OBJECTS, *SIZE_HW), np.uint8)
    for number, each in enumerate(ids):
        targets[number] = _target(labels, each)
    return targets


def _target(labels: NDArray[np.uint8], object_id: int) -> NDArray[np.uint8]:
    return np.where(labels == IGNORE, np.uint8(IGNORE), (labels == object_id).astype(np.uint8))
