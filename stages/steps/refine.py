"""Sharper masks, guarded: a refined mask that moves too far from its input, or a part of it, is not believed."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from stages.core.ahead import made_ahead
from stages.core.checks import check_soft_masks
from stages.core.drawing import held
from stages.core.fusion import label_map
from stages.core.guard import Decision, guard, without_foreign_parts
from stages.core.look import look_at
from stages.core.progress import Progress
from stages.core.states import Source
from stages.core.strokes import FrameScribbles
from stages.core.types import Frame, LabelMap, Probability
from stages.engines.protocols import Refiner, RefinesTogether
from stages.formats.anchor_masks import AnchorMasks
from stages.formats.frames_csv import FrameQuality
from stages.formats.refined import RefinedWriter, area_px
from stages.formats.tracks import TrackedFrame, count_frames, read_tracks

Refined = tuple[Probability, list[Decision | None]]
"""A frame's soft masks (objects, H, W), and what was decided of each."""


class GuardedRefiner:
    """A refiner whose result is kept only if it stays near its input."""

    def __init__(self, refiner: Refiner, minimum_iou: float, area_factor: float):
        self._refiner = refiner
        self._minimum_iou = minimum_iou
        self._area_factor = area_factor

    @property
    def at_once(self) -> int:
        """Masks of several frames that are worth being refined together."""
        return self._refiner.at_once if isinstance(self._refiner, RefinesTogether) else 1

    def refine(self, frame: Frame, probability: Probability) -> Refined:
        """Refine every object of a frame; see `refine_all`."""
        (refined,) = self.refine_all([(frame, probability)])
        return refined

    def refine_all(self, frames: Sequence[tuple[Frame, Probability]]) -> Iterator[Refined]:
        """Refine every object of some frames.

        Args:
            frames: (H, W, 3) uint8 RGB each, with its soft masks (objects, H, W) float32 in [0, 1].

        Yields:
            For each frame soft masks of the same shape, and for each object whether its refined mask was accepted; None
            for an empty mask, which is not refined and stays empty.
        """
        there = [[bool((mask > 0.5).any()) for mask in masks] for _, masks in frames]
        results = self._results(
            [
                (frame, mask)
                for (frame, masks), some in zip(frames, there, strict=True)
                for mask in compress(masks, some)
            ]
        )
        for (_, masks), some in zip(frames, there, strict=True):
            refined = masks.copy()
            decisions: list[Decision | None] = []
            for number, before in enumerate(masks):
                if not some[number]:
                    decisions.append(None)
                    continue
                after: Any = next(results, None)
                check_soft_masks(after, before.shape, self._refiner)
                after = without_foreign_parts(before, after)
                decision = guard(before, after, self._minimum_iou, (1 / self._area_factor, self._area_factor))
                if decision.accepted:
                    refined[number] = after
                decisions.append(decision)
            yield refined, decisions

    def _results(self, masks: Sequence[tuple[Frame, Probability]]) -> Iterator[Probability]:
        if isinstance(self._refiner, RefinesTogether):
            return self._refiner.refine_all(masks)
        return (self._refiner.refine(frame, mask) for frame, mask in masks)


def refine_segment(
    folder: Path,
    video: Sequence[Frame],
    tracks: Path,
    refiner: GuardedRefiner,
    progress: Progress,
    ahead: bool = False,
) -> list[int]:
    """Refine the frames of a stretch and write the folder `refined/<stretch>/`.

    Args:
        folder: where to write.
        video: every frame, (H, W, 3) uint8 RGB, read lazily.
        tracks: the folder that `track_segment` wrote.
        refiner: the engine behind its guard.
        progress: wraps the loop over frames.
        ahead: whether the next frames and their masks are read in a thread while some are refined.

    Returns:
        The objects' ids.
    """
    writer = RefinedWriter(folder)
    object_ids: tuple[int, ...] = ()
    pairs = ((video[tracked.index], tracked) for tracked in read_tracks(tracks))
    batches = _batches(pairs, refiner.at_once)
    results = _refined(made_ahead(batches) if ahead else batches, refiner)
    for tracked, (refined, decisions) in progress(results, count_frames(tracks)):
        object_ids = tracked.object_ids
        labels = label_map(refined, object_ids)
        rows = [
            FrameQuality(
                frame=tracked.index,
                object_id=object_id,
                score=float(tracked.score[number]),
                agreement=float(tracked.agreement[number]),
                source=tracked.sources[number],
                accepted=decision.accepted if decision else None,
                reason=tracked.details[number] or (decision.reason if decision else ""),
                area_px=area_px(labels, object_id),
                **vars(look_at(tracked.probability[number], labels == object_id)),
            )
            for number, (object_id, decision) in enumerate(zip(object_ids, decisions, strict=True))
        ]
        writer.append(tracked.index, labels, rows)
    writer.close()
    return list(object_ids)


