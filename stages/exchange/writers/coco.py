"""COCO instances: `annotations/instances_<split>.json`, and pictures below `images/`.

https://cocodataset.org/#format-data; `videos`, `video_id`, `frame_id` and `instance_id` are those of CocoVID, which
trackers read. `iscrowd` is 0 of every object, also where its mask is given as run lengths: with 1, trainers leave it
out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from stages.core.errors import InputError
from stages.core.types import LabelMap
from stages.exchange.encodings.documents import listed, opened
from stages.exchange.encodings.outlines import filled, rings
from stages.exchange.encodings.run_lengths import RunLengths, run_lengths
from stages.exchange.outgoing.format import (
    UNKNOWN,
    ExportedFrame,
    ExportedObject,
    ExportedSequence,
    Format,
    Loss,
    SharedFiles,
    picture_name,
)
from stages.exchange.outgoing.part import PartReader, PartWriter, as_json
from stages.exchange.outgoing.terms import Terms

_MEASURED_EVERY: Final = 100
"""Of polygons, how many masks are written for one that is read back."""


class Coco(Format):
    """One JSON a split."""

    name = "coco"
    summary = "COCO instances, one JSON a split: pycocotools, MMDetection, Detectron2, supervision, datumaro"
    loss = Loss(
        exact="yes; polygons at tolerance 0",
        objects_apart="yes",
        identity="in the extra keys instance_id and track_id",
        holes="yes; in polygons by bridges of no width",
        unknown="crowd, for evaluation only (--unknown crowd)",
        scores="in an extra key",
    )
    unknown = "crowd"
    options = frozenset({"segmentation", "tolerance", "unknown"})

    def check(self, terms: Terms) -> None:
        """A crowd is for evaluation, since trainers drop it; only polygons can be simplified."""
        if terms.makes_unknown and not terms.unknown:
            raise InputError(
                "found unknown pixels with the format coco, which says them as a crowd: evaluation leaves it out, "
                "trainers take it for background; give --unknown crowd to evaluate with it, --unknown none to "
                "leave such frames out, or --max-doubt"
            )
        if terms.tolerance and terms.segmentation != "polygon":
            raise InputError("found --tolerance with run lengths, which are exact; give --segmentation polygon, too")

    def mask_bytes(self, terms: Terms) -> int:
        """Text of run lengths, or of points."""
        return {"rle": 2_000, "counts": 4_000, "polygon": 19_000}[terms.segmentation]

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """Under the source's name, whatever the split."""
        return f"images/{sequence.name}/{picture_name(frame, terms)}"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """Pictures and annotations without the numbers that count through the file."""
        part.head({"name": sequence.name, "categories": [asdict(each) for each in sequence.classes]})
        width, height = sequence.size_wh
        written = 0
        for frame in frames:
            if frame.labels is None:
                continue
            picture = {
                "file_name": f"{sequence.name}/{picture_name(frame, terms)}",
                "width": width,
                "height": height,
                "frame_id": frame.number,
                "doubt": frame.doubt,
            }
            annotations: list[dict[str, Any]] = []
            for object_id, runs in run_lengths(frame.labels).items():
                if object_id == UNKNOWN:
                    annotations += _crowds(sequence, runs)
                    continue
                annotations.append(_annotation(sequence.object(object_id), frame, frame.labels, runs, terms))
                if terms.segmentation == "polygon" and written % _MEASURED_EVERY == 0:
                    part.measured(_iou(annotations[-1]["segmentation"], frame.labels, object_id))
                written += 1
            part.record("images", [picture, annotations])

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """Number pictures and annotations, one file a split."""
        for split, those in parts.items():
            shared.write(f"annotations/instances_{split}.json", _file(split, those))


def _annotation(
    named: ExportedObject, frame: ExportedFrame, labels: LabelMap, runs: RunLengths, terms: Terms
) -> dict[str, Any]:
    quality = frame.qualities.get(named.id)
    said: dict[str, Any] = {
        "category_id": named.category.id,
        "segmentation": _segmentation(labels, named.id, runs, terms),
        "area": runs.area,
        "bbox": list(runs.box),
        "iscrowd": 0,
        "instance_id": named.id,
        "track_id": named.id,
    }
    if quality is not None:
        said |= {"score": quality.score, "source": str(quality.source)}
    return {**said, "attributes": dict(named.attributes)} if named.attributes else said


def _segmentation(labels: LabelMap, object_id: int, runs: RunLengths, terms: Terms) -> Any:
    if terms.segmentation == "counts":
        return runs.listed
    if terms.segmentation == "polygon":
        return [ring.ravel().tolist() for ring in rings(labels == object_id, terms.tolerance)]
    return runs.compressed


def _crowds(sequence: ExportedSequence, runs: RunLengths) -> Iterator[dict[str, Any]]:
    """What nobody knows, once for each class that it may be of; counts as a list, as COCO's own crowds have them."""
    for class_id in sorted({each.category.id for each in sequence.objects}):
        yield {
            "category_id": class_id,
            "segmentation": runs.listed,
            "area": runs.area,
            "bbox": list(runs.box),
            "iscrowd": 1,
        }


def _iou(polygons: Sequence[Sequence[float]], labels: LabelMap, object_id: int) -> float:
    """Of a mask with what pycocotools makes of its polygons."""
    height, width = labels.shape
    written = labels == object_id
    read = np.zeros(labels.shape, bool)
    for polygon in polygons:
        read |= filled(np.reshape(polygon, (-1, 2)), (width, height))
    return float(np.count_nonzero(written & read) / np.count_nonzero(written | read))


def _file(split: str, parts: Sequence[PartReader]) -> Iterator[str]:
    """The text of a file, one record a line."""
    yield opened({"info": {"description": f"lis, {split}", "version": "1.0"}, "licenses": []})
    videos = ({"id": number, "name": part.head["name"]} for number, part in enumerate(parts, 1))
    lists = {"videos": videos, "images": _images(parts), "annotations": _annotations(parts)}
    for key, records in {**lists, "categories": parts[0].head["categories"]}.items():
        yield f',"{key}":'
        yield from listed([as_json(record)] for record in records)
    yield "}\n"


def _images(parts: Sequence[PartReader]) -> Iterator[Any]:
    number = 0
    for video, part in enumerate(parts, 1):
        for picture, _ in part.records("images"):
            number += 1
            yield {"id": number, **picture, "video_id": video}


def _annotations(parts: Sequence[PartReader]) -> Iterator[Any]:
    image = number = 0
    for part in parts:
        for _, annotations in part.records("images"):
            image += 1
            for annotation in annotations:
                number += 1
                yield {"id": number, "image_id": image, **annotation}
