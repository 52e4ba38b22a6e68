"""labelme: `read_labelme.py labelme FOLDER OUT`: every file of the folder, loaded and drawn as it does itself."""

import json
import sys
from pathlib import Path

from found import Shape, save
from labelme._label_file import read_label_file
from labelme.utils import shapes_to_label

_, folder, out = sys.argv[1:]
names, shapes = [], []
for path in sorted(Path(folder).rglob("*.json")):
    data = read_label_file(str(path))
    size = json.loads(path.read_text(encoding="utf-8"))
    names.append(path.relative_to(folder).with_name(data.image_path).as_posix())
    for each in data.shapes:
        _, drawn = shapes_to_label((size["imageHeight"], size["imageWidth"]), [each], {each["label"]: 1})
        shapes.append(Shape(names[-1], each["label"], each["group_id"] or 0, drawn > 0))
save(out, names, shapes)
