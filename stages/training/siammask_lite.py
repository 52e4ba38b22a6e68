"""How `siammask:lite` is trained: pairs of crops made from one still, as its tracker would cut them out of two frames.

Either the whole picture is bent and shifted between the two, or the object is cut out and moves in front of another
picture. The losses are the paper's (Q. Wang et al., CVPR 2019, section 3): classes of anchors, their boxes, and masks
where the anchor is right; the masks also by their soft IoU.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stages.core.palette import IGNORE
from stages.engines.propagators.siammask import crops
from stages.engines.propagators.siammask.lite import Cell, LiteMaskState, LiteTemplate, SiamMaskLite, Views, cell
from stages.nn.lite import Lite, from_published
from stages.training.losses import soft_iou_loss
from stages.training.pictures import Picture
from stages.training.recipe import Batch, Draw, Recipe, Sample, Schedule
from stages.training.scenes import draw_object, photograph
from stages.training.sheets import contour, tiles

SEARCH_SIDE_PX: Final = 191
"""Smaller than the tracker's: the network is the same at every cell, and most of a larger crop teaches nothing new."""
CELLS: Final = (SEARCH_SIDE_PX - crops.TEMPLATE_SIDE_PX) // crops.STRIDE_PX + 1 + 8
_MIDDLE: Final = slice((crops.CELLS - CELLS) // 2, (crops.CELLS + CELLS) // 2)
ANCHORS: Final = crops.anchors().reshape(-1, crops.CELLS, crops.CELLS, 4)[:, _MIDDLE, _MIDDLE]
"""(5, cells, cells, 4) centre x, centre y, width, height; crop pixels from the crop's centre."""

_FITS, _MISSES = 0.6, 0.3
"""IoU of an anchor with the object's box from which it is foreground, and up to which it is background."""
_MASKS_PER_PAIR: Final = 1
_ABSENT: Final = 0.06
"""Share of the pairs whose search crop does not show the target."""

Grid = NDArray[np.float32]
"""(h, w, 2) where in a picture (x, y) every pixel of a crop comes from."""


class SiamMaskRecipe:
    """The `Recipe`."""

    notes = """
`siammask:lite` follows one object through a video from its mask on one frame: SiamMask's roles on a small backbone.

Limits: it has never seen a video, only pairs made from pictures. Outlines are coarse; thin and articulated parts are
where it errs.
"""
    schedule = Schedule(steps=1500, batch=16, learning_rate=1.5e-3, averaging=0.99)
    shares: Mapping[str, float] = {"coco_open": 0.3, "coco_nc": 0.5, "ccp_person": 0.2}
    engines: Sequence[str] = ()

    def build(self, trunk: Mapping[str, Tensor]) -> nn.Module:
        """See `Recipe`."""
        network = SiamMaskLite()
        backbone = network.features.trunk
        backbone.load_state_dict(from_published(trunk, backbone), strict=False)
        backbone.requires_grad_(False)  # what reads from the template by likeness reads best with it as it is
        return network

    def trunk(self, network: nn.Module) -> Lite:
        """See `Recipe`."""
        assert isinstance(network, SiamMaskLite)
        return network.features.trunk

    def sample(self, pictures: Draw, rng: np.random.Generator) -> Sample:
        """One pair of crops.

        `z` (127, 127, 4) uint8 RGB and the mask, 0 or 255; `x` (191, 191, 3) uint8 RGB; `target` (191, 191) uint8: 1
        object, 0 background, 255 unknown; `box` (4,) float32 centre x, y from the crop's centre, width, height, in
        crop pixels, all zero if the target is not there; `cells` (1, 2) int64 (y, x) at which masks are drawn.
        """
        return draw_pair(pictures, rng)

    def losses(self, network: nn.Module, batch: Batch, progress: float) -> dict[str, Tensor]:
        """See `Recipe`."""
        assert isinstance(network, SiamMaskLite)
        cls, loc, state = run(network, batch)
        right, wrong, offsets = anchor_targets(batch["box"])
        found = cls.reshape(len(cls), 2, *right.shape[1:])
        entropy = functional.cross_entropy(found, right.long(), reduction="none")
        misfit = functional.smooth_l1_loss(loc.reshape(offsets.shape), offsets, reduction="none", beta=0.1).sum(dim=1)
        present = batch["box"][:, 2] > 0
        logits, target = draw_masks(network, state, batch, present)
        known = target != IGNORE
        pixels = functional.binary_cross_entropy_with_logits(logits, (target == 1).float(), reduction="none")
        return {
            "class": 0.5 * (_mean(entropy, right) + _mean(entropy, wrong) + _mean(entropy, _confused(found, wrong))),
            "box": 1.2 * _mean(misfit, right),
            "mask": 2 * _mean(pixels, known),
            "iou": soft_iou_loss(logits, target),
        }

    def validate(self, network: nn.Module, held_out: Sequence[Picture]) -> dict[str, float]:
        """On fixed pairs from held-out pictures: IoU of the mask and of the box at the best cell."""
        assert isinstance(network, SiamMaskLite)
        masks, boxes = [], []
        for batch in self._batches(held_out, count=96):
            for found_mask, truth, found_box, box in _predict(network, batch):
                known = truth != IGNORE
                union = ((found_mask | (truth == 1)) & known).sum()
                masks.append(float((found_mask & (truth == 1)).sum() / max(union, 1)))
                boxes.append(float(box_iou(found_box, box)))
        return {"iou": float(np.mean(masks)), "box_iou": float(np.mean(boxes))}

    def sheet(self, network: nn.Module, held_out: Sequence[Picture]) -> NDArray[np.uint8]:
        """Held-out pairs side by side: the template and its mask, the search crop with truth (green) and mask (red)."""
        assert isinstance(network, SiamMaskLite)
        pictures = []
        for batch in self._batches(held_out, count=24):
            for index, (found, truth, _, _) in enumerate(_predict(network, batch)):
                z = np.zeros((SEARCH_SIDE_PX, crops.TEMPLATE_SIDE_PX, 3), np.uint8)
                template = batch["z"][index].numpy()
                z[: len(template)] = contour(template[..., :3], template[..., 3] > 127, (0, 255, 0))
                x = contour(contour(batch["x"][index].numpy(), truth == 1, (0, 255, 0)), found, (255, 0, 0))
                pictures.append(np.hstack([z, x]))
        return tiles(pictures, columns=6)

    def _batches(self, held_out: Sequence[Picture], count: int) -> list[Batch]:
        rng = np.random.default_rng(0)
        by_set = [[p for p in held_out if p.set_name == name] for name in self.shares]

        def draw(rng: np.random.Generator) -> Picture:
            members = by_set[int(rng.integers(len(by_set)))]
            return members[int(rng.integers(len(members)))]

        samples: list[Sample] = []
        while len(samples) < count:
            sample = self.sample(draw, rng)
            if sample["box"][2]:
                samples.append(sample)
        starts = range(0, count, 8)
        return [
            {name: torch.from_numpy(np.stack([s[name] for s in samples[i : i + 8]])) for name in samples[0]}
            for i in starts
        ]


# ------------------------------------------------------------------------------------------------------- pairs


@dataclass(frozen=True)
class Layer:
    """A picture with one thing in it."""

    rgb: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    """(H, W): 1 object, 0 background, 255 unknown."""

    @property
    def box(self) -> NDArray[np.float64]:
        """Centre x, centre y, width, height of the object."""
        return bounding_box(self.mask == 1)


def draw_pair(draw: Draw, rng: np.random.Generator) -> Sample:
    """See `SiamMaskRecipe.sample`."""
    target = _draw_layer(draw, rng)
    # An object that fills its picture has no surroundings there.
    fills = max(target.box[2:] / target.mask.shape[::-1]) > 0.6
    behind = draw(rng).rgb if rng.random() < (0.8 if fills else 0.35) else None
    fill = crops.mean_colour(target.rgb if behind is None else behind)

    size = target.box[2:] * np.exp(rng.normal(0, 0.04, 2))
    z_grid = _square(target.box[:2], crops.context_side(*size.tolist()), crops.TEMPLATE_SIDE_PX)
    scene = _Scene(draw, rng, behind, fill)
    z, z_mask = scene.show(target, z_grid, z_grid, busy=0.3)

    motion = Motion(target.box, rng)
    moved = motion.box(target.mask == 1)
    believed = moved[2:] * np.exp(rng.normal(0, 0.12, 2))  # by a tracker, from the frame before
    scale = crops.TEMPLATE_SIDE_PX / crops.context_side(*believed.tolist())
    side = SEARCH_SIDE_PX / scale
    offset = rng.normal(0, 10, 2) if rng.random() < 0.6 else rng.uniform(-56, 56, 2)
    if rng.random() < _ABSENT:
        shown = _draw_layer(draw, rng)
        x_grid = _square(shown.box[:2], 1.5 * crops.context_side(*shown.box[2:].tolist()), SEARCH_SIDE_PX)
        answer = np.zeros(4)
    else:
        shown = target
        x_grid = motion.back(_square(moved[:2] - offset / scale, side, SEARCH_SIDE_PX))
        answer = np.array([*offset, *(moved[2:] * scale)])
    camera_centre = target.box[:2] + rng.normal(0, 0.25, 2) * target.box[2:]
    camera = _square(camera_centre, side * np.exp(rng.normal(0, 0.06)), SEARCH_SIDE_PX)
    x, x_mask = scene.show(shown, x_grid, camera, busy=0.45)

    look = int(rng.integers(2**31))  # one camera sees both ...
    z, x = (photograph(picture, np.random.default_rng(look)) for picture in (z, x))
    x = _drift(x, rng)  # ... a while apart
    return {
        "z": np.dstack([z, 255 * _imperfect(z_mask == 1, rng)]),
        "x": x,
        "target": x_mask if answer[2] else np.zeros_like(x_mask),
        "box": answer.astype(np.float32),
        "cells": _cells(answer, rng),
    }


class Motion:
    """What happens to an object between two frames: scale, turn, shear, and a smooth bend."""

    def __init__(self, box: NDArray[np.float64], rng: np.random.Generator) -> None:
        """Draw one for an object with this box."""
        self._centre = box[:2].astype(np.float32)
        self._size = float(np.sqrt(box[2] * box[3]))
        strength = rng.choice([0.4, 1.0, 1.6])
        angle = np.deg2rad(rng.normal(0, 11 * strength))
        stretch = np.exp(rng.normal(0, 0.09 * strength, 2))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shear = np.array([[1, rng.normal(0, 0.07 * strength)], [rng.normal(0, 0.04 * strength), 1]])
        flip = np.diag([-1 if rng.random() < 0.03 else 1, 1])
        scale = np.exp(rng.normal(0, 0.12 * strength))
        self._inverse = np.linalg.inv(flip @ turn @ shear @ np.diag(scale * stretch)).astype(np.float32)
        self._bend = [
            rng.normal(0, amplitude * strength, (knots, knots, 2)).astype(np.float32)
            for knots, amplitude in ((3, 0.06), (6, 0.035))
        ]

    def back(self, places: Grid) -> Grid:
        """Where in the first frame the places (h, w, 2) of the second one come from."""
        relative = (places - self._centre) / self._size
        bent = relative @ self._inverse.T
        for knots in self._bend:
            # Knots lie over three object sizes; what is further away moves with the outermost.
            where = (relative / 3 + 0.5) * (len(knots) - 1)
            x, y = (np.ascontiguousarray(where[..., axis], np.float32) for axis in (0, 1))
            bent = bent + cv2.remap(_smooth(knots), *_fine(x, y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return (bent * self._size + self._centre).astype(np.float32)

    def box(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The box of an object's mask after the motion."""
        reach, side = 3 * max(*bounding_box(mask)[2:]), 160
        grid = _square(self._centre, reach, side)
        seen = _look(mask.astype(np.uint8), self.back(grid), cv2.INTER_NEAREST, 0) > 0
        if not seen.any():
            return bounding_box(mask)
        box = bounding_box(seen)
        per_pixel = reach / side
        return np.array([*(grid[0, 0] + (box[:2] - 0.5) * per_pixel), *(box[2:] * per_pixel)])


class _Scene:
    """What both frames of a pair have in common beside the target."""

    def __init__(
        self, draw: Draw, rng: np.random.Generator, behind: NDArray[np.uint8] | None, fill: NDArray[np.float64]
    ) -> None:
        self._rng, self._behind, self._fill = rng, behind, tuple(int(v) for v in fill)
        self._other = _draw_layer(draw, rng) if rng.random() < 0.7 else None

    def show(self, target: Layer, grid: Grid, camera: Grid, busy: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A crop and its mask (1, 0, 255 unknown).

        Args:
            target: the object.
            grid: where in its picture the crop comes from.
            camera: where the crop lies, in units of the target's picture; the scenery follows it.
            busy: probability that something else is in front of the object or beside it.
        """
        rng = self._rng
        rgb = _look(target.rgb, grid, cv2.INTER_LINEAR, self._fill)
        mask = _look(target.mask, grid, cv2.INTER_NEAREST, 0)
        if self._behind is not None:
            height, width = self._behind.shape[:2]
            place = (camera - target.box[:2].astype(np.float32)) * (0.35 * min(height, width) / max(target.box[2:]))
            place = place + np.array([width / 2, height / 2], np.float32)
            scenery = _look(self._behind, place, cv2.INTER_LINEAR, None)
            rgb = _over(rgb, mask == 1, scenery, rng.uniform(0.5, 0.9))
            mask = (mask == 1).astype(np.uint8)
        if self._other is not None and rng.random() < busy and (mask == 1).any():
            rgb, mask = self._add(rgb, mask)
        return rgb, mask

    def _add(self, rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Put another thing beside the object, or in front of up to half of it."""
        assert self._other is not None
        rng, side = self._rng, len(mask)
        box = bounding_box(mask == 1)
        scale = np.exp(rng.normal(0, 0.4)) * max(self._other.box[2:]) / max(box[2:])
        direction = rng.uniform(0, 2 * np.pi)
        away = rng.uniform(0.4, 1.6) * max(box[2:])
        centre = box[:2] + away * np.array([np.cos(direction), np.sin(direction)])
        y, x = np.mgrid[:side, :side]
        grid = ((np.dstack([x, y]) - centre) * scale + self._other.box[:2]).astype(np.float32)
        front = _look(self._other.mask, grid, cv2.INTER_NEAREST, 0) == 1
        if np.count_nonzero(front & (mask == 1)) > 0.5 * np.count_nonzero(mask == 1):
            return rgb, mask
        mixed = _over(_look(self._other.rgb, grid, cv2.INTER_LINEAR, 0), front, rgb, 0.7)
        return mixed, np.where(front, 0, mask).astype(np.uint8)


def bounding_box(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centre x, centre y, width, height in pixels, of a mask that is not empty."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([x + width / 2, y + height / 2, width, height])


def _draw_layer(draw: Draw, rng: np.random.Generator) -> Layer:
    while True:
        picture, mask = draw_object(draw, rng)
        if np.count_nonzero(mask == 1) >= 600:
            return Layer(picture.rgb, mask)


def _square(centre: NDArray[np.floating], side: float, pixels: int) -> Grid:
    """The pixel centres of a square crop that is `side` wide in its picture: (pixels, pixels, 2)."""
    steps = ((np.arange(pixels) + 0.5) / pixels - 0.5) * side - 0.5
    x, y = np.meshgrid(steps + centre[0], steps + centre[1])
    return np.dstack([x, y]).astype(np.float32)


def _look(
    picture: NDArray[np.uint8], grid: Grid, interpolation: int, beyond: tuple[int, ...] | int | None
) -> NDArray[np.uint8]:
    """A crop of a picture; beyond its border a colour, or the picture's reflection."""
    border = cv2.BORDER_REFLECT if beyond is None else cv2.BORDER_CONSTANT
    value = 0 if beyond is None else beyond
    looked = cv2.remap(picture, grid.astype(np.float32), None, interpolation, None, border, value)
    return np.asarray(looked, np.uint8)


_KNOT_PX: Final = 8


def _smooth(knots: NDArray[np.float32]) -> NDArray[np.float32]:
    """Displacements between knots, by cubic interpolation, `_KNOT_PX` values a knot."""
    return np.asarray(cv2.resize(knots, None, fx=_KNOT_PX, fy=_KNOT_PX, interpolation=cv2.INTER_CUBIC))


def _fine(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """From places among knots to places among what `_smooth` returns."""
    return (x + 0.5) * _KNOT_PX - 0.5, (y + 0.5) * _KNOT_PX - 0.5


def _over(
    front: NDArray[np.uint8], mask: NDArray[np.bool_], behind: NDArray[np.uint8], blur: float
) -> NDArray[np.uint8]:
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), blur)[..., None]
    return (alpha * front + (1 - alpha) * behind).astype(np.uint8)


def _drift(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light and sharpness change from frame to frame."""
    x = rgb.astype(np.float32)
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.5, 1.6))
    if rng.random() < 0.6:
        x = x * np.exp(rng.normal(0, 0.08)) * np.exp(rng.normal(0, 0.02, 3)).astype(np.float32) + rng.normal(0, 6)
    return np.clip(x, 0, 255).astype(np.uint8)


def _imperfect(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """An anchor's mask as a segmenter draws it: in a third of the cases its outline wanders by a few pixels."""
    solid = mask.astype(np.uint8)
    if rng.random() < 0.65:
        return solid
    inside = cv2.distanceTransform(solid, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - solid, cv2.DIST_L2, 3)
    wander = cv2.resize(rng.normal(0, rng.uniform(0.5, 3), (8, 8)), mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
    wandered = (inside > wander).astype(np.uint8)
    return wandered if wandered.any() else solid


# --------------------------------------------------------------------------------------------- network and targets


def run(network: SiamMaskLite, batch: Batch) -> tuple[Tensor, Tensor, LiteMaskState]:
    """What `track_mask` says of a batch of pairs."""
    z, x = (batch[name].permute(0, 3, 1, 2).float() for name in ("z", "x"))
    bgr, mask = z[:, :3].flip(1), z[:, 3:] / 255
    return network.track_mask(network.template(torch.cat([bgr, mask], dim=1)), x.flip(1))


def anchor_targets(box: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the heads should say.

    Args:
        box: (N, 4), see `SiamMaskRecipe.sample`.

    Returns:
        Which anchors are right, which are wrong (N, 5, cells, cells) bool, and the offsets (N, 4, 5, cells, cells).
    """
    anchors = torch.from_numpy(ANCHORS)
    wanted = box.view(-1, 1, 1, 1, 4)
    overlap = _iou(anchors, wanted)
    present = wanted[..., 2] > 0
    # Shapes that no anchor fits go to those that fit best.
    right = present & ((overlap >= _FITS) | (overlap >= 0.97 * overlap.amax(dim=(1, 2, 3), keepdim=True)))
    wrong = ~right & (overlap <= _MISSES)
    centre = (wanted[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    size = torch.log(wanted[..., 2:].clamp(min=1) / anchors[..., 2:])
    return right, wrong, torch.cat([centre, size], dim=-1).movedim(-1, 1)


def draw_masks(network: SiamMaskLite, state: LiteMaskState, batch: Batch, present: Tensor) -> tuple[Tensor, Tensor]:
    """Masks at the cells of a batch: logits and targets (M, 127, 127)."""
    parts, targets = [], []
    for index in present.nonzero().flatten().tolist():
        one = _only(state, index)
        for y, x in batch["cells"][index].tolist():
            parts.append(cell(one, y, x))
            targets.append(window_of(batch["target"][index], y, x))
    return network.draw(Cell(*(torch.cat(part) for part in zip(*parts, strict=True)))), torch.stack(targets)


def _only(state: LiteMaskState, index: int) -> LiteMaskState:
    views, template = (
        kind(*(part[index : index + 1] for part in parts))
        for kind, parts in zip((Views, LiteTemplate), state, strict=True)
    )
    return LiteMaskState(views, template)


def window_of(target: Tensor, y: int, x: int) -> Tensor:
    """The part of a search crop's mask (S, S) that cell (y, x) draws: (127, 127), unknown outside of the crop."""
    top, left, side = 8 * (y - 4), 8 * (x - 4), crops.TEMPLATE_SIDE_PX
    padded = functional.pad(target, (64,) * 4, value=IGNORE)
    return padded[top + 64 : top + 64 + side, left + 64 : left + 64 + side]


def box_iou(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """IoU of two boxes (centre x, centre y, width, height)."""
    return float(_iou(torch.as_tensor(one), torch.as_tensor(other)))


def _iou(one: Tensor, other: Tensor) -> Tensor:
    low = torch.maximum(one[..., :2] - one[..., 2:] / 2, other[..., :2] - other[..., 2:] / 2)
    high = torch.minimum(one[..., :2] + one[..., 2:] / 2, other[..., :2] + other[..., 2:] / 2)
    both = (high - low).clamp(min=0).prod(dim=-1)
    return both / (one[..., 2:].prod(dim=-1) + other[..., 2:].prod(dim=-1) - both)


def _cells(box: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.int64]:
    """Cells near the object's centre: where its mask may be asked for."""
    centre = box[1::-1] / crops.STRIDE_PX + CELLS // 2
    scatter = rng.normal(0, 1.1, (_MASKS_PER_PAIR, 2))
    return np.clip(np.rint(centre + scatter), 0, CELLS - 1).astype(np.int64)


def _confused(found: Tensor, wrong: Tensor) -> Tensor:
    """The wrong anchors that look most like the target, one in a hundred: (N, 5, cells, cells) bool."""
    margin = (found[:, 1] - found[:, 0]).detach().masked_fill(~wrong, -1e9).flatten(1)
    least = margin.topk(margin.shape[1] // 100, dim=1).values[:, -1]
    return wrong & (margin >= least[:, None]).view_as(wrong)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp(min=1)


def _predict(
    network: SiamMaskLite, batch: Batch
) -> "list[tuple[NDArray[np.bool_], NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]]":
    """For every pair: mask and truth in the search crop, box and true box."""
    cls, loc, state = run(network, batch)
    predictions = []
    for index in range(len(cls)):
        margin = cls[index].reshape(2, -1, CELLS, CELLS)
        best = int((margin[1] - margin[0]).argmax())
        y, x = best // CELLS % CELLS, best % CELLS
        offset, anchor = loc[index].reshape(4, -1)[:, best].numpy(), ANCHORS.reshape(-1, 4)[best]
        box = np.concatenate([anchor[:2] + offset[:2] * anchor[2:], np.exp(offset[2:]) * anchor[2:]])
        one = _only(state, index)
        canvas = np.zeros((SEARCH_SIDE_PX + 128,) * 2, bool)
        top, left = 8 * (y - 4) + 64, 8 * (x - 4) + 64
        canvas[top : top + 127, left : left + 127] = network.refine(one, y, x)[0].numpy() > 0
        predictions.append((canvas[64:-64, 64:-64], batch["target"][index].numpy(), box, batch["box"][index].numpy()))
    return predictions


RECIPE: Recipe = SiamMaskRecipe()
