"""A stretch between two anchors: masks on every frame."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from stages.core.ahead import neighbours_ahead
from stages.core.checks import check_disagreement, check_soft_masks
from stages.core.errors import StageError
from stages.core.plan import Segment
from stages.core.progress import Progress
from stages.core.states import Source
from stages.core.types import Anchor, Frame, Probability, SegmentFrame
from stages.engines.protocols import Propagator
from stages.formats.anchor_masks import AnchorMasks
from stages.formats.tracks import writing_tracks

_CARRIED_FROM = {
    (True, True): Source.BOTH,
    (True, False): Source.FORWARD,
    (False, True): Source.BACKWARD,
    (False, False): Source.ABSENT,
}


def track_segment(
    folder: Path,
    video: Sequence[Frame],
    segment: Segment,
    anchor_folders: Mapping[int, Path],
    propagator: Propagator,
    progress: Progress,
    ahead: bool = False,
) -> list[int]:
    """Carry the anchors' masks over a stretch and write the folder `tracks/<stretch>/`.

    Args:
        folder: where to write.
        video: every frame, (H, W, 3) uint8 RGB, read lazily.
        segment: the stretch.
        anchor_folders: anchor frame -> folder that `segment_anchor` wrote; those beyond the stretch's own anchors are
            shown to the engine, too, and what they alone have is not carried.
        propagator: the engine.
        progress: wraps the loop over frames.
        ahead: whether frames are read in a thread before the engine asks for them.

    Returns:
        The objects' ids: those of its own anchors.
    """
    known = {index: AnchorMasks.read(path) for index, path in anchor_folders.items()}
    object_ids = sorted({object_id for index in segment.anchors for object_id in known[index].object_ids})

    def anchor(index: int) -> Anchor:
        return Anchor(index, video[index], _in_order(known[index], object_ids))

    left, right = (None if index is None else anchor(index) for index in (segment.left, segment.right))
    beyond = [anchor(index) for index in sorted(known.keys() - set(segment.anchors))]
    stretch = segment.frames
    sources = [_CARRIED_FROM[_shows(left, number), _shows(right, number)] for number in range(len(object_ids))]
    shape = (len(object_ids), *next(iter(known.values())).probability.shape[1:])
    reading = neighbours_ahead(video, stretch) if ahead else nullcontext(video)
    with writing_tracks(folder, stretch, object_ids, sources) as tracks, reading as frames:
        results = propagator.propagate(frames, left, right, beyond) if object_ids else _nothing(video, stretch)
        following = iter(stretch)
        for result in progress(results, len(stretch)):
            expected = next(following, None)
            if result.index != expected:
                raise StageError(f"the propagator gave frame {result.index} where frame {expected} was due.")
            check_soft_masks(result.probability, shape, propagator, f"frame {expected}")
            check_disagreement(result.disagreement, shape, propagator, f"frame {expected}")
            tracks.append(result)
        if (missing := next(following, None)) is not None:
            raise StageError(f"the propagator ended before frame {missing}. This is a fault of the engine.")
    return object_ids


def _shows(anchor: Anchor | None, number: int) -> bool:
    return anchor is not None and bool((anchor.masks[number] > 0.5).any())


def _in_order(anchor: AnchorMasks, object_ids: list[int]) -> Probability:
    """Masks by the stretch's object ids; an object that is absent on this anchor is empty."""
    ordered = np.zeros((len(object_ids), *anchor.probability.shape[1:]), dtype=np.float32)
    for object_id, mask in zip(anchor.object_ids, anchor.probability, strict=True):
        if object_id in object_ids:
            ordered[object_ids.index(object_id)] = mask
    return ordered


def _nothing(video: Sequence[Frame], stretch: range) -> Iterator[SegmentFrame]:
    """A stretch whose anchors hold no object."""
    height, width = video[stretch[0]].shape[:2]
    for index in stretch:
        empty = np.zeros(0, dtype=np.float32)
        yield SegmentFrame(index, np.zeros((0, height, width), dtype=np.float32), empty, empty, ())
