"""The folder `anchor_masks/<frame>/`: `mask.png`, `probabilities.h5` and `clicks.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from stages.core.fusion import label_map
from stages.core.masks import ids_in, masks_of
from stages.core.soft import from_uint8, to_uint8
from stages.core.strokes import Clicks
from stages.core.types import LabelMap, Probability
from stages.formats import files
from stages.formats.hdf5 import read_hdf5, read_object_ids, write_hdf5
from stages.formats.masks import write_mask
from stages.formats.results import ANCHOR_MASK
from stages.formats.schema import check_schema

MASK: Final = ANCHOR_MASK
PROBABILITIES: Final = "probabilities.h5"
CLICKS: Final = "clicks.json"
SCHEMA: Final = 2
"""Of files that say which objects are given; those that have none are of version 1."""


@dataclass(frozen=True)
class AnchorMasks:
    """The objects of one anchor frame."""

    object_ids: tuple[int, ...]
    probability: Probability
    """(objects, H, W) float32 in [0, 1]."""
    given: tuple[int, ...] = ()
    """Those of the objects whose masks are a person's word, 1 and 0: nothing is refined there."""

    @classmethod
    def of_given(cls, labels: LabelMap) -> "AnchorMasks":
        """The objects of a given mask, (H, W) uint8 ids."""
        object_ids = ids_in(labels)
        return cls(object_ids, masks_of(labels, object_ids), object_ids)

    @property
    def given_labels(self) -> LabelMap:
        """The label map (H, W) uint8 of the given objects alone."""
        numbers = [self.object_ids.index(object_id) for object_id in self.given]
        return label_map(self.probability[numbers], self.given)

    def write(self, folder: Path, clicks: Mapping[int, Clicks] | None = None) -> None:
        """Write the three files.

        Args:
            folder: it exists.
            clicks: the control points that the engine worked with, by object; None for an engine that takes strokes as
                they are.
        """
        write_mask(folder / MASK, label_map(self.probability, self.object_ids))
        with write_hdf5(folder / PROBABILITIES) as file:
            chunks = (1, *self.probability.shape[1:]) if self.object_ids else None
            compression = "gzip" if self.object_ids else None
            file.create_dataset("object_ids", data=np.array(self.object_ids, dtype=np.int32))
            file.create_dataset("probability", data=to_uint8(self.probability), chunks=chunks, compression=compression)
            if self.given:
                file.attrs["schema"] = SCHEMA
                file.create_dataset("given", data=np.array(self.given, dtype=np.int32))
        files.write(folder / CLICKS, json.dumps(_points(clicks), indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "AnchorMasks":
        """Read the soft masks.

        Raises:
            StageError: the file is missing or damaged, or a newer version of LIS has written it.
        """
        with read_hdf5(folder / PROBABILITIES) as file:
            check_schema(folder / PROBABILITIES, int(file.attrs.get("schema", 1)), SCHEMA)
            ids, values = read_object_ids(file), file["probability"]
            given = tuple(int(value) for value in file["given"][()]) if "given" in file else ()
            if values.ndim != 3 or len(values) != len(ids) or values.dtype != np.uint8:
                raise ValueError(f"soft masks of {len(ids)} objects as {values.dtype} of shape {values.shape}")
            if not {*given} <= {*ids}:
                raise ValueError(f"given masks of the objects {given} among {ids}")
            return cls(ids, from_uint8(values[()]), given)


def mask_file(folder: Path) -> Path:
    """The label map that people look at."""
    return folder / MASK


def _points(clicks: Mapping[int, Clicks] | None) -> dict[str, Any]:
    if clicks is None:
        return {"used": "strokes"}
    return {
        "used": "clicks",
        "objects": {
            str(object_id): {
                "positive_yx": np.round(points.positive_yx.astype(np.float64), 2).tolist(),
                "negative_yx": np.round(points.negative_yx.astype(np.float64), 2).tolist(),
            }
            for object_id, points in clicks.items()
        },
    }
