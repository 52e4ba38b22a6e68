"""The result: one indexed mask per frame under the source's names."""

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from stages.anchor_masks import read_anchor
from stages.anchors import Plan
from stages.engines import Frame
from stages.fusion import label_map
from stages.manifest import remove
from stages.masks import write_mask
from stages.quality import FrameQuality, read_frames_csv, write_frames_csv
from stages.refinement import GuardedRefiner, area_px


def assemble(
    folder: Path,
    names: Sequence[str],
    video: Sequence[Frame],
    anchors: Mapping[int, Path],
    segments: Sequence[Path],
    refiner: GuardedRefiner,
) -> list[int]:
    """Gather the stretches, refine the anchors, and write `<stem>.png` for every frame, and `frames.csv`.

    Args:
        folder: where to write.
        names: file names of the video's pictures, in order.
        video: every frame, (H, W, 3) uint8 RGB, read lazily.
        anchors: anchor frame -> folder of its masks.
        segments: folders of the refined stretches.
        refiner: the engine behind its guard.

    Returns:
        The ids of all objects.
    """
    rows: list[FrameQuality] = []
    objects: set[int] = set()
    for segment in segments:
        rows += read_frames_csv(segment / "frames.csv")
        for mask in sorted((segment / "masks").iterdir()):
            shutil.copyfile(mask, folder / f"{Path(names[int(mask.stem)]).stem}.png")
    for index, anchor in anchors.items():
        object_ids, probability = read_anchor(anchor)
        refined, decisions = refiner.refine(video[index], probability)
        labels = label_map(refined, object_ids)
        write_mask(folder / f"{Path(names[index]).stem}.png", labels)
        objects.update(object_ids)
        rows += [
            FrameQuality(
                frame=index,
                object_id=object_id,
                score=1.0 if decision else 0.0,
                agreement=math.nan,
                source="anchor" if decision else "lost",
                accepted=decision.accepted if decision else None,
                reason=decision.reason if decision else "lost: scribbled, but the segmenter found nothing",
                area_px=area_px(labels, object_id),
            )
            for object_id, decision in zip(object_ids, decisions, strict=True)
        ]
    write_frames_csv(folder / "frames.csv", sorted(rows, key=lambda row: (row.frame, row.object_id)))
    return sorted(objects)


def sweep_unplanned(root: Path, plan: Plan) -> None:
    """Delete the folders of anchors and stretches that the plan no longer has."""
    stretches = {segment.name for segment in plan.segments}
    planned = {"anchor_masks": {f"{index:05d}" for index in plan.anchors}, "tracks": stretches, "refined": stretches}
    for stage, names in planned.items():
        for folder in sorted((root / stage).glob("[0-9]*")):
            if folder.name not in names:
                remove(folder)