def _batches(pairs: Iterable[tuple[Frame, TrackedFrame]], at_once: int) -> Iterator[list[tuple[Frame, TrackedFrame]]]:
    """Neighbouring frames, as few as have so many masks; one without masks is as large as one with a mask."""
    batch: list[tuple[Frame, TrackedFrame]] = []
    for pair in pairs:
        batch.append(pair)
        if sum(max(1, len(tracked.object_ids)) for _, tracked in batch) >= at_once:
            yield batch
            batch = []
    if batch:
        yield batch


def _refined(
    batches: Iterable[list[tuple[Frame, TrackedFrame]]], refiner: GuardedRefiner
) -> Iterator[tuple[TrackedFrame, Refined]]:
    for batch in batches:
        results = refiner.refine_all([(frame, tracked.probability) for frame, tracked in batch])
        yield from zip((tracked for _, tracked in batch), results, strict=True)


def refine_anchor(
    folder: Path,
    index: int,
    frame: Frame,
    anchor: Path,
    scribbles: FrameScribbles,
    refiner: GuardedRefiner,
    from_boxes: Collection[int] = (),
) -> list[int]:
    """Refine an anchor frame and write the folder `refined/<frame>/`; here it is that what strokes said holds.

    The pixels of each line, one pixel wide, have its id in the mask, whatever network and refiner say, later lines over
    earlier ones; next come masks that a person gave, or kept when correcting others.

    Args:
        folder: where to write.
        index: the frame's.
        frame: (H, W, 3) uint8 RGB.
        anchor: the folder that `segment_anchor` wrote.
        scribbles: the frame's lines.
        refiner: the engine behind its guard.
        from_boxes: objects whose lines were made from a box alone; the table says so.

    Returns:
        The objects' ids.
    """
    masks = AnchorMasks.read(anchor)
    moving = [number for number, object_id in enumerate(masks.object_ids) if object_id not in masks.given]
    moving_ids = [masks.object_ids[number] for number in moving]
    refined, decisions = refiner.refine(frame, masks.probability[moving])
    given = masks.given_labels
    labels = held(np.where(given > 0, given, label_map(refined, moving_ids)), scribbles)
    of_moving = dict(zip(moving_ids, decisions, strict=True))
    rows = [
        _given_row(index, object_id, labels)
        if object_id in masks.given
        else FrameQuality(
            frame=index,
            object_id=object_id,
            score=1.0 if (decision := of_moving[object_id]) else 0.0,
            agreement=math.nan,
            source=(Source.BOX if object_id in from_boxes else Source.ANCHOR) if decision else Source.LOST,
            accepted=decision.accepted if decision else None,
            reason=decision.reason if decision else "scribbled, but the segmenter found nothing",
            area_px=area_px(labels, object_id),
            **vars(look_at(masks.probability[masks.object_ids.index(object_id)], labels == object_id)),
        )
        for object_id in masks.object_ids
    ]
    _write_anchor(folder, index, labels, rows)
    return list(masks.object_ids)


def keep_anchor(folder: Path, index: int, anchor: Path) -> list[int]:
    """Write the folder `refined/<frame>/` of an anchor whose masks are all given: they stay as they are.

    Args:
        folder: where to write.
        index: the frame's.
        anchor: the folder that `segment_anchor` wrote.

    Returns:
        The objects' ids.
    """
    masks = AnchorMasks.read(anchor)
    labels = masks.given_labels
    _write_anchor(folder, index, labels, [_given_row(index, object_id, labels) for object_id in masks.object_ids])
    return list(masks.object_ids)


def _given_row(index: int, object_id: int, labels: LabelMap) -> FrameQuality:
    return FrameQuality(
        frame=index,
        object_id=object_id,
        score=1.0,
        agreement=math.nan,
        source=Source.GIVEN,
        accepted=None,
        reason="",
        area_px=area_px(labels, object_id),
    )


def _write_anchor(folder: Path, index: int, labels: LabelMap, rows: list[FrameQuality]) -> None:
    writer = RefinedWriter(folder)
    writer.append(index, labels, rows)
    writer.close()
