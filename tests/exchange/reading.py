"""What a reader gives, as label maps, for tests of readers; the framework for imports does more."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.exchange.incoming.protocol import Picture, Reader

_UNKNOWN = ("unknown", "__ignore__")


def painted(picture: Picture) -> np.ndarray | None:
    """(H, W) uint8 ids, 255 where nobody knows, and for a shape without an id; None if nothing is said."""
    content = picture.content()
    if isinstance(content, np.ndarray):
        return content
    labels = None
    for shape in content:
        labels = np.zeros(shape.mask.shape, np.uint8) if labels is None else labels
        assert (shape.object_id is None) == (shape.label in _UNKNOWN), f"{shape.label} has the id {shape.object_id}"
        labels[shape.mask] = shape.object_id or 255
    return labels


def maps(reader: Reader, source: Path) -> dict[str, np.ndarray | None]:
    """Name -> label map of all pictures."""
    return {picture.name: painted(picture) for picture in reader.pictures(source)}


def check_equal(found: dict[str, np.ndarray | None], names: Sequence[str], expected: Sequence[np.ndarray]) -> None:
    """Whether every pixel came back; a picture of which nothing is said has no object."""
    assert list(found) == list(names)
    for (name, back), labels in zip(found.items(), expected, strict=True):
        assert np.array_equal(np.zeros_like(labels) if back is None else back, labels), name


def worst_iou(found: dict[str, np.ndarray | None], expected: Sequence[np.ndarray], least_px: int) -> float:
    """Of all objects that have so many pixels."""
    worst = 1.0
    for back, labels in zip(found.values(), expected, strict=True):
        for object_id in np.unique(labels)[np.unique(labels) > 0]:
            truth = labels == object_id
            if truth.sum() >= least_px:
                mask = np.zeros_like(truth) if back is None else back == object_id
                worst = min(worst, float((mask & truth).sum() / (mask | truth).sum()))
    return worst
