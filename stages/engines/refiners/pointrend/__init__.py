"""PointRend: a boundary predicted point by point, where it is uncertain."""

from stages.engines.spec import Checkpoint, Cost, Network, Spec

_ZOO = "https://dl.fbaipublicfiles.com/detectron2/PointRend/InstanceSegmentation"

SPEC = Spec(
    plug="refiner",
    name="pointrend",
    package=__name__,
    build="engine:refiner",
    summary="PointRend (Kirillov et al., CVPR 2020): lite for any boundary, coco_r50 for what COCO has a class of",
    networks=(
        Network(
            "coco_r50",
            "pointrend_coco_r50",
            "network:PointRend",
            Checkpoint(
                "pointrend_coco_r50.safetensors",
                "Apache-2.0",
                f"{_ZOO}/pointrend_rcnn_R_50_FPN_3x_coco/164955410/model_final_edd263.pkl",
                167,
                converted_from="model_final_edd263.pkl",
                ignored=("proposal_generator.*", "roi_heads.box_*", "pixel_mean", "pixel_std"),
            ),
            cost=Cost(memory_mib=1280, seconds=3.7),
        ),
        Network(
            "lite",
            "pointrend_lite",
            "lite:LitePoints",
            Checkpoint(
                "pointrend_lite.safetensors",
                "MIT (data: see pointrend_lite.md)",
                size_mib=0.01,
                sha256="11a05b431652e8a75d6ed372e18f4c9ff0d9ece4482ee5e6e034bab12c1021ab",
            ),
            cost=Cost(memory_mib=320, seconds=0.014),
            is_small=True,
        ),
    ),
)
