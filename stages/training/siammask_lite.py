"""How `siammask:lite` is trained, on pairs of crops: of real clips, of composed ones, and of moved stills.

The losses are the paper's (Q. Wang et al., CVPR 2019, section 3): classes of anchors, their boxes, and masks
where the anchor is right; the masks also by their soft IoU.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stages.core.palette import IGNORE
from stages.engines.propagators.siammask import crops
from stages.engines.propagators.siammask.lite import (
    CLOSE_CONTEXT,
    Cell,
    LiteMaskState,
    LiteTemplate,
    SiamMaskLite,
    Views,
    cell,
)
from stages.nn.lite import Lite, from_published
from stages.training.losses import ious, soft_iou_loss
from stages.training.pictures import SMALLEST_SIDE_PX, Drawing, Picture, clips_of, examples
from stages.training.recipe import Batch, Draw, Recipe, Sample, Schedule
from stages.training.sheets import contour, tiles
from stages.training.siammask_clips import clip_pair, composed_pair
from stages.training.siammask_pairs import CELLS, LEAST_OBJECT_PX, SEARCH_SIDE_PX, WANTED, draw_pair

_MIDDLE: Final = slice((crops.CELLS - CELLS) // 2, (crops.CELLS + CELLS) // 2)
ANCHORS: Final = crops.anchors().reshape(-1, crops.CELLS, crops.CELLS, 4)[:, _MIDDLE, _MIDDLE]
"""(5, cells, cells, 4) centre x, centre y, width, height; crop pixels from the crop's centre."""

_SOURCES: Final = {clip_pair: 0.45, composed_pair: 0.2, draw_pair: 0.35}
_FITS, _MISSES = 0.6, 0.3
"""IoU of an anchor with the object's box from which it is foreground, and up to which it is background."""


class SiamMaskRecipe:
    """The `Recipe`."""

    notes = """
`{engine}` follows one object through a video from its mask on one frame: SiamMask's roles on a small backbone, and a
second, closer look for the mask. It learns from pairs of frames of clips, real and composed ones, where its sets have
any, and from moved pictures.

Limits: outlines are coarse; thin and articulated parts are where it errs. One object is followed at a time, so that
what looks like it is taken for it.
"""
    schedule = Schedule(steps=1500, batch=16, learning_rate=1.5e-3, averaging=0.99)
    shares: Mapping[str, float] = {"davis16_train": 0.2, "coco_open": 0.25, "coco_nc": 0.4, "ccp_person": 0.15}
    engines: Sequence[str] = ()
    on_gpu = False
    wanted = f"{WANTED} that is {SMALLEST_SIDE_PX} pixels long"

    def suits(self, picture: Picture) -> bool:
        """See `Recipe`."""
        return bool(picture.objects(LEAST_OBJECT_PX))

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
        """One pair of crops, by chance from a clip, a composed one, or a still; without clips, from stills alone.

        `z` (127, 127, 4) uint8 RGB and the mask, 0 or 255; `x` (191, 191, 3) uint8 RGB; `target` (191, 191) uint8: 1
        object, 0 background, 255 unknown; `box` (4,) float32 centre x, y from the crop's centre, width, height, in
        crop pixels, all zero if the target is not there; `cells` (1, 2) int64 (y, x) at which masks are drawn.
        """
        sources = list(_SOURCES) if clips_of(pictures) else [draw_pair]
        shares = np.array([_SOURCES[each] for each in sources])
        source = sources[int(rng.choice(len(sources), p=shares / shares.sum()))]
        return source(pictures, rng, float(rng.choice((crops.CONTEXT, CLOSE_CONTEXT))))

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
                masks += ious(torch.from_numpy(found_mask)[None], torch.from_numpy(truth)[None])
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
        rng, draw = np.random.default_rng(0), Drawing(held_out, self.shares)
        count = examples(held_out, count)
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
