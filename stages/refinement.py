"""Sharper masks, guarded: a refined mask that moves too far from its input is not believed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.engines import Frame, Probability, Refiner
from stages.fusion import label_map
from stages.guard import Decision, guard
from stages.masks import LabelMap, write_mask
from stages.progress import Progress
from stages.quality import FrameQuality, write_frames_csv
from stages.tracks import count_frames, read_tracks


class GuardedRefiner:
    """A refiner whose result is kept only if it stays near its input."""

    def __init__(self, refiner: Refiner, minimum_iou: float, area_factor: float):
        self._refiner = refiner
        self._minimum_iou = minimum_iou
        self._area_factor = area_factor

    def refine(self, frame: Frame, probability: Probability) -> tuple[Probability, list[Decision | None]]:
        """Refine every object of a frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            probability: (objects, H, W) float32 in [0, 1].

        Returns:
            Soft masks of the same shape, and for each object whether its refined mask was accepted; None for an empty
            mask, which is not refined and stays empty.
        """
        refined = probability.copy()
        decisions: list[Decision | None] = []
        for number, before in enumerate(probability):
            if not (before > 0.5).any():
                decisions.append(None)
                continue
            after = self._refiner.refine(frame, before)
            decision = guard(before, after, self._minimum_iou, (1 / self._area_factor, self._area_factor))
            if decision.accepted:
                refined[number] = after
            decisions.append(decision)
        return refined, decisions


def refine_segment(
    folder: Path, video: Sequence[Frame], tracks: Path, refiner: GuardedRefiner, progress: Progress
) -> list[int]:
    """Refine the frames of a stretch and write `masks/<frame>.png` and `frames.csv`.

    Args:
        folder: where to write.
        video: every frame, (H, W, 3) uint8 RGB, read lazily.
        tracks: the folder that `stages.tracks.track_segment` wrote.
        refiner: the engine behind its guard.
        progress: wraps the loop over frames.

    Returns:
        The objects' ids.
    """
    (folder / "masks").mkdir()
    rows, object_ids = [], []
    for tracked in progress(read_tracks(tracks), count_frames(tracks)):
        object_ids = tracked.object_ids
        refined, decisions = refiner.refine(video[tracked.index], tracked.probability)
        labels = label_map(refined, object_ids)
        write_mask(folder / "masks" / f"{tracked.index:05d}.png", labels)
        rows += [
            FrameQuality(
                frame=tracked.index,
                object_id=object_id,
                score=float(tracked.score[number]),
                agreement=float(tracked.agreement[number]),
                source=tracked.sources[number],
                accepted=decision.accepted if decision else None,
                reason=tracked.reasons[number] or (decision.reason if decision else ""),
                area_px=area_px(labels, object_id),
            )
            for number, (object_id, decision) in enumerate(zip(object_ids, decisions, strict=True))
        ]
    write_frames_csv(folder / "frames.csv", rows)
    return object_ids


def area_px(labels: LabelMap, object_id: int) -> int:
    """Pixels that carry an id."""
    return int(np.count_nonzero(labels == object_id))
