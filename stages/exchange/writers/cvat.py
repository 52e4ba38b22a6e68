"""CVAT for images 1.1, and for people who want tracks more than pixels, polygons as CVAT for video 1.1.

    <seq>/annotations.xml     to be uploaded to a task that has the pictures beside it
    <seq>/labels.json         for the raw editor of the task's labels; without them CVAT refuses the upload
    <seq>/images/<name>       the pictures

A mask is run lengths, row by row inside its box, zeros first. CVAT looks a picture up by its name, and takes `id` for
its number in the task where it finds none: so `id` counts the exported pictures, from 0. A track of masks would come
in as its first frame alone, so tracks have polygons: one track a part, holes left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as Xml
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from stages.core.boxes import Box
from stages.core.errors import InputError
from stages.core.palette import davis_palette
from stages.core.types import LabelMap
from stages.exchange.encodings.outlines import Part, filled, parts_together
from stages.exchange.incoming.foreign import UNKNOWN_LABEL
from stages.exchange.outgoing.format import (
    UNKNOWN,
    ExportedClass,
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

OBJECT_ID: Final = "object_id"
"""The attribute that carries an object's number: shapes of images have no identity in CVAT."""
_MEASURED_EVERY: Final = 100


class Cvat(Format):
    """One XML file a sequence; of several frames, memory holds one."""

    name = "cvat"
    summary = "CVAT for images 1.1: masks to be corrected there; --shape polygon: tracks, as CVAT for video 1.1"
    loss = Loss(
        exact="yes", objects_apart="yes", identity="attribute only", holes="yes", unknown="as a label", scores="no"
    )
    unknown = f"label {UNKNOWN_LABEL}"
    options = frozenset({"shape", "tolerance"})

    def check(self, terms: Terms) -> None:
        """A tolerance is one of outlines; tracks have no way to say that nobody knows."""
        if terms.tolerance and terms.shape == "mask":
            raise InputError("found --tolerance with masks, which are exact; leave it out, or give --shape polygon")
        if terms.makes_unknown and terms.shape == "polygon":
            raise InputError("found unknown pixels with --shape polygon, which cannot say them; give --shape mask")

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """Under the source's name, in the folder where readers of such files look."""
        return f"{sequence.name}/images/{picture_name(frame, terms)}"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """One record an image; of tracks, one an object and frame, with the parts that it has there."""
        most_parts: dict[int, int] = {}
        for frame in frames:
            if frame.labels is None:
                continue
            if terms.shape == "mask":
                part.record("images", _text(_image(sequence, frame, frame.labels, terms), level=1))
                continue
            outlines = parts_together(frame.labels, [each.id for each in sequence.objects], terms.tolerance)
            for object_id, found in outlines.items():
                if found:
                    by_area = sorted(found, key=_area, reverse=True)
                    part.record(_stream(object_id), [frame.number, [_points(each) for each in by_area]])
                    most_parts[object_id] = max(most_parts.get(object_id, 0), len(found))
                    if frame.number % _MEASURED_EVERY == 0:
                        part.measured(_iou(found, frame.labels == object_id))
        labels = _labels(sequence, terms)
        tracks = [
            {"object": each.id, "parts": most_parts[each.id], "label": each.category.name, "attributes": _said(each)}
            for each in sequence.objects
            if each.id in most_parts
        ]
        meta = _text(_meta(sequence, labels, terms), level=1)
        size = sequence.kept_count
        part.head({"sequence": sequence.name, "size": size, "labels": labels, "meta": meta, "tracks": tracks})

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """The sequences' files, each written as it is read."""
        for of_split in parts.values():
            for part in of_split:
                folder = part.head["sequence"]
                shared.write(f"{folder}/annotations.xml", _document(part, terms))
                shared.write(f"{folder}/labels.json", [as_json(part.head["labels"]), "\n"])


def runs_in_box(mask: NDArray[np.bool_], box: Box) -> list[int]:
    """The run lengths of a mask (H, W) bool, row by row inside its box, zeros first."""
    flat = mask[box.slices].ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    return np.diff(edges, prepend=0, append=flat.size).tolist()


# --- labels ----------------------------------------------------------------------------------------------------------


def _labels(sequence: ExportedSequence, terms: Terms) -> list[dict[str, Any]]:
    """What `labels.json` says: all classes of the export, with the attributes of the sequence's objects."""
    kind = terms.shape
    names = [category.name for category in sequence.classes]
    found = [_label(category.name, kind, category.id, _attributes(sequence, category)) for category in sequence.classes]
    if terms.makes_unknown and UNKNOWN_LABEL not in names:
        found.append(_label(UNKNOWN_LABEL, kind, 0, []))
    return found


def _label(name: str, kind: str, colour_id: int, attributes: list[dict[str, Any]]) -> dict[str, Any]:
    red, green, blue = davis_palette()[colour_id % 255].tolist()
    return {"name": name, "type": kind, "color": f"#{red:02x}{green:02x}{blue:02x}", "attributes": attributes}


def _attributes(sequence: ExportedSequence, category: ExportedClass) -> list[dict[str, Any]]:
    values: dict[str, set[type]] = {}
    for each in sequence.objects:
        if each.category == category:
            for name, value in each.attributes.items():
                values.setdefault(name, set()).add(type(value))
    if OBJECT_ID in values:
        raise InputError(
            f"objects.json of {sequence.name!r}: found the attribute {OBJECT_ID!r}, which in CVAT carries the object's "
            "number; give it another name"
        )
    found = [_attribute(OBJECT_ID, "number", ["0", "254", "1"], "0")]
    for name, kinds in sorted(values.items()):
        found.append(
            _attribute(name, "checkbox", ["false"], "false") if kinds == {bool} else _attribute(name, "text", [""], "")
        )
    return found


