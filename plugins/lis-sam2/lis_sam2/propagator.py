"""Propagation by SAM 2."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.sam2_video_predictor import SAM2VideoPredictor

from lis_sam2.clip import Clips, forget
from lis_sam2.networks import seeing
from stages.core.types import Anchor, Frame, Probability, TrackResult
from stages.engines.bidirectional import BothWays, result_of
from stages.nn.prepare import prepare


class Sam2Propagator(BothWays):
    """Masks of each object by itself, by the package's own predictor of videos.

    It is prompted by the masks of all anchors that are given, also those beyond the stretch; no prompt is ever changed.
    Frames are read one by one, and what it does not look back at any more is let go of, so that neither memory nor time
    grows with the stretch.
    """

    def __init__(self, network: SAM2VideoPredictor, *, device: str, side_px: int) -> None:
        """Take a network, filled and in eval mode.

        Args:
            network: taken over.
            device: `auto`, `cpu` or `cuda`.
            side_px: side of the square in which it sees a frame; rounded down to a multiple of 32.
        """
        super().__init__()
        self._predictor: SAM2VideoPredictor = prepare(seeing(network, side_px // 32 * 32), device)
        self._clips = Clips(self._predictor)

    def follow(
        self, frames: Sequence[Frame], start: Anchor, others: Sequence[Anchor], stretch: range
    ) -> Iterator[tuple[int, list[TrackResult | None]]]:
        """See `BothWays`."""
        followed = np.flatnonzero((start.masks > 0.5).any(axis=(1, 2)))
        found = self._carried(frames, [*others, start], followed, stretch) if stretch and len(followed) else None
        for index in stretch:
            results: list[TrackResult | None] = [None] * len(start.masks)
            for number, mask in zip(followed, next(found) if found else [], strict=True):
                results[number] = result_of(mask)
            yield index, results

    @torch.inference_mode()
    def _carried(
        self, frames: Sequence[Frame], known: Sequence[Anchor], followed: NDArray[np.intp], stretch: range
    ) -> Iterator[Probability]:
        """The masks of some objects, frame after frame away from the last anchor."""
        start = known[-1]
        state = self._clips.begin(frames, {each.index: each.frame for each in known}, start.frame.shape[:2])
        for anchor in known:
            for number in followed.tolist():
                mask = np.ascontiguousarray(anchor.masks[number]) > 0.5
                self._predictor.add_new_mask(state, anchor.index, number, mask)
            self._predictor.propagate_in_video_preflight(state)  # while it has the features of the anchor's frame
        found = self._predictor.propagate_in_video(state, start.index, len(stretch), reverse=stretch.step < 0)
        next(found)  # the anchor itself
        for index, _, logits in found:
            forget(self._predictor, state, index)
            yield torch.sigmoid(logits[:, 0]).cpu().numpy()
