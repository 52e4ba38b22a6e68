"""Points of a picture: what a map holds there, and where to look next.

Points are (x, y) in [0, 1], from outer edge to outer edge: pixel i of W has its centre at (i + 0.5) / W.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def sample(maps: Tensor, points: Tensor, mode: str = "bilinear") -> Tensor:
    """What maps hold at points.

    Args:
        maps: (N, C, H, W).
        points: (N, P, 2), or (N, h, w, 2).
        mode: `bilinear`, or `nearest`.

    Returns:
        (N, C, P), or (N, C, h, w). All is zero outside, and a point less than half a pixel inside is blended with that.
    """
    if points.ndim == 3:
        return sample(maps, points[:, :, None], mode)[..., 0]
    return functional.grid_sample(maps, 2 * points - 1, mode=mode, padding_mode="zeros", align_corners=False)


def regular_grid(count: int, side: int, device: torch.device | None = None) -> Tensor:
    """The centres of `side` x `side` cells, row by row, so many times: (count, side * side, 2)."""
    centres = (torch.arange(side, device=device) + 0.5) / side
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(1, -1, 2).expand(count, -1, -1)


def most_uncertain(uncertainty: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The pixels where the values are highest.

    Args:
        uncertainty: (R, 1, H, W).
        number: of pixels; all, if there are fewer.

    Returns:
        Flat indices (R, P), the highest value first, and the pixels' centres (R, P, 2).
    """
    count, _, height, width = uncertainty.shape
    indices = uncertainty.view(count, -1).topk(min(number, height * width), dim=1).indices
    x, y = (indices % width + 0.5) / width, (indices // width + 0.5) / height
    return indices, torch.stack([x, y], dim=-1)


def of_boxes(points: Tensor, boxes: Tensor) -> Tensor:
    """Points (R, P, 2) of boxes, as points of the picture, in its pixels.

    Args:
        points: (R, P, 2), from edge to edge of a box.
        boxes: (R, 4), left, top, right and bottom in pixels.
    """
    return boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])


def sample_in_boxes(pyramid: Sequence[Tensor], scales: Sequence[float], points: Tensor, boxes: Tensor) -> Tensor:
    """What the feature maps of one picture hold at points of boxes.

    Args:
        pyramid: maps (1, C, h, w).
        scales: of each, its pixels per pixel of the picture, 1/4 for instance.
        points: (R, P, 2), from edge to edge of a box.
        boxes: (R, 4), in pixels of the picture.

    Returns:
        (R, C1 + C2 + ..., P).
    """
    pixels = of_boxes(points, boxes)
    found = []
    for maps, scale in zip(pyramid, scales, strict=True):
        covered = torch.tensor([maps.shape[3] / scale, maps.shape[2] / scale], device=maps.device)
        found.append(sample(maps, (pixels / covered)[None])[0])
    return torch.cat(found).transpose(0, 1)


def subdivided(
    logits: Tensor,
    steps: int,
    number: int,
    uncertainty: Callable[[Tensor], Tensor],
    predict: Callable[[Tensor], Tensor],
) -> Tensor:
    """Double the resolution step by step, and predict anew where it is least certain.

    Args:
        logits: (R, K, h, w).
        steps: doublings.
        number: of points of a step.
        uncertainty: makes (R, 1, H, W) of logits (R, K, H, W).
        predict: makes logits (R, K, P) of points (R, P, 2).

    Returns:
        (R, K, h * 2 ** steps, w * 2 ** steps).
    """
    for _ in range(steps):
        logits = functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
        indices, points = most_uncertain(uncertainty(logits), number)
        every_class = indices[:, None].expand(-1, logits.shape[1], -1)
        logits = logits.flatten(2).scatter(2, every_class, predict(points)).view_as(logits)
    return logits


def uncertainty_of_class(logits: Tensor, classes: Tensor) -> Tensor:
    """How near a mask's logits are to zero: (R, 1, H, W), at most 0.

    Args:
        logits: (R, K, H, W); K may be 1, whatever the classes are.
        classes: (R,), whose masks are wanted.
    """
    return -of_class(logits, classes).abs()


def of_class(logits: Tensor, classes: Tensor) -> Tensor:
    """The channel (R, 1, H, W) of each one's class; the only one, if there is one alone."""
    if logits.shape[1] == 1:
        return logits
    return logits[torch.arange(len(logits), device=logits.device), classes][:, None]


def uncertainty_between_classes(logits: Tensor) -> Tensor:
    """How near the second largest logit is to the largest: (N, 1, H, W), at most 0."""
    largest = logits.topk(2, dim=1).values
    return largest[:, 1:] - largest[:, :1]