def _attribute(name: str, kind: str, values: list[str], default: str) -> dict[str, Any]:
    return {"name": name, "input_type": kind, "mutable": False, "values": values, "default_value": default}


# --- XML -------------------------------------------------------------------------------------------------------------


def _document(part: PartReader, terms: Terms) -> Iterator[str]:
    head = part.head
    yield f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n{head["meta"]}'
    if terms.shape == "mask":
        yield from part.records("images")
    number = 0
    for track in head["tracks"]:
        for rank in range(track["parts"]):
            yield f'  <track id="{number}" label={quoteattr(track["label"])} source="file">\n'
            for frame, points, outside in _course(part, track["object"], rank, head["size"]):
                polygon = Xml.Element("polygon", frame=str(frame), keyframe="1", outside=str(int(outside)))
                polygon.attrib |= {"occluded": "0", "points": points, "z_order": "0"}
                _describe(polygon, track["attributes"])
                yield _text(polygon, level=2)
            yield "  </track>\n"
            number += 1
    yield "</annotations>\n"


def _course(part: PartReader, object_id: int, rank: int, size: int) -> Iterator[tuple[int, str, bool]]:
    """Where the part of that rank, by area, is: frame, points, and whether it is gone there."""
    last: tuple[int, str] | None = None
    for frame, outlines in part.records(_stream(object_id)):
        points = outlines[rank] if rank < len(outlines) else None
        if last and (points is None or frame > last[0] + 1):
            yield last[0] + 1, last[1], True
            last = None
        if points is not None:
            yield frame, points, False
            last = frame, points
    if last and last[0] + 1 < size:
        yield last[0] + 1, last[1], True


def _meta(sequence: ExportedSequence, labels: list[dict[str, Any]], terms: Terms) -> Xml.Element:
    width, height = sequence.size_wh
    meta = Xml.Element("meta")
    task = Xml.SubElement(meta, "task")
    mode = "annotation" if terms.shape == "mask" else "interpolation"
    _fill(task, name=sequence.name, size=sequence.kept_count, mode=mode, overlap=0, z_order=False)
    listed = Xml.SubElement(task, "labels")
    for label in labels:
        element = Xml.SubElement(listed, "label")
        _fill(element, name=label["name"], color=label["color"], type=label["type"])
        attributes = Xml.SubElement(element, "attributes")
        for said in label["attributes"]:
            _fill(Xml.SubElement(attributes, "attribute"), **{**said, "values": ";".join(said["values"])})
    _fill(Xml.SubElement(task, "original_size"), width=width, height=height)
    return meta


def _image(sequence: ExportedSequence, frame: ExportedFrame, labels: LabelMap, terms: Terms) -> Xml.Element:
    width, height = sequence.size_wh
    image = Xml.Element("image", id=str(frame.number), name=picture_name(frame, terms))
    image.attrib |= {"width": str(width), "height": str(height)}
    present = set(np.unique(labels).tolist())
    for each in sequence.objects:
        if each.id in present:
            _describe(_mask(image, each.category.name, labels == each.id), _said(each))
    if UNKNOWN in present:
        _mask(image, UNKNOWN_LABEL, labels == UNKNOWN)
    return image


def _mask(image: Xml.Element, label: str, mask: NDArray[np.bool_]) -> Xml.Element:
    box = Box.around(mask)
    width, height = box.size_wh
    runs = ", ".join(map(str, runs_in_box(mask, box)))
    shape = Xml.SubElement(image, "mask", label=label, source="file", occluded="0", rle=runs)
    placed = {"left": box.left, "top": box.top, "width": width, "height": height, "z_order": 0}
    shape.attrib |= {name: str(value) for name, value in placed.items()}
    return shape


def _said(exported: ExportedObject) -> list[tuple[str, str]]:
    """Which object a shape is, and what its `objects.json` says of it."""
    words = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in sorted(exported.attributes.items())
    }
    return [(OBJECT_ID, str(exported.id)), *words.items()]


def _describe(shape: Xml.Element, said: Iterable[Sequence[str]]) -> None:
    for name, value in said:
        Xml.SubElement(shape, "attribute", name=name).text = value


def _fill(element: Xml.Element, **texts: object) -> None:
    for name, value in texts.items():
        Xml.SubElement(element, name).text = str(value)


def _text(element: Xml.Element, level: int) -> str:
    """An element as text, indented, with a line feed at its end."""
    indent = "  " * level
    Xml.indent(element, level=level)
    return f"{indent}{Xml.tostring(element, encoding='unicode')}\n"


# --- polygons --------------------------------------------------------------------------------------------------------


def _stream(object_id: int) -> str:
    return f"object-{object_id}"


def _points(part: Part) -> str:
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in part.shell)


def _area(part: Part) -> float:
    x, y = part.shell.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def _iou(parts: Sequence[Part], mask: NDArray[np.bool_]) -> float:
    """Of what comes back, without its holes, with the mask."""
    height, width = mask.shape
    back = np.logical_or.reduce([filled(part.shell, (width, height)) for part in parts])
    return float(np.count_nonzero(back & mask) / np.count_nonzero(back | mask))
