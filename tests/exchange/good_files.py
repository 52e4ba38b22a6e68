"""Small good files of every format that masks come in: what damage is tried on, and how each is read to its end."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from stages.exchange.incoming.composing import Objects, compose
from stages.exchange.incoming.formats import reader_of
from stages.exchange.incoming.matching import FrameNames, match

SIZE_WH: Final = (6, 4)
LABELS: Final = np.array([[0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 2, 0], [0, 1, 1, 0, 2, 2], [0, 0, 0, 0, 0, 2]], np.uint8)
FRAMES: Final = FrameNames("dog", tuple(f"{index:05d}.jpg" for index in range(3)))


def read_all(name: str, source: Path) -> None:
    """Every mask of a source, as an import reads it."""
    objects = Objects(frozenset(), takes_new=True)
    for picture in match(reader_of(name).pictures(source), FRAMES).pictures.values():
        compose(picture, objects, SIZE_WH, picture.name)


def good_files() -> Mapping[str, tuple[list[bytes], Callable[[Path], object]]]:
    """File name -> good contents, and what reads such a file."""
    return {
        "00001.png": (
            [_png(LABELS, "P"), _png(LABELS, "L"), _png(LABELS, "P", bits=2, transparency=0)],
            lambda path: read_all("png", path),
        ),
        "object.png": (
            [_png(LABELS * 127, "L"), _png((LABELS > 0).astype(np.uint8) * 255, "L"), _deep(), _alpha()],
            _read_binary,
        ),
        "instances.json": ([_coco()], lambda path: read_all("coco", path)),
        "annotations.xml": ([_cvat()], lambda path: read_all("cvat", path)),
        "annotations.zip": ([_zipped(_cvat())], lambda path: read_all("cvat", path)),
        "00001.json": ([_labelme()], lambda path: read_all("labelme", path)),
        "project.json": ([_label_studio()], lambda path: read_all("labelstudio", path)),
    }


def _read_binary(path: Path) -> None:
    folder = path.parent / "objects" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "00001.png").write_bytes(path.read_bytes())
    read_all("binary", folder.parent)


def _saved(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def _png(values: np.ndarray, mode: str, **options: object) -> bytes:
    picture = Image.frombytes(mode, SIZE_WH, values.tobytes())
    if mode == "P":
        picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    return _saved(picture, **options)


def _deep() -> bytes:
    return _saved(Image.fromarray(np.where(LABELS == 1, np.uint16(65280), np.uint16(0))))


def _alpha() -> bytes:
    values = np.where(LABELS == 1, np.uint8(255), np.uint8(0))
    return _saved(Image.fromarray(np.dstack([values, values, values, np.full_like(values, 255)])))


def _coco() -> bytes:
    segmentations = (
        {"size": [4, 6], "counts": "4310<"},
        {"size": [4, 6], "counts": [17, 2, 3, 2]},
        [[1, 0, 3, 0, 3, 3, 1, 3], [4.5, 1, 5.5, 1, 5, 4]],
    )
    images = [{"id": k, "file_name": f"dog/{k - 1:05d}.jpg", "width": 6, "height": 4} for k in (1, 2, 3)]
    annotations = [
        {"id": k, "image_id": k, "category_id": 1, "segmentation": each, "iscrowd": 0, "instance_id": k}
        for k, each in enumerate(segmentations, 1)
    ]
    categories = [{"id": 1, "name": "dog"}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories}).encode()


def _cvat() -> bytes:
    object_id = '<attribute name="object_id">1</attribute>'
    return f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
 <image id="0" name="dog/00000.jpg" width="6" height="4">
  <mask label="dog" source="file" occluded="0" rle="0, 6" left="1" top="0" width="2" height="3" z_order="0">
   {object_id}</mask>
 </image>
 <image id="1" name="dog/00001.jpg" width="6" height="4">
  <polygon label="dog" occluded="0" points="1.00,0.00;3.00,0.00;3.00,3.00;1.00,3.00" z_order="1">{object_id}</polygon>
 </image>
</annotations>
""".encode()


def _zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("annotations.xml"), content)
    return buffer.getvalue()


def _labelme() -> bytes:
    patch = base64.b64encode(_saved(Image.fromarray(np.ones((3, 2), np.uint8)))).decode()
    shape = {"label": "dog", "points": [[1, 0], [2, 2]], "group_id": 1, "description": "", "shape_type": "mask"}
    polygon = {"label": "dog", "points": [[4, 1], [6, 1], [6, 4]], "group_id": 2, "shape_type": "polygon", "flags": {}}
    whole = {"version": "5.5.0", "flags": {}, "imagePath": "00001.jpg", "imageData": None}
    shapes = [{**shape, "flags": {}, "mask": patch}, polygon]
    return json.dumps({**whole, "shapes": shapes, "imageHeight": 4, "imageWidth": 6}).encode()


def _label_studio() -> bytes:
    packed = [0, 0, 0, 96, 57, 27, 252, 96, 19, 255, 223, 0, 159, 254, 248, 4, 255, 248, 140, 0]
    result = {
        "id": "o1",
        "type": "brushlabels",
        "from_name": "object",
        "to_name": "image",
        "original_width": 6,
        "original_height": 4,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": packed, "brushlabels": ["dog #1"]},
    }
    task = {"id": 1, "data": {"image": "/data/upload/4/3d00c1f2-00001.jpg"}, "annotations": [{"result": [result]}]}
    return json.dumps([task]).encode()
