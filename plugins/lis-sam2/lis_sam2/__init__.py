"""SAM 2 as a propagator and a segmenter of LIS; the networks are those of the package `rf-sam-2`."""

from stages.engines.spec import Checkpoint, Cost, Network, Option, Spec

_URL = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"


def _published(name: str, size_mib: float, memory_mib: int) -> Network:
    file = f"sam2.1_hiera_{name}.pt"
    checkpoint = Checkpoint(file, "Apache-2.0", _URL + file, size_mib, substitutes=(f"sam2_hiera_{name}.pt",))
    return Network(name, f"sam2_{name}", f"networks:{name}", checkpoint, by_keys=True, cost=Cost(memory_mib))


_NETWORKS = (
    _published("tiny", 149, 2048),
    _published("small", 176, 2048),
    _published("base_plus", 309, 2048),
    _published("large", 857, 3072),
    Network("any", "sam2_any", "networks:fitting", Checkpoint("sam2.pt", "yours"), by_keys=True, cost=Cost(3072)),
)
_SIDE = Option(
    "side_px",
    "sam2_side",
    1024,
    "SAM 2: side of the square in which it sees a frame, rounded down to a multiple of 32",
    limits=(128, 2048),
)

PROPAGATOR = Spec(
    plug="propagator",
    name="sam2",
    package=__name__,
    build="propagator:Sam2Propagator",
    sees_beyond=True,
    summary="SAM 2 prompted by the anchors' masks, from both sides, fused (Ravi et al., 2024)",
    options=(_SIDE,),
    networks=_NETWORKS,
)
SEGMENTER = Spec(
    plug="segmenter",
    name="sam2",
    package=__name__,
    build="segmenter:Sam2Segmenter",
    summary="SAM 2 prompted by points along the strokes, boxes, and masks that are corrected (Ravi et al., 2024)",
    options=(
        _SIDE,
        Option("spacing_px", "sam2_spacing_px", 40.0, "SAM 2: pixels between points of a stroke", limits=(1, 9999)),
        Option(
            "most_points",
            "sam2_most_points",
            16,
            "SAM 2: most points on an object, and off it",
            limits=(1, 500),
        ),
    ),
    networks=_NETWORKS,
)
