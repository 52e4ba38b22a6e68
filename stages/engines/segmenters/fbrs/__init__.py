"""f-BRS: interactive segmentation whose clicks are enforced by optimising a few numbers inside the network."""

from dataclasses import replace

from stages.engines.spec import EXACT, Checkpoint, Cost, Network, Option, Spec

_URL = "https://github.com/saic-vul/fbrs_interactive_segmentation/releases/download/v1.0/"
_LARGE = Cost(memory_mib=2048)
_QUICK = {"brs_mode": "NoBRS"}
_LITE = Network(
    "lite",
    "fbrs_lite",
    "lite:LiteClicks",
    Checkpoint(
        "fbrs_lite.safetensors",
        "MIT (data: see fbrs_lite.md)",
        size_mib=6.3,
        sha256="3a28565242e472e96a494e3949577e8b4392b6c3375351d51cc8a95e6595aabe",
    ),
    arguments={"line_spacing_px": 4, "look_px": 456, "crop_px": 256},
    without=("spacing_px",),  # it is shown whole strokes
    cost=Cost(memory_mib=768, seconds=0.5),
    is_small=True,
    version=2,
)
_LITE_OPEN = replace(
    _LITE,
    name="lite_open",
    checkpoint=replace(
        _LITE.checkpoint,
        file="fbrs_lite_open.safetensors",
        licence="MIT (data: openly licensed, see fbrs_lite_open.md)",
        sha256="d3033ed4e111072d171b16c442034501325e3d62cd80230bcd548ffc29c057b5",
    ),
    is_small=False,  # users train fbrs:lite, on whatever pictures
)


def _published(name: str, file: str, size_mib: float, *ignored: str) -> Network:
    network = name.removesuffix("_lvis")
    checkpoint = Checkpoint(file, "MPL-2.0", _URL + file, size_mib, ignored=ignored)
    return Network(name, f"fbrs_{network}", f"networks:{network}", checkpoint, quick=_QUICK, cost=_LARGE)


SPEC = Spec(
    plug="segmenter",
    name="fbrs",
    package=__name__,
    build="segmenter:FBRS",
    summary="f-BRS: clicks along the strokes (Sofiiuk et al., CVPR 2020)",
    options=(
        Option(
            "spacing_px",
            "click_spacing_px",
            40.0,
            "f-BRS: pixels between clicks",
            limits=(1.0, 10_000.0),
        ),
        Option(
            "mode",
            "brs_mode",
            "f-BRS-B",
            "f-BRS, but fbrs:lite: where clicks are made to hold: NoBRS (nowhere), f-BRS-A, f-BRS-B, f-BRS-C",
            choices=("NoBRS", "f-BRS-A", "f-BRS-B", "f-BRS-C"),
        ),
        EXACT,
    ),
    networks=(
        _published("resnet34_dh128", "resnet34_dh128_sbd.pth", 89, "aspp_dropout"),
        _published("resnet50_dh128", "resnet50_dh128_sbd.pth", 120, "aspp_dropout"),
        _published("resnet101_dh256", "resnet101_dh256_sbd.pth", 223, "aspp_dropout"),
        _published("hrnet18_ocr64", "hrnet18_ocr64_sbd.pth", 39),
        _published("hrnet32_ocr128", "hrnet32_ocr128_sbd.pth", 119),
        _published("resnet50_dh128_lvis", "resnet50_dh128_lvis.pth", 120, "aspp_dropout"),
        _published("hrnet32_ocr128_lvis", "hrnet32_ocr128_lvis.pth", 119),
        Network(
            "hrnet18s_ocr48",
            "fbrs_hrnet18s_ocr48",
            "networks:hrnet18s_ocr48",
            Checkpoint("hrnet18s_ocr48_sbd.pth", "MPL-2.0", size_mib=16),
            quick=_QUICK,
            cost=_LARGE,
        ),
        _LITE,
        _LITE_OPEN,
    ),
)
