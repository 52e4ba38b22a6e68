"""The masks of every object on one anchor frame, on disk."""

import json
from pathlib import Path

import h5py
import numpy as np

from stages.engines import Frame, Probability, Segmenter
from stages.fusion import label_map
from stages.masks import write_mask
from stages.scribbles import FrameScribbles, clicks
from stages.soft import from_uint8, to_uint8, write_hdf5


def segment_anchor(
    folder: Path,
    frame: Frame,
    scribbles: FrameScribbles,
    segmenter: Segmenter,
    click_spacing_px: float,
) -> None:
    """Segment one anchor frame and write `mask.png`, `probabilities.h5` and `clicks.json`.

    Args:
        folder: where to write.
        frame: (H, W, 3) uint8 RGB.
        scribbles: its lines; without any, all objects are absent: an empty mask.
        segmenter: the engine.
        click_spacing_px: distance between control points, recorded with them.
    """
    height, width = frame.shape[:2]
    object_ids = scribbles.object_ids
    nothing = np.zeros((0, height, width), dtype=np.float32)
    probability = segmenter.segment(frame, scribbles) if object_ids else nothing
    write_mask(folder / "mask.png", label_map(probability, object_ids))
    with write_hdf5(folder / "probabilities.h5") as file:
        data = to_uint8(probability)
        file.create_dataset("object_ids", data=np.array(object_ids, dtype=np.int32))
        chunks = (1, height, width) if object_ids else None
        file.create_dataset("probability", data=data, chunks=chunks, compression="gzip" if object_ids else None)
    points = {
        str(object_id): {
            "positive_yx": np.round(control.positive_yx, 2).tolist(),
            "negative_yx": np.round(control.negative_yx, 2).tolist(),
        }
        for object_id in object_ids
        for control in [clicks(scribbles, object_id, (width, height), click_spacing_px)]
    }
    (folder / "clicks.json").write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")


def read_anchor(folder: Path) -> tuple[list[int], Probability]:
    """Object ids and their soft masks (objects, H, W) float32 in [0, 1], as `segment_anchor` wrote them."""
    with h5py.File(folder / "probabilities.h5", "r") as file:
        return [int(value) for value in file["object_ids"]], from_uint8(file["probability"][()])
