"""Refinement by a network that knows things but was never shown a mask: what it sees in the mask's box, if that agrees.

The mask's box stands for what a detector would have found. Of the masks that the network draws there, one of each of
COCO's classes, the one that overlaps the given mask most is taken to be the object - if it overlaps enough, and only
near the given mask's boundary. Whatever COCO has no class of stays as it is.
"""

from typing import Final, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from stages.core.boxes import Box
from stages.core.guided_filter import band_around
from stages.core.types import Frame, Probability
from stages.engines.refiners.pointrend.network import PointRend
from stages.engines.refiners.pointrend.points import of_boxes, of_class, regular_grid, sample
from stages.nn.normed import fold_frozen_norms
from stages.nn.prepare import for_inference, prepare

_SHORTEST_PX: Final = 800
_LONGEST_PX: Final = 1333
"""What a picture is resized to, as the network was trained."""
_LEAST_IOU: Final = 0.7
"""Of what the network draws and the given mask; below it they are not of the same thing."""
_BAND: Final = 0.03
"""How far from the boundary pixels may change, as a share of the box's diagonal."""
_FINALISTS: Final = 5
"""Classes whose masks are drawn in full; among the others nothing at 28x28 was nearer."""


def rearranged(network: nn.Module) -> nn.Module:
    """The same in less time; taken over."""
    fold_frozen_norms(network)
    return for_inference(network)


class Things:
    """The engine `pointrend` with a network of detectron2's (implements `stages.engines.protocols.Refiner`)."""

    def __init__(self, network: PointRend, *, device: str) -> None:
        """Take a network, filled and in eval mode.

        Args:
            network: taken over.
            device: `auto`, `cpu` or `cuda`.
        """
        self._network = cast(PointRend, prepare(network, device, rearranged))
        self._device = next(self._network.parameters()).device
        self._seen: tuple[Frame, Tensor] | None = None

    @torch.inference_mode()
    def refine(self, frame: Frame, probability: Probability) -> Probability:
        """See `stages.engines.protocols.Refiner`."""
        solid = probability > 0.5
        refined: Probability = probability.copy()
        if not solid.any():
            return refined
        box = Box.around(solid)
        drawn = self._drawn(frame, box, solid)
        if drawn is not None:
            band = band_around(solid, max(1, round(_BAND * float(np.hypot(*box.size_wh)))))
            refined[band] = _pasted(drawn, box, solid.shape)[band]
        return refined

    def _drawn(self, frame: Frame, box: Box, solid: np.ndarray) -> Tensor | None:
        """The mask (1, 1, 224, 224) that is nearest to the given one, from edge to edge of the box; None: none is near.

        Every class has its mask at 28x28; the nearest few are drawn in full.
        """
        head, p2 = self._network.mask_head, self._features(frame)
        size_wh = torch.tensor([frame.shape[1], frame.shape[0]], device=self._device)
        corners = torch.tensor([box], device=self._device).float()
        scaled = corners * (torch.tensor(_scaled_wh(frame), device=self._device) / size_wh).repeat(2)
        given = torch.from_numpy(solid)[None, None].float().to(self._device)

        def given_in_box(side: int) -> Tensor:
            points = of_boxes(regular_grid(1, side, self._device), corners) / size_wh
            return sample(given, points).view(1, 1, side, side) > 0.5

        coarse = head.coarse(p2, scaled)
        first = head.first(p2, scaled, coarse)
        overlaps = _overlaps(first > 0, given_in_box(first.shape[-1]))[0]
        classes = overlaps.topk(_FINALISTS).indices
        boxes, coarse, first = (each.expand(_FINALISTS, *each.shape[1:]) for each in (scaled, coarse, first))
        masks = of_class(head.finished(p2, boxes, coarse, first, classes), classes)
        overlaps = _overlaps(masks > 0, given_in_box(masks.shape[-1]))[:, 0]
        best = int(overlaps.argmax())
        return masks[best : best + 1].sigmoid() if overlaps[best] > _LEAST_IOU else None

    def _features(self, frame: Frame) -> Tensor:
        """Of a frame; those of the last one are kept for its other objects."""
        if self._seen is None or not np.array_equal(self._seen[0], frame):
            resized = Image.fromarray(np.ascontiguousarray(frame)).resize(_scaled_wh(frame), Image.Resampling.BILINEAR)
            picture = torch.from_numpy(np.array(resized)).to(self._device).permute(2, 0, 1)[None].flip(1).float()
            self._seen = frame.copy(), self._network.p2(picture)
        return self._seen[1]


def _scaled_wh(frame: Frame) -> tuple[int, int]:
    """Width and height at which the network looks at a frame."""
    height, width = frame.shape[:2]
    scale = min(_SHORTEST_PX / min(height, width), _LONGEST_PX / max(height, width))
    return max(1, int(scale * width + 0.5)), max(1, int(scale * height + 0.5))


def _overlaps(masks: Tensor, given: Tensor) -> Tensor:
    """Intersection over union (R, K) of masks (R, K, h, w) with one (1, 1, h, w)."""
    common, either = (masks & given).sum((2, 3)), (masks | given).sum((2, 3))
    return common / either.clamp(min=1)


def _pasted(mask: Tensor, box: Box, shape: tuple[int, ...]) -> Probability:
    """A mask (1, 1, h, w) of a box as one of the frame (H, W); zero outside."""
    rows, columns = (torch.arange(side, device=mask.device) + 0.5 for side in shape)
    y, x = torch.meshgrid(
        (rows - box.top) / (box.bottom - box.top), (columns - box.left) / (box.right - box.left), indexing="ij"
    )
    pasted: Probability = sample(mask, torch.stack([x, y], -1)[None])[0, 0].cpu().numpy()
    return pasted
