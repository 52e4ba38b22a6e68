"""Propagation by Cutie."""

import math
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from cutie.inference.inference_core import InferenceCore
from cutie.model.cutie import CUTIE
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from stages.core.types import Anchor, Frame, Probability, TrackResult
from stages.engines.bidirectional import BothWays, result_of
from stages.nn.prepare import prepare

_STRIDE_PX = 16
"""Of a cell of the memory."""
warnings.filterwarnings("ignore", category=FutureWarning, module=r"cutie\.")  # of torch, to Cutie's authors


class Cutie(BothWays):
    """Masks of all objects together, frame by frame, by the package's own `InferenceCore`.

    All anchors that are given are its permanent memory, also those beyond the stretch; the one that a direction starts
    from comes last, and its frame is where the sensory memory starts. Of the frames on the way every k-th is
    remembered, and the last few of them are kept: so neither memory nor time grows with the stretch.
    """

    def __init__(self, network: CUTIE, *, device: str, side_px: int, every: int) -> None:
        """Take a network, filled and in eval mode.

        Args:
            network: taken over.
            device: `auto`, `cpu` or `cuda`.
            side_px: shorter side of what it sees of a frame; smaller frames are not enlarged.
            every: one of so many frames on the way is remembered.
        """
        super().__init__()
        self._settings = OmegaConf.merge(network.cfg, {"max_internal_size": side_px, "mem_every": every})
        self._network = prepare(network, device)

    @torch.inference_mode()
    def follow(
        self, frames: Sequence[Frame], start: Anchor, others: Sequence[Anchor], stretch: range
    ) -> Iterator[tuple[int, list[TrackResult | None]]]:
        """See `BothWays`."""
        known = [*others, start]
        shows = np.array([(each.masks > 0.5).any(axis=(1, 2)) for each in known])
        is_on_start, seen = shows[-1].tolist(), np.flatnonzero(shows.any(axis=0))
        core = InferenceCore(self._network, cfg=self._settings_for(start.frame.shape[:2]))
        for anchor in known if any(is_on_start) else []:
            core.clear_sensory_memory()  # the anchors are no neighbours in time
            self._remember(core, anchor, seen)
        for index in stretch:
            results: list[TrackResult | None] = [None] * len(is_on_start)
            if any(is_on_start):
                shares = core.step(self._tensor(frames[index]).permute(2, 0, 1) / 255, end=index == stretch[-1])
                for number, mask in zip(seen, shares[1:].cpu().numpy(), strict=True):
                    results[number] = result_of(mask) if is_on_start[number] else None
            yield index, results

    def _remember(self, core: InferenceCore, anchor: Anchor, seen: NDArray[np.intp]) -> None:
        core.step(
            self._tensor(anchor.frame).permute(2, 0, 1) / 255,
            self._tensor(anchor.masks[seen]),
            objects=list(range(1, len(seen) + 1)),
            idx_mask=False,
            force_permanent=True,
        )

    def _tensor(self, values: Frame | Probability) -> Tensor:
        return torch.tensor(np.ascontiguousarray(values), device=next(self._network.parameters()).device)

    def _settings_for(self, size_hw: Sequence[int]) -> DictConfig:
        """For frames of this size: a memory of a tiny one has fewer cells than Cutie reads from."""
        scale = min(1, self._settings.max_internal_size / min(size_hw))
        cells = math.prod(math.ceil(int(side * scale) / _STRIDE_PX) for side in size_hw)
        return OmegaConf.merge(self._settings, {"top_k": min(self._settings.top_k, cells)})
