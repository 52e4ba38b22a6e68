"""cvat-sdk: `read_cvat.py cvat FOLDER OUT`: the run lengths of every file of annotations."""

import sys
from pathlib import Path
from xml.etree import ElementTree

from cvat_sdk.masks import decode_mask
from found import Shape, save

_, folder, out = sys.argv[1:]
names, shapes = [], []
for path in sorted(Path(folder).rglob("annotations.xml")):
    for image in ElementTree.parse(path).getroot().iter("image"):
        names.append(f"{path.parent.name}/{image.get('name')}")
        size = {"image_width": int(image.get("width")), "image_height": int(image.get("height"))}
        for each in image.iter("mask"):
            x, y, width, height = (int(each.get(key)) for key in ("left", "top", "width", "height"))
            runs = [int(run) for run in each.get("rle").split(", ")]
            pixels = decode_mask([*runs, x, y, x + width - 1, y + height - 1], **size)
            object_id = int(each.find("attribute[@name='object_id']").text)
            shapes.append(Shape(names[-1], each.get("label"), object_id, pixels))
save(out, names, shapes)
