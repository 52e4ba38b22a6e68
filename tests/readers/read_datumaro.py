"""datumaro: `read_datumaro.py FORMAT FOLDER OUT`, COCO, CVAT and the PNG of MOTS."""

import sys
from collections import defaultdict

import numpy as np
from datumaro import Dataset
from datumaro.components.annotation import AnnotationType
from found import Shape, save
from pycocotools import mask as coco

form, folder, out = sys.argv[1:]
data = Dataset.import_from(folder, form)
labels = data.categories()[AnnotationType.label]
ids = {"coco": "instance_id", "cvat": "object_id", "mots": "track_id"}
names, shapes = [], []
for item in data:
    names.append(f"{item.subset}/{item.id}" if form == "mots" else item.id)
    parts = defaultdict(list)  # an object of several polygons is several annotations of one group: COCO's number
    for place, each in enumerate(item.annotations):
        if each.type in (AnnotationType.mask, AnnotationType.polygon):
            parts[each.group, 0 if each.group else place].append(each)
    for _, together in sorted(parts.items()):
        first = together[0]
        if first.type == AnnotationType.mask:
            pixels = np.asarray(first.image, bool)
        else:
            height, width = item.media.size
            polygons = [list(each.points) for each in together]
            pixels = coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)
        category = "" if first.label is None else labels[first.label].name
        shapes.append(Shape(names[-1], category, int(first.attributes.get(ids[form], 0)), pixels))
save(out, names, shapes)
