"""PointRend: a boundary predicted point by point, where it is uncertain."""

from stages.engines.spec import Checkpoint, Cost, Network, Spec

_ZOO = "https://dl.fbaipublicfiles.com/detectron2/PointRend/InstanceSegmentation"

SPEC = Spec(
    plug="refiner",
    name="pointrend",
    package=__name__,
    build="engine:Things",
    summary="PointRend (Kirillov et al., CVPR 2020), for what COCO has a class of",
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
            cost=Cost(memory_mib=2048),
        ),
    ),
)
