"""The soft masks that a result was made from, frame by frame: what doubtful pixels and larger masks are found with.

They are the engines' masks before refinement: of an anchor as it was segmented, of other frames as both directions
were joined. Refined masks are kept as label maps alone. Where both directions disagree comes with them, as far as it is
known.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.plan import Segment
from stages.core.types import Probability
from stages.formats.anchor_masks import AnchorMasks
from stages.formats.disagreement import read_disagreement
from stages.formats.tracks import read_tracks


class SoftFrame(NamedTuple):
    """The soft masks of one frame."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    object_ids: tuple[int, ...]
    probability: Probability
    """(objects, H, W) float32 in [0, 1]."""
    disagreement: NDArray[np.bool_] | None = None
    """(objects, H, W) where the forward and the backward mask differ; None of anchors, and where it is not known."""

    def enlarged(self, size_wh: tuple[int, int]) -> "SoftFrame":
        """The same at another size, bilinear, disagreement pixel by pixel; itself if it has that size."""
        if self.probability.shape[:0:-1] == size_wh:
            return self
        width, height = size_wh
        if not len(self.probability):
            return self._replace(probability=np.zeros((0, height, width), dtype=np.float32), disagreement=None)
        masks = [cv2.resize(mask, size_wh, interpolation=cv2.INTER_LINEAR) for mask in self.probability]
        differing = None
        if self.disagreement is not None:
            layers = self.disagreement.view(np.uint8)
            large = [cv2.resize(layer, size_wh, interpolation=cv2.INTER_NEAREST_EXACT) for layer in layers]
            differing = np.stack(large).astype(np.bool_)
        return self._replace(probability=np.stack(masks), disagreement=differing)


def soft_masks(anchor_masks: Mapping[int, Path], tracks: Mapping[Segment, Path]) -> Iterator[SoftFrame]:
    """Every frame's soft masks, in the video's order, read as they are asked for.

    Args:
        anchor_masks: frame index -> the folder that `segment_anchor` wrote.
        tracks: stretch -> the folder that `track_segment` wrote.

    Raises:
        StageError: a file is missing, damaged, or of a newer version of LIS. Tasks that read them say so by
            `reads_soft_masks`: what `lis clean` took away is made again before.
    """
    parts: list[tuple[range, Path, bool]] = [(range(i, i + 1), folder, True) for i, folder in anchor_masks.items()]
    parts += [(segment.frames, folder, False) for segment, folder in tracks.items()]
    for frames, folder, is_anchor in sorted(parts, key=lambda part: part[0].start):
        if is_anchor:
            masks = AnchorMasks.read(folder)
            yield SoftFrame(frames.start, masks.object_ids, masks.probability)
        else:
            for frame, differing in zip(read_tracks(folder), read_disagreement(folder, frames), strict=True):
                yield SoftFrame(frame.index, frame.object_ids, frame.probability, differing)
