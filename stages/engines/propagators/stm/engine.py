"""Propagation by STM: masks read from the anchors, and from frames between them that were read before."""

from collections import deque
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.core.types import Anchor, Frame, Probability, TrackResult
from stages.engines.bidirectional import BothWays, result_of
from stages.engines.propagators.stm.network import STM, Memory, aggregate, padded, unpadded
from stages.nn.prepare import fold_batch_norms, for_inference, prepare

_SHORT_SIDE_PX = 480
"""Larger frames are looked at in the size that the network was published for."""
_PUBLISHED_EVERY = 5


def rearranged(network: nn.Module) -> nn.Module:
    """A copy that computes the same in less time; its parameters have other names."""
    fast = deepcopy(network)
    for module in fast.modules():
        fold_batch_norms(module)
    return for_inference(fast)


class Stm(BothWays):
    """Masks of all objects together, frame by frame, from a memory of frames with masks.

    All anchors that are given are remembered for good, also those beyond the stretch. Of the frames on the way the last
    one is, and every k-th; of those the oldest are forgotten, and of all cells a cell reads from those that are most
    alike: so neither memory nor time grows with the stretch.

    With `exact`, as published: one anchor alone is what a direction starts from, every fifth frame is kept however many
    there are, all cells are read, and frames have their own size.
    """

    def __init__(self, network: STM, *, device: str, every: int, most_kept: int, top_k: int, exact: bool) -> None:
        """Take a network, filled and in eval mode.

        Args:
            network: taken over.
            device: `auto`, `cpu` or `cuda`.
            every: one of so many frames is kept.
            most_kept: so many of them.
            top_k: so many cells are read from; 0: all.
            exact: as published; the three numbers mean nothing then.
        """
        super().__init__()
        self._network = cast(STM, prepare(network, device, None if exact else rearranged))
        self._is_exact = exact
        self._every = _PUBLISHED_EVERY if exact else every
        self._most_kept = None if exact else most_kept
        self._top_k = None if exact else top_k or None

    @torch.inference_mode()
    def follow(
        self, frames: Sequence[Frame], start: Anchor, others: Sequence[Anchor], stretch: range
    ) -> Iterator[tuple[int, list[TrackResult | None]]]:
        """See `BothWays`."""
        known = [start] if self._is_exact else [start, *others]
        shows = np.array([(each.masks > 0.5).any(axis=(1, 2)) for each in known])
        is_on_start, seen = shows[0].tolist(), np.flatnonzero(shows.any(axis=0))
        height, width = start.masks.shape[1:]
        permanent = [self._remember(each.frame, self._small(each.masks[seen])) for each in known if any(is_on_start)]
        kept: deque[Memory] = deque(maxlen=self._most_kept)
        last: Memory | None = None
        for step, index in enumerate(stretch):
            results: list[TrackResult | None] = [None] * len(is_on_start)
            if permanent:
                frame = frames[index]
                memory = _together([*permanent, *kept, *([last] if last else [])])
                if last and step % self._every == 0:
                    kept.append(last)
                estimate = self._estimate(frame, memory)
                masks = functional.interpolate(estimate[None], (height, width), mode="bilinear", align_corners=False)
                for number, mask in zip(seen, masks[0].cpu().numpy(), strict=True):
                    results[number] = result_of(mask) if is_on_start[number] else None
                if index != stretch[-1]:
                    last = self._remember(frame, estimate)
            yield index, results

    def _estimate(self, frame: Frame, memory: Memory) -> Tensor:
        """The objects on a frame, at the size at which it is looked at: (objects, h, w) in [0, 1]."""
        picture = self._picture(frame)
        found = self._network.find(self._network.query(padded(picture)), memory, self._top_k)
        shares = torch.softmax(aggregate(found, len(found) + 1), dim=1)[0, 1:]
        return unpadded(shares, picture.shape[-2:])

    def _remember(self, frame: Frame, masks: Tensor) -> Memory:
        return self._network.remember(padded(self._picture(frame)), padded(masks))

    def _picture(self, frame: Frame) -> Tensor:
        """(H, W, 3) uint8 -> (1, 3, h, w) in [0, 1]."""
        small = cv2.resize(frame, self._size_wh(frame.shape[:2]), interpolation=cv2.INTER_AREA)
        picture = torch.from_numpy(small).to(self._device).permute(2, 0, 1)[None]
        return picture.float().div(255).contiguous(memory_format=torch.channels_last)

    def _small(self, masks: Probability) -> Tensor:
        """(objects, H, W) -> (objects, h, w)."""
        size_wh = self._size_wh(masks.shape[1:])
        small = [cv2.resize(mask, size_wh, interpolation=cv2.INTER_AREA) for mask in masks]
        return torch.from_numpy(np.stack(small)).to(self._device)

    def _size_wh(self, frame_hw: Sequence[int]) -> tuple[int, int]:
        scale = 1.0 if self._is_exact else min(1.0, _SHORT_SIDE_PX / min(frame_hw))
        height, width = (max(1, round(scale * side)) for side in frame_hw)
        return width, height

    @property
    def _device(self) -> torch.device:
        return next(self._network.parameters()).device


def _together(memories: Sequence[Memory]) -> Memory:
    """All in one."""
    return Memory(*(torch.cat(parts, dim=2) for parts in zip(*memories, strict=True)))
