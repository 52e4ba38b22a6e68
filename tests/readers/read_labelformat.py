"""labelformat: `read_labelformat.py FORMAT FOLDER OUT`, polygons of COCO and tracks of YouTube-VIS."""

import sys
from pathlib import Path

import numpy as np
from found import Shape, save
from labelformat.formats.coco import COCOInstanceSegmentationInput
from labelformat.formats.youtubevis import YouTubeVISInstanceSegmentationTrackInput


def _rings(polygons):
    return np.array([(number, *point) for number, ring in enumerate(polygons) for point in ring], float)


form, folder, out = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
names, shapes = [], []
if form == "coco":
    for label in COCOInstanceSegmentationInput(folder / "annotations" / "instances_train.json").get_labels():
        names.append(label.image.filename)
        for each in label.objects:
            shapes.append(Shape(names[-1], each.category.name, 0, _rings(each.segmentation.polygons)))
else:
    for video in YouTubeVISInstanceSegmentationTrackInput(folder / "train.json").get_labels():
        for frame in range(video.video.number_of_frames):
            names.append(f"{video.video.filename}/{frame}")
            for each in video.objects:
                mask = each.segmentations[frame]
                if mask is not None:
                    pixels = mask.get_binary_mask().astype(bool)
                    shapes.append(Shape(names[-1], each.category.name, each.object_track_id, pixels))
save(out, names, shapes)
