"""SAM 2's networks, made without a file: four sizes, each in version 2.1 and in version 2.0, known by their entries."""

from collections.abc import Mapping

from sam2.build_sam import build_sam2_video_predictor
from sam2.sam2_video_predictor import SAM2VideoPredictor
from torch import Tensor

_PUBLISHED_PX = 1024
_CONFIGURATIONS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}
_BY_WIDTH = {112: "base_plus", 144: "large"}
_ONLY_IN_2_1 = "no_obj_embed_spatial"
_FIRST_LAYER, _BEYOND_TINY = "image_encoder.trunk.patch_embed.proj.weight", "image_encoder.trunk.blocks.12.norm1.weight"

State = Mapping[str, Tensor]


def tiny(state: State | None = None) -> SAM2VideoPredictor:
    """`sam2_tiny`; with a state dict, the version that it is of."""
    return _built("tiny", state)


def small(state: State | None = None) -> SAM2VideoPredictor:
    """`sam2_small`."""
    return _built("small", state)


def base_plus(state: State | None = None) -> SAM2VideoPredictor:
    """`sam2_base_plus`."""
    return _built("base_plus", state)


def large(state: State | None = None) -> SAM2VideoPredictor:
    """`sam2_large`."""
    return _built("large", state)


def fitting(state: State | None = None) -> SAM2VideoPredictor:
    """The size and the version that a state dict is of."""
    return _built("tiny" if state is None else _size_of(state), state)


def seeing(network: SAM2VideoPredictor, side_px: int) -> SAM2VideoPredictor:
    """The same network for frames in a square of this side."""
    if side_px == network.image_size:
        return network
    state = network.state_dict()
    built = _built(_size_of(state), state, side_px)
    built.load_state_dict(state)
    return built


def _size_of(state: State) -> str:
    """By the width of the first layer; tiny and small are of one width, and differ in length."""
    width = len(state[_FIRST_LAYER]) if _FIRST_LAYER in state else 0
    return _BY_WIDTH.get(width, "small" if _BEYOND_TINY in state else "tiny")


def _built(size: str, state: State | None, side_px: int = _PUBLISHED_PX) -> SAM2VideoPredictor:
    version = "2.1" if state is None or _ONLY_IN_2_1 in state else "2"
    predictor = build_sam2_video_predictor(
        f"configs/sam{version}/sam{version}_hiera_{_CONFIGURATIONS[size]}.yaml",
        device="cpu",
        hydra_overrides_extra=[f"++model.image_size={side_px}"],
    )
    predictor.fill_hole_area = 0  # wants a CUDA kernel that the package comes without
    return predictor
