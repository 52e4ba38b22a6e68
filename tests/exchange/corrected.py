"""Corrections as tools save them: an export goes in, a frame's objects are drawn anew, what the tool exports comes out.

Each writes in its own way (runs, floats, patches of 0 and 1, soft brushes) and with code of its own, not with ours.
"""

import base64
import io
import itertools
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as Xml

import numpy as np
from PIL import Image


def by_cvat(folder: Path, seq: str, name: str, labels: np.ndarray) -> Path:
    """A zip with all images of the task; masks by hand, numbers as floats."""
    document = Xml.parse(folder / seq / "annotations.xml")
    root = document.getroot()
    Xml.SubElement(root.find("meta"), "dumped").text = "2024-05-01 10:00:00.000000+00:00"
    for image in root.findall("image"):
        image.set("subset", "default")
        if image.get("name") == name:
            label = next(iter(root.iter("mask"))).get("label")
            for shape in image.findall("mask"):
                image.remove(shape)
            for object_id in _ids(labels):
                _cvat_mask(image, label, object_id, labels == object_id)
    path = folder.with_name(f"{folder.name}-from-cvat.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", Xml.tostring(root, "utf-8"))
    return path


def by_labelme(folder: Path, seq: str, name: str, labels: np.ndarray) -> Path:
    """Saved in place: LabelMe changes the file of the picture that was open."""
    path = folder / seq / f"{Path(name).stem}.json"
    said = json.loads(path.read_text("utf-8"))
    shapes = []
    for object_id in _ids(labels):
        rows, columns = np.nonzero(labels == object_id)
        x0, x1, y0, y1 = (int(each) for each in (columns.min(), columns.max(), rows.min(), rows.max()))
        file = io.BytesIO()
        Image.fromarray((labels[y0 : y1 + 1, x0 : x1 + 1] == object_id).astype(np.uint8)).save(file, "PNG")
        shape = {"label": "object", "points": [[float(x0), float(y0)], [x1 - 1e-9, float(y1)]], "group_id": object_id}
        shape |= {"description": "", "shape_type": "mask", "flags": {}}
        shapes.append({**shape, "mask": base64.b64encode(file.getvalue()).decode()})
    path.write_text(json.dumps({**said, "version": "5.4.1", "shapes": shapes}, indent=2), "utf-8")
    return folder


def by_label_studio(folder: Path, seq: str, name: str, labels: np.ndarray) -> Path:
    """The project's export: the corrected task has an annotation by soft brush, the others still the predictions."""
    tasks = json.loads((folder / seq / "label_studio.json").read_text("utf-8"))
    for number, task in enumerate(tasks, 71):
        task |= {"id": number, "file_upload": "8f3e21aa-label_studio.json", "drafts": [], "annotations": []}
        if task["data"]["image"].endswith(name):
            height, width = labels.shape
            result = []
            for object_id in _ids(labels):
                value = {"format": "rle", "rle": _soft_brush(labels == object_id)}
                value["brushlabels"] = [f"object #{object_id}"]
                said = {"id": f"x{object_id}", "type": "brushlabels", "from_name": "object", "to_name": "image"}
                size = {"original_width": width, "original_height": height, "image_rotation": 0}
                result.append({**said, **size, "origin": "prediction-child", "value": value})
            task["annotations"] = [{"id": 5, "completed_by": 1, "was_cancelled": False, "result": result}]
    path = folder.with_name(f"{folder.name}-project-1.json")
    path.write_text(json.dumps(tasks), "utf-8")
    return path


BY_TOOL: Final[dict[str, Callable[[Path, str, str, np.ndarray], Path]]] = {
    "cvat": by_cvat,
    "labelme": by_labelme,
    "labelstudio": by_label_studio,
}
"""Format -> what draws anew the objects of a picture in an export of that format, and gives what comes back."""


def _ids(labels: np.ndarray) -> list[int]:
    return [int(each) for each in np.unique(labels) if each]


def _runs(values: Iterable[int]) -> list[tuple[int, int]]:
    return [(value, len([*run])) for value, run in itertools.groupby(values)]


def _cvat_mask(image: Xml.Element, label: str | None, object_id: int, mask: np.ndarray) -> None:
    """In a box with a margin of background, as masks by hand have it."""
    rows, columns = np.nonzero(mask)
    x0, x1 = max(columns.min() - 2, 0), min(columns.max() + 3, mask.shape[1])
    y0, y1 = max(rows.min() - 2, 0), min(rows.max() + 3, mask.shape[0])
    runs = _runs(mask[y0:y1, x0:x1].ravel().tolist())
    lengths = [length for _, length in runs] if not runs[0][0] else [0, *(length for _, length in runs)]
    said = {"left": x0, "top": y0, "width": float(x1 - x0), "height": float(y1 - y0), "z_order": 0, "occluded": 0}
    shape = Xml.SubElement(image, "mask", {key: str(value) for key, value in said.items()})
    shape.attrib |= {"label": label or "", "source": "manual", "rle": ", ".join(map(str, lengths))}
    Xml.SubElement(shape, "attribute", name="object_id").text = str(object_id)


def _soft_brush(mask: np.ndarray) -> list[int]:
    """Alpha 200 inside; outside, 90 along the edge to the right, as brushes leave it; short runs value by value."""
    alpha = np.where(mask, 200, 0)
    alpha[:, 1:][mask[:, :-1] & ~mask[:, 1:]] = 90
    pieces = [f"{4 * mask.size:032b}", f"{7:05b}", *(f"{width - 1:04b}" for width in (3, 4, 8, 16))]
    for value, length in _runs(np.repeat(alpha.ravel(), 4).tolist()):
        if length <= 4:
            pieces.append(f"000{length - 1:03b}" + f"{value:08b}" * length)
        for first in range(0, length if length > 4 else 0, 1 << 16):
            pieces.append(f"111{min(length - first, 1 << 16) - 1:016b}{value:08b}")
    bits = "".join(pieces)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
