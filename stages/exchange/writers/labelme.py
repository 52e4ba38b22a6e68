"""LabelMe: a JSON file beside each picture.

    <seq>/<stem>.json     masks, or with --shape polygon, outlines for LabelMe 4, which knows no masks
    <seq>/<name>          the pictures
    labels.txt                    the labels, as LabelMe's --labels takes them

A mask lies within the corner pixels that the shape names, as a PNG of 0 and 255. `group_id` is the object's number.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stages.core.boxes import Box
from stages.core.errors import InputError
from stages.core.types import LabelMap
from stages.exchange.encodings.outlines import bridged, parts_together
from stages.exchange.outgoing.format import (
    UNKNOWN,
    ExportedFrame,
    ExportedSequence,
    Format,
    Loss,
    SharedFiles,
    picture_name,
)
from stages.exchange.outgoing.part import PartReader, PartWriter, as_json
from stages.exchange.outgoing.terms import Terms
from stages.formats.pictures import encoded

IGNORED: Final = "__ignore__"
BACKGROUND: Final = "_background_"
_VERSION: Final = "5.5.0"
"""Of LabelMe, the first of those that are read back by its own readers as we write them."""
_MEASURED_EVERY: Final = 100


class LabelMe(Format):
    """One file a frame, also of frames without any object."""

    name = "labelme"
    summary = "LabelMe: a JSON file beside each picture, to be corrected there; --shape polygon for LabelMe 4"
    loss = Loss(exact="masks", objects_apart="yes", identity="group_id", holes="yes", unknown="as a label", scores="no")
    unknown = f"label {IGNORED}"
    options = frozenset({"shape", "tolerance"})

    def check(self, terms: Terms) -> None:
        """A tolerance is one of outlines."""
        if terms.tolerance and terms.shape == "mask":
            raise InputError("found --tolerance with masks, which are exact; leave it out, or give --shape polygon")

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """Under the source's name, beside its file."""
        return f"{sequence.name}/{picture_name(frame, terms)}"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """One file a frame."""
        part.head([category.name for category in sequence.classes])
        for frame in frames:
            if frame.labels is None:
                continue
            present = set(np.unique(frame.labels).tolist())
            shown = [_Shown(each.id, each.category.name, each.id) for each in sequence.objects if each.id in present]
            if UNKNOWN in present:
                shown.append(_Shown(UNKNOWN, IGNORED, None))
            if terms.shape == "mask":
                shapes = [_mask_shape(each, frame.labels == each.value) for each in shown]
            else:
                shapes = _polygons(frame, frame.labels, shown, part, terms)
            stem = PurePosixPath(frame.name).stem
            part.add(f"{sequence.name}/{stem}.json", _document(sequence, frame, shapes, terms))

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """The list of labels."""
        classes: list[str] = next((part.head for of_split in parts.values() for part in of_split), [])
        shared.write("labels.txt", (f"{label}\n" for label in [IGNORED, BACKGROUND, *classes]))


class _Shown(NamedTuple):
    """What a frame shows."""

    value: int
    """In the label map."""
    label: str
    group: int | None


def _document(sequence: ExportedSequence, frame: ExportedFrame, shapes: list[dict[str, Any]], terms: Terms) -> str:
    width, height = sequence.size_wh
    document: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": picture_name(frame, terms),
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    return as_json(document) + "\n"


def _shape(shown: _Shown, kind: str, points: list[Any]) -> dict[str, Any]:
    said = {"label": shown.label, "points": points, "group_id": shown.group}
    return {**said, "description": "", "shape_type": kind, "flags": {}}


def _mask_shape(shown: _Shown, mask: NDArray[np.bool_]) -> dict[str, Any]:
    box = Box.around(mask)
    patch = Image.fromarray(np.where(mask[box.slices], np.uint8(255), np.uint8(0)))
    content = base64.b64encode(encoded(patch, "PNG", compress_level=1)).decode("ascii")
    corners = [[box.left, box.top], [box.right - 1, box.bottom - 1]]
    return {**_shape(shown, "mask", corners), "mask": content}


def _polygons(
    frame: ExportedFrame, labels: LabelMap, shown: Sequence[_Shown], part: PartWriter, terms: Terms
) -> list[dict[str, Any]]:
    outlines = parts_together(labels, [each.value for each in shown], terms.tolerance)
    rings = {value: [bridged(each) for each in parts] for value, parts in outlines.items()}
    if frame.number % _MEASURED_EVERY == 0:
        for each in shown:
            part.measured(_iou(rings[each.value], labels == each.value))
    return [_shape(each, "polygon", ring.tolist()) for each in shown for ring in rings[each.value]]


def _iou(rings: Sequence[NDArray[np.float64]], mask: NDArray[np.bool_]) -> float:
    """Of a mask with what LabelMe makes of its outlines: borders included, so about half a pixel wider all round."""
    picture = Image.new("1", mask.shape[::-1])
    draw = ImageDraw.Draw(picture)
    for ring in rings:
        draw.polygon([(x, y) for x, y in ring.tolist()], fill=1, outline=1)
    back = np.asarray(picture)
    return float(np.count_nonzero(back & mask) / np.count_nonzero(back | mask))
