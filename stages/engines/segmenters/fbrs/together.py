"""Objects of one picture, look by look, decided together; for networks that are shown masks (`LiteClicks`).

In every look each object is segmented with what it and the others were before, and then all of them and the background
share the pixels (`probabilities`). The first look is at the whole picture, its first stages computed once for all
objects; the closer ones are at each object, 1.4 times its size.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stages.core.types import Frame, Probability
from stages.engines.segmenters.fbrs.clicks import Click, points_tensor
from stages.engines.segmenters.fbrs.lite import LiteClicks, disc_maps
from stages.engines.segmenters.fbrs.zoom import Roi, ZoomSettings, object_roi
from stages.nn.lite import from_rgb

_SURE = 14.0
"""Logits beyond it are cut; its negative is what an object has outside of its crop."""


class Together:
    """Some objects of one picture."""

    def __init__(self, network: LiteClicks, frame: Frame, look_px: int, zoom: ZoomSettings, flip: bool = True) -> None:
        """Begin.

        Args:
            network: in eval mode.
            frame: (H, W, 3) uint8 RGB.
            look_px: longer side of what the network sees of the whole picture; smaller ones are not enlarged.
            zoom: how crops are chosen; `target_px` is their longer side.
            flip: average with the mirror image.
        """
        self._network, self._zoom, self._flip = network, zoom, flip
        self._device = next(network.parameters(), torch.empty(0)).device
        self._image = torch.tensor(np.ascontiguousarray(frame)).permute(2, 0, 1).float()[None].to(self._device)
        height, width = frame.shape[:2]
        self._whole = Roi(0, height - 1, 0, width - 1)
        self._look_px = min(look_px, max(height, width))

    @torch.no_grad()
    def segment(self, clicks: Sequence[list[Click]], before: Probability | None = None, closer: int = 1) -> Probability:
        """Segment all objects.

        Args:
            clicks: of each object, in pixels.
            before: (K, H, W) float32 in [0, 1], soft masks that the clicks correct, if there are any.
            closer: looks after the first one; one more if an object was not found at first.
        """
        probability = self._as_tensor(before, len(clicks))
        logits = torch.stack(self._look(self._whole, range(len(clicks)), clicks, probability))
        chosen, unseen = list(range(len(clicks))), list[int]()
        for turn in range(closer + 1):
            probability = probabilities(logits)
            empty = ~(probability > self._zoom.threshold).flatten(1).any(1).cpu().numpy()
            if turn == closer:  # for those that had not been found before their last look
                chosen = [k for k in unseen if not empty[k]]
            unseen = [k for k in chosen if empty[k]]
            for k in chosen:
                roi = self._whole if empty[k] else self._roi(probability[k], clicks[k])
                logits[k] = self._look(roi, [k], clicks, probability)[0]
        result: Probability = probabilities(logits).cpu().numpy()
        return result

    @torch.no_grad()
    def closer(self, clicks: Sequence[list[Click]], before: Probability) -> Probability:
        """One look at each object that is there, from what they were before, (K, H, W)."""
        probability = self._as_tensor(before, len(clicks))
        logits = []
        for k, mask in enumerate(probability):
            roi = self._roi(mask, clicks[k]) if (mask > self._zoom.threshold).any() else self._whole
            logits += self._look(roi, [k], clicks, probability)
        result: Probability = probabilities(torch.stack(logits)).cpu().numpy()
        return result

    def _as_tensor(self, before: Probability | None, count: int) -> Tensor:
        if before is None:
            return self._image.new_zeros((count, *self._whole.size_hw))
        return torch.tensor(np.ascontiguousarray(before), dtype=torch.float32, device=self._device)

    def _roi(self, mask: Tensor, clicks: list[Click]) -> Roi:
        on: NDArray[np.bool_] = (mask > self._zoom.threshold).cpu().numpy()
        return object_roi(on, clicks, self._zoom.expansion, self._zoom.min_crop_px)

    def _look(
        self, roi: Roi, chosen: Sequence[int], clicks: Sequence[list[Click]], probability: Tensor
    ) -> list[Tensor]:
        """Logits (H, W) of the chosen objects from a look at a region."""
        scale = (self._look_px if roi == self._whole else self._zoom.target_px) / max(roi.size_hw)
        height, width = (max(8, round(scale * side)) for side in roi.size_hw)
        rows, columns = slice(roi.top, roi.bottom + 1), slice(roi.left, roi.right + 1)
        seen = _resized(self._image[:, :, rows, columns], (height, width))
        early = self._network.encoder.early(from_rgb(self._both(seen)))
        total = probability[:, rows, columns].sum(0)
        result = []
        for k in chosen:
            own = probability[k, rows, columns]
            others = (total - own).clamp(0, 1)
            masks = _resized(torch.stack([own, others])[None], (height, width))
            moved = [
                click._replace(
                    row=(click.row - roi.top + 0.5) * height / roi.size_hw[0] - 0.5,
                    column=(click.column - roi.left + 0.5) * width / roi.size_hw[1] - 0.5,
                )
                for click in clicks[k]
            ]
            drawn = disc_maps(points_tensor([moved]).to(self._device), (height, width))
            logits = self._network.logits_from(early, self._both(torch.cat([drawn, masks], 1)))
            if self._flip:
                logits = 0.5 * (logits[:1] + logits[1:].flip(2))
            full = logits.new_full(self._whole.size_hw, -_SURE)
            full[rows, columns] = _resized(logits[None], roi.size_hw)[0, 0]
            result.append(full)
        return result

    def _both(self, x: Tensor) -> Tensor:
        return torch.cat([x, x.flip(3)]) if self._flip else x


class Clicking:
    """One object, click by click: `predict` maps all clicks so far to a probability (H, W)."""

    def __init__(self, together: Together) -> None:
        self._together = together
        self._before: Probability | None = None

    def predict(self, clicks: list[Click]) -> NDArray[np.float32]:
        """Segment the object; what it was before is remembered from call to call."""
        if self._before is None:
            self._before = self._together.segment([clicks])
        else:
            self._before = self._together.closer([clicks], self._before)
        return self._before[0]


def probabilities(logits: Tensor) -> Tensor:
    """What objects (K, H, W) become of their logits, that of the background being 0.

    They share a pixel by a softmax with the background; but the strongest is as probable as if it was alone with the
    background, so that between two that contend no seam is left which each of them would have claimed.
    """
    strength = logits.clamp(-_SURE, _SURE).exp()
    strongest = functional.one_hot(logits.argmax(0), len(logits)).permute(2, 0, 1).bool()
    return strength / (1 + torch.where(strongest, strength, strength.sum(0)))


def _resized(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Resize (N, C, h, w), averaging where it shrinks."""
    if tuple(x.shape[-2:]) == size_hw:
        return x
    return functional.interpolate(x, size=size_hw, mode="bilinear", align_corners=False, antialias=True)
