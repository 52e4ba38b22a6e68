"""Sequences on the disk, made of arrays: what the exporter reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stages.core.states import Source
from stages.exchange.outgoing.export import Counts, encode_sequence
from stages.exchange.outgoing.format import ExportedClass, Format
from stages.exchange.outgoing.joining import Asked, Share, join_parts
from stages.exchange.outgoing.material import Material
from stages.exchange.outgoing.terms import Terms
from stages.formats.frames_csv import FrameQuality, write_frames_csv
from stages.formats.masks import write_mask
from stages.formats.objects_json import NamedObject

DOG = NamedObject(1, "Rex", "dog", "#800000")
BALL = NamedObject(2, "ball 2", "ball", "#008000")
CLASSES = (ExportedClass(1, "ball"), ExportedClass(2, "dog", "animal"))


def squares(count: int = 4, height: int = 20, width: int = 30) -> list[np.ndarray]:
    """Two objects that wander; the second one is absent from the last frame."""
    maps = []
    for index in range(count):
        labels = np.zeros((height, width), np.uint8)
        labels[3:11, 2 + index : 10 + index] = 1
        if index < count - 1:
            labels[8:15, 15:22] = 2
        maps.append(labels)
    return maps


def material(
    folder: Path,
    name: str = "dog",
    maps: Sequence[np.ndarray] | None = None,
    objects: tuple[NamedObject, ...] = (DOG, BALL),
    lost: Sequence[int] = (),
    suffix: str = ".jpg",
) -> Material:
    """A sequence: pictures, masks, frames.csv; its first frame is an anchor; object 1 is hard to believe on `lost`."""
    maps = squares() if maps is None else maps
    names = [f"{index:05d}{suffix}" for index in range(len(maps))]
    pictures, masks = folder / name / "pictures", folder / name / "masks"
    for each in (pictures, masks):
        each.mkdir(parents=True)
    height, width = maps[0].shape
    rows = []
    for index, labels in enumerate(maps):
        Image.fromarray(np.full((height, width, 3), 40 + index, np.uint8)).save(pictures / names[index])
        write_mask(masks / f"{index:05d}.png", labels)
        for object_id in np.unique(labels[labels > 0]).tolist():
            source = Source.ANCHOR if index == 0 else Source.FORWARD
            is_lost = index in lost and object_id == 1
            area = int(np.count_nonzero(labels == object_id))
            seen = {"sureness": 0.3, "largest": 0.6} if is_lost else {"sureness": 0.98, "largest": 1.0}
            rows.append(FrameQuality(index, object_id, 1.0, 0.99, source, not is_lost, "", area, **seen))
    write_frames_csv(masks, rows)
    return Material(name, masks, pictures, tuple(names), (width, height), (0,), objects, CLASSES)


def export(
    folder: Path,
    form: Format,
    materials: Sequence[Material],
    terms: Terms | None = None,
    splits: Mapping[str, str] | None = None,
    **said: Any,
) -> tuple[Path, Counts]:
    """Export sequences; returns the folder, and what became of their frames."""
    terms = terms or Terms()
    shares = []
    for each in materials:
        split = (splits or {}).get(each.name, "train")
        part = folder / "parts" / each.name
        part.mkdir(parents=True)
        encode_sequence(part, each, form, terms)
        shares.append(Share(part, split, each.pictures, {}, approved=each.approved))
    target = folder / "export"
    target.mkdir()
    counts = join_parts(target, shares, form, Asked(terms, said)).counts
    return target, counts
