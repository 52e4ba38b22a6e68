"""Label Studio: tasks with brush masks, guessed by default (predictions), or as people's work (--as annotations).

    <seq>/label_studio.json    to be imported into a project
    <seq>/label_config.xml     the project's labeling interface: one label an object
    <seq>/<name>               the pictures, which the server must reach

Results have no identity, so a label carries the object's number: "dog #1". A picture is a URL; by default one of local
storage, which has to be switched on there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as Xml

import numpy as np

from stages.core.types import LabelMap
from stages.exchange.encodings import brush
from stages.exchange.incoming.foreign import UNKNOWN_LABEL
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

_UNKNOWN_COLOUR = "#808080"


class LabelStudio(Format):
    """One file of tasks a sequence; of several frames, memory holds one."""

    name = "labelstudio"
    summary = "Label Studio: tasks with brush masks as predictions, or with --as annotations as people's work"
    loss = Loss(
        exact="yes",
        objects_apart="yes",
        identity="in the label",
        holes="yes",
        unknown="as a label",
        scores="prediction score",
    )
    unknown = f"label {UNKNOWN_LABEL}"
    options = frozenset({"tasks_as", "url_prefix"})

    def picture_path(self, sequence: ExportedSequence, frame: ExportedFrame, terms: Terms) -> str:
        """Under the source's name."""
        return f"{sequence.name}/{picture_name(frame, terms)}"

    def encode(
        self, sequence: ExportedSequence, frames: Iterator[ExportedFrame], part: PartWriter, terms: Terms
    ) -> None:
        """One record a task; its picture's URL is made at the end."""
        part.head({"sequence": sequence.name, "config": _config(sequence, terms)})
        for frame in frames:
            if frame.labels is not None:
                part.record("tasks", _task(sequence, frame, frame.labels, terms))

    def join(self, parts: Mapping[str, Sequence[PartReader]], shared: SharedFiles, terms: Terms) -> None:
        """The sequences' files, each written as it is read."""
        for of_split in parts.values():
            for part in of_split:
                folder = part.head["sequence"]
                shared.write(f"{folder}/label_studio.json", _tasks(part, folder, terms))
                shared.write(f"{folder}/label_config.xml", [part.head["config"]])


def _label(exported: ExportedObject) -> str:
    return f"{exported.category.name} #{exported.id}"


def _config(sequence: ExportedSequence, terms: Terms) -> str:
    view = Xml.Element("View")
    Xml.SubElement(view, "Image", name="image", value="$image")
    labels = Xml.SubElement(view, "BrushLabels", name="object", toName="image")
    for each in sequence.objects:
        Xml.SubElement(labels, "Label", value=_label(each), background=each.colour)
    if terms.makes_unknown:
        Xml.SubElement(labels, "Label", value=UNKNOWN_LABEL, background=_UNKNOWN_COLOUR)
    Xml.indent(view)
    return Xml.tostring(view, encoding="unicode") + "\n"


def _task(sequence: ExportedSequence, frame: ExportedFrame, labels: LabelMap, terms: Terms) -> dict[str, Any]:
    present = set(np.unique(labels).tolist())
    shown = [(each.id, _label(each)) for each in sequence.objects if each.id in present]
    if UNKNOWN in present:
        shown.append((UNKNOWN, UNKNOWN_LABEL))
    width, height = sequence.size_wh
    result = [
        {
            "id": f"o{value}",
            "type": "brushlabels",
            "from_name": "object",
            "to_name": "image",
            "origin": "manual",
            "image_rotation": 0,
            "original_width": width,
            "original_height": height,
            "value": {"format": "rle", "rle": list(brush.encode(labels == value)), "brushlabels": [label]},
        }
        for value, label in shown
    ]
    data = {"image": picture_name(frame, terms), "sequence": sequence.name, "frame": frame.index}
    if terms.tasks_as == "annotations":
        return {"data": data, "annotations": [{"result": result}]}
    score = min(
        (frame.qualities[each.id].score for each in sequence.objects if each.id in frame.qualities), default=1.0
    )
    return {"data": data, "predictions": [{"model_version": "lis", "score": score, "result": result}]}


def _tasks(part: PartReader, folder: str, terms: Terms) -> Iterator[str]:
    separator = "[\n"
    for task in part.records("tasks"):
        task["data"]["image"] = terms.url_prefix + quote(f"{folder}/{task['data']['image']}")
        yield separator + as_json(task)
        separator = ",\n"
    yield "\n]\n"
