"""The masks of every object on one anchor frame."""

from pathlib import Path

import numpy as np

from stages.core.checks import check_soft_masks
from stages.core.strokes import FrameScribbles
from stages.core.types import Frame
from stages.engines.protocols import Segmenter, UsesClicks
from stages.formats.anchor_masks import AnchorMasks


def segment_anchor(folder: Path, frame: Frame, scribbles: FrameScribbles, segmenter: Segmenter) -> None:
    """Segment one anchor frame and write the folder `anchor_masks/<frame>/`.

    Args:
        folder: where to write.
        frame: (H, W, 3) uint8 RGB.
        scribbles: its lines; without any, all objects are absent: an empty mask.
        segmenter: the engine.
    """
    height, width = frame.shape[:2]
    object_ids = scribbles.object_ids
    nothing = np.zeros((0, height, width), dtype=np.float32)
    probability = segmenter.segment(frame, scribbles) if object_ids else nothing
    check_soft_masks(probability, (len(object_ids), height, width), segmenter, "an anchor")
    clicks = segmenter.clicks_used(scribbles, (width, height)) if isinstance(segmenter, UsesClicks) else None
    AnchorMasks(object_ids, probability).write(folder, clicks)
