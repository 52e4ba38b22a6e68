"""supervision: `read_supervision.py FORMAT FOLDER OUT`, COCO and YOLO."""

import sys
from pathlib import Path

import supervision
from found import Shape, save

form, folder, out = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
if form == "coco":
    pictures = folder / "images"
    annotations = folder / "annotations" / "instances_train.json"
    data = supervision.DetectionDataset.from_coco(str(pictures), str(annotations), force_masks=True)
else:
    pictures, labels = folder / "images" / "train", folder / "labels" / "train"
    data = supervision.DetectionDataset.from_yolo(
        str(pictures), str(labels), str(folder / "data.yaml"), force_masks=True
    )
names, shapes = [], []
for path, _, found in data:
    names.append(Path(path).relative_to(pictures).as_posix())
    for mask, category in zip(found.mask if len(found) else [], found.class_id, strict=True):
        shapes.append(Shape(names[-1], data.classes[category], 0, mask))
save(out, names, shapes)
