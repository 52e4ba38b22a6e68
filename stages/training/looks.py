"""What a click network sees in one look after the other.

Objects of a scene decided together, clicks on errors, masks that are wrong; all of it on whichever device the tensors
are on, without waiting for it.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from stages.core.palette import IGNORE
from stages.engines.segmenters.fbrs.lite import DISC_RADIUS_PX

_SURE: Final = 14.0
"""Logits beyond it are cut: e to its power is still exact beside 1."""
_DEEPEST_PX: Final = 40
"""Errors are peeled so often, at half the resolution."""
_TRIED: Final = 12
"""Ends of a correction stroke."""


@dataclass(frozen=True)
class Items:
    """The objects of a batch of scenes, one after the other."""

    scene: Tensor
    """(N,) int64: in which scene each is."""
    target: Tensor
    """(N, H, W) uint8: 1 object, 0 background, 255 unknown."""
    strokes: Tensor
    """(N, 2, H, W) float32: on the object, and on anything else."""
    scenes: int

    @property
    def counts(self) -> Tensor:
        """(scenes,) int64: of how many objects each scene is."""
        return torch.bincount(self.scene, minlength=self.scenes)

    def of_scenes(self, chosen: Tensor) -> Tensor:
        """Which items lie in the chosen scenes (scenes,) bool: (N,) int64."""
        return chosen[self.scene].nonzero()[:, 0]


def items(labels: Tensor, strokes: Tensor) -> Items:
    """Take scenes apart.

    Args:
        labels: (B, H, W) uint8, 1.. objects, 255 unknown.
        strokes: (B, H, W) uint8, bit 0 background, bit k object k.
    """
    bits = 2 ** torch.arange(1, 8, device=labels.device, dtype=torch.int32)
    there = torch.stack([(strokes & (1 << number)).flatten(1).any(1) for number in range(1, 8)], 1)
    scene, place = there.nonzero(as_tuple=True)
    bit = bits[place][:, None, None]
    of_scene, drawn = labels[scene], strokes[scene].int()
    target = torch.where(of_scene == IGNORE, of_scene, (of_scene == (place + 1)[:, None, None]).to(torch.uint8))
    own, other = (drawn & bit) != 0, (drawn & ~bit) != 0
    return Items(scene, target, torch.stack([own.float(), other.float()], 1), len(labels))


def total_of_others(values: Tensor, scene: Tensor, scenes: int) -> Tensor:
    """For each item (N, H, W) the sum of the other items of its scene."""
    total = values.new_zeros((scenes, *values.shape[1:])).index_add_(0, scene, values)
    return total[scene] - values


def together(logits: Tensor, scene: Tensor, scenes: int) -> Tensor:
    """Logits (N, H, W) after the objects of a scene and its background (logit 0) have shared each pixel among them."""
    clipped = logits.clamp(-_SURE, _SURE)
    rivals = total_of_others(clipped.exp(), scene, scenes).clamp(min=0)
    return clipped - torch.log1p(rivals)


def masks_before(strokes: Tensor, probability: Tensor, scene: Tensor, scenes: int) -> Tensor:
    """All maps of a network that has been here before: (N, 4, H, W)."""
    others = total_of_others(probability, scene, scenes).clamp(0, 1)
    return torch.cat([strokes, probability[:, None], others[:, None]], 1)


def softened(probability: Tensor, factor: int) -> Tensor:
    """As seen at a coarser scale: (N, H, W)."""
    if factor <= 1:
        return probability
    low = functional.avg_pool2d(probability[:, None], factor)
    return functional.interpolate(low, size=probability.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def click_on_errors(
    strokes: Tensor, found: Tensor, target: Tensor, lines: Tensor | None = None, chance: torch.Generator | None = None
) -> Tensor:
    """Add a click in the middle of each prediction's largest error, or a line from there through the error.

    Args:
        strokes: (N, 2 or more, H, W) float32, on the object, on the rest; maps behind these are kept.
        found: (N, H, W) logits.
        target: (N, H, W), see `Items`.
        lines: (N,) bool, who gets a line; None: nobody.
        chance: chooses the lines.

    Returns:
        Maps of the same shape with a disc or a line more, unless the mask is right.
    """
    on = found > 0
    error = torch.stack([(target == 1) & ~on, (target == 0) & on], 1).float()
    depth = depths(error)
    count, _, _, low_width = depth.shape
    best, where = depth.flatten(2).max(2)
    sign, item = (best[:, 1] > best[:, 0]).long(), torch.arange(count, device=found.device)
    where = where[item, sign]
    start = torch.stack([2 * (where // low_width), 2 * (where % low_width)], 1).float() + 0.5
    end = start
    if lines is not None and count:
        end = _through(depth[item, sign], start, lines, chance)
    rows = torch.arange(found.shape[1], device=found.device).float()[None, :, None] - start[:, 0, None, None]
    columns = torch.arange(found.shape[2], device=found.device).float()[None, None] - start[:, 1, None, None]
    down, right = (end - start)[:, 0, None, None], (end - start)[:, 1, None, None]
    along = ((rows * down + columns * right) / (down * down + right * right).clamp(min=1)).clamp(0, 1)
    drawn = (rows - along * down) ** 2 + (columns - along * right) ** 2 <= (DISC_RADIUS_PX + 0.25) ** 2
    drawn = drawn & (best[item, sign] > 1)[:, None, None]
    result = strokes.clone()
    result[item, sign] = torch.maximum(result[item, sign], drawn.to(result.dtype))
    return result


def depths(error: Tensor) -> Tensor:
    """How deep inside of an error each pixel is, at half the resolution: (N, C, H, W) of 0, 1 to (N, C, H/2, W/2)."""
    left = (functional.avg_pool2d(error, 2) > 0.5).float()
    depth = torch.zeros_like(left)
    for turn in range(_DEEPEST_PX):
        depth += left
        eroded = -functional.max_pool2d(-functional.pad(left, (1, 1, 1, 1)), 3, 1)
        if turn % 2:  # squares and diamonds in turn are nearly discs
            cross = torch.minimum(
                -functional.max_pool2d(-functional.pad(left, (1, 1, 0, 0)), (1, 3), 1),
                -functional.max_pool2d(-functional.pad(left, (0, 0, 1, 1)), (3, 1), 1),
            )
            eroded = cross
        left = eroded
    return depth + 0.1 * functional.avg_pool2d(depth, 5, 1, 2)  # among equals the one amid others


def _through(depth: Tensor, start: Tensor, lines: Tensor, chance: torch.Generator | None) -> Tensor:
    """The end of the longest of some lines that stay inside of the error: (N, 2) row, column."""
    count, height, width = depth.shape
    weight = depth.flatten(1) + 1e-6
    places = torch.multinomial(weight, _TRIED, replacement=True, generator=chance)
    ends = torch.stack([2 * (places // width), 2 * (places % width)], 2).float() + 0.5
    share = torch.linspace(0, 1, 16, device=depth.device)[None, None, :, None]
    on_line = start[:, None, None] + share * (ends - start[:, None])[:, :, None]
    index = ((on_line[..., 0] / 2).long().clamp(0, height - 1) * width) + (on_line[..., 1] / 2).long().clamp(
        0, width - 1
    )
    inside = depth.flatten(1).gather(1, index.flatten(1)).view(index.shape) >= 1
    length = (ends - start[:, None]).norm(dim=2) * inside.all(2)
    chosen = ends[torch.arange(count, device=depth.device), length.argmax(1)]
    reaches = lines & (length.amax(1) > 0)
    return torch.where(reaches[:, None], chosen, start)


def wrong_masks(target: Tensor, others: Tensor, chance: torch.Generator) -> Tensor:
    """Soft masks (N, H, W) that somebody might take for the objects': wobbly, lacking, leaking, coarse.

    Args:
        target: (N, H, W), see `Items`.
        others: (N, H, W) float32 in [0, 1], into which they leak first.
        chance: makes every choice.
    """
    truth = (target == 1).float()
    count, height, width = truth.shape

    def even(*shape: int) -> Tensor:
        return torch.rand(shape, generator=chance, device=truth.device)

    def noise(cells: int) -> Tensor:
        coarse = torch.randn((count, 1, cells, cells), generator=chance, device=truth.device)
        return functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)[:, 0]

    reach = 0.035 * even(count, 1, 1)
    y = torch.linspace(-1, 1, height, device=truth.device)[None, :, None] + reach * noise(12) + reach * noise(4)
    x = torch.linspace(-1, 1, width, device=truth.device)[None, None] + reach * noise(12) + reach * noise(4)
    mask = functional.grid_sample(truth[:, None], torch.stack([x, y], 3), align_corners=True)[:, 0]
    lacking = (noise(5) > 0.6 + 1.4 * even(count, 1, 1)) & (even(count, 1, 1) < 0.6)
    near = functional.avg_pool2d(truth[:, None], 31, 1, 15)[:, 0] > 0.02
    leaking = (noise(6) > 0.7 + 1.5 * even(count, 1, 1)) & near & (even(count, 1, 1) < 0.6)
    into_others = (noise(4) > 0.3 + even(count, 1, 1)) & (even(count, 1, 1) < 0.5)
    mask = torch.where(lacking, torch.zeros_like(mask), mask)
    mask = torch.where(leaking, torch.ones_like(mask), mask)
    mask = torch.where(into_others, torch.maximum(mask, others), mask)
    coarse = softened(mask, 4)
    mask = torch.where(even(count, 1, 1) < 0.5, coarse, mask)
    sharpness = 0.5 + 1.5 * even(count, 1, 1)
    doubt = 0.02 + 0.15 * even(count, 1, 1)
    return ((mask - 0.5) * sharpness + 0.5).clamp(0, 1) * (1 - 2 * doubt) + doubt * (mask > 0.02)
