"""The masks of every object on one anchor frame: from strokes, from strokes that correct them, or as they are given."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from stages.core.checks import check_soft_masks
from stages.core.correction import correction
from stages.core.strokes import FrameScribbles
from stages.core.types import Frame, LabelMap, Probability
from stages.engines.protocols import HeedsMasks, Segmenter, UsesClicks
from stages.formats.anchor_masks import AnchorMasks


def segment_anchor(folder: Path, frame: Frame, scribbles: FrameScribbles, segmenter: Segmenter) -> list[int]:
    """Segment one anchor frame and write the folder `anchor_masks/<frame>/`.

    Args:
        folder: where to write.
        frame: (H, W, 3) uint8 RGB.
        scribbles: its lines; without any, all objects are absent: an empty mask.
        segmenter: the engine.

    Returns:
        The objects' ids.
    """
    masks = AnchorMasks(scribbles.object_ids, segmented(frame, scribbles, segmenter))
    return _written(masks, folder, frame, scribbles, segmenter)


def correct_anchor(
    folder: Path,
    frame: Frame,
    scribbles: FrameScribbles,
    seen: LabelMap,
    absent: Collection[int],
    segmenter: Segmenter | None,
) -> list[int]:
    """Correct the masks of a frame by strokes, see `stages.core.correction`; the folder is as of `segment_anchor`.

    Args:
        folder: where to write.
        frame: (H, W, 3) uint8 RGB.
        scribbles: its lines.
        seen: (H, W) uint8, the masks that a person saw.
        absent: objects that a person has called absent.
        segmenter: the engine; None if there is no line.

    Returns:
        The objects' ids.
    """
    found = correction(scribbles, seen, absent, heeds_masks(segmenter))
    made = found.previous
    if segmenter is not None and found.changed:
        made = segmented(frame, found.shown, segmenter, found.previous)
    object_ids, probability = found.outcome(made)
    return _written(AnchorMasks(object_ids, probability, found.kept), folder, frame, found.shown, segmenter)


def take_given(folder: Path, labels: LabelMap) -> list[int]:
    """Take a mask (H, W) uint8 as a person gave it; the folder is as of `segment_anchor`.

    Returns:
        The objects' ids.
    """
    masks = AnchorMasks.of_given(labels)
    masks.write(folder)
    return list(masks.object_ids)


def heeds_masks(segmenter: object) -> bool:
    """Whether an engine corrects the masks that it is given; then it decides all objects of a frame together."""
    return isinstance(segmenter, HeedsMasks) and segmenter.heeds_masks


def segmented(
    frame: Frame, scribbles: FrameScribbles, segmenter: Segmenter, previous: Probability | None = None
) -> Probability:
    """What an engine makes of a frame, checked; arguments and result as of `Segmenter.segment`.

    Raises:
        StageError: it gave no soft masks.
    """
    object_ids, (height, width) = scribbles.object_ids, frame.shape[:2]
    if not object_ids:
        return np.zeros((0, height, width), dtype=np.float32)
    probability = segmenter.segment(frame, scribbles, *([] if previous is None else [previous]))
    check_soft_masks(probability, (len(object_ids), height, width), segmenter, "an anchor")
    return probability


def _written(
    masks: AnchorMasks, folder: Path, frame: Frame, scribbles: FrameScribbles, segmenter: Segmenter | None
) -> list[int]:
    size_wh = (frame.shape[1], frame.shape[0])
    clicks = segmenter.clicks_used(scribbles, size_wh) if isinstance(segmenter, UsesClicks) else None
    masks.write(folder, clicks)
    return list(masks.object_ids)
