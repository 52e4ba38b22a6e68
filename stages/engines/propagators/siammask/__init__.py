"""SiamMask: follows an object's box and draws its mask on the way."""

from stages.engines.spec import EXACT, Checkpoint, Cost, Network, Option, Spec

_URL = "http://www.robots.ox.ac.uk/~qwang/"
_PUBLISHED = {"davis": "SiamMask_DAVIS.pth", "vot": "SiamMask_VOT.pth", "vot_ld": "SiamMask_VOT_LD.pth"}
_CONFIGURATIONS = {"davis": "davis", "vot": "vot", "vot_ld": "vot18"}
_LARGE = Cost(memory_mib=1024)

SPEC = Spec(
    plug="propagator",
    name="siammask",
    package=__name__,
    build="engine:engine",
    summary="SiamMask from both anchors, fused (Wang et al., CVPR 2019)",
    version=2,
    options=(
        Option(
            "padding",
            "box_padding",
            0.0,
            "SiamMask: share by which the first box is enlarged",
            limits=(0.0, 1.0),
        ),
        Option(
            "lost_score",
            "lost_score",
            0.3,
            "SiamMask: below this score it is lost; 0: never",
            limits=(0.0, 1.0),
        ),
        EXACT,
    ),
    networks=(
        *(
            Network(
                name,
                "siammask_sharp",
                "network:SiamMaskSharp",
                Checkpoint(file, "MIT", _URL + file, 82),
                arguments={"configuration": _CONFIGURATIONS[name]},
                cost=_LARGE,
            )
            for name, file in _PUBLISHED.items()
        ),
        Network(
            "base",
            "siammask_base",
            "network:SiamMask",
            Checkpoint(
                "siammask_base.pth",
                "MIT",
                size_mib=72,
                substitutes=tuple(_PUBLISHED.values()),
                ignored=("refine_model.*",),
            ),
            arguments={"configuration": "base"},
            cost=_LARGE,
        ),
        Network(
            "lite",
            "siammask_lite",
            "lite:SiamMaskLite",
            Checkpoint(
                "siammask_lite.safetensors",
                "MIT (data: see siammask_lite.md)",
                size_mib=4.6,
                sha256="d0344ac2d2d64dfb8de1eed5931f2365e98bab7d2f18611a9fb6d6a592746d0f",
            ),
            arguments={"configuration": "lite"},
            cost=Cost(memory_mib=768),
            is_small=True,
        ),
    ),
)
