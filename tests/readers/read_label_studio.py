"""label-studio-sdk: `read_label_studio.py labelstudio FOLDER OUT`: the brush masks of every file of tasks."""

import json
import sys
from pathlib import Path

from found import Shape, save
from label_studio_sdk.converter.brush import decode_rle

_, folder, out = sys.argv[1:]
names, shapes = [], []
for path in sorted(Path(folder).rglob("label_studio.json")):
    for task in json.loads(path.read_text(encoding="utf-8")):
        names.append(f"{task['data']['sequence']}/{task['data']['frame']}")
        for each in task["predictions"][0]["result"]:
            height, width = each["original_height"], each["original_width"]
            pixels = decode_rle(each["value"]["rle"]).reshape(height, width, 4)[..., 3] > 127
            label, _, number = each["value"]["brushlabels"][0].rpartition(" #")
            shapes.append(Shape(names[-1], label, int(number), pixels))
save(out, names, shapes)
