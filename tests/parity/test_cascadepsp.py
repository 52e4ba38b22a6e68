"""CascadePSP against what the authors' package computed. Fixtures, weights, tolerances: the reference's cascadepsp/."""

import copy
import gzip
import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.engines.refiners.cascadepsp.fast import rearranged
from stages.engines.refiners.cascadepsp.refiner import (
    Mask,
    blended_part,
    global_step,
    has_boundary,
    local_step,
    local_windows,
    normalised_picture,
    refine_picture,
    resize_back,
    resize_longest_side,
    signed_mask,
    to_uint8,
)
from stages.engines.registry import build_network
from tests.parity.filled import fill, picture

Arrays = dict[str, NDArray]

HERE = Path(__file__).parent / "fixtures" / "cascadepsp"
FOLDERS = [HERE]
if "LIS_REFERENCE" in os.environ:
    FOLDERS.append(Path(os.environ["LIS_REFERENCE"]) / "cascadepsp" / "fixtures")
GIVEN = {"forward_224_": ["none", "s8s4"], "refine_": ["a160", "b130", "d300", "f160small", "g160skip"]}
BOTH_MODES = pytest.mark.parametrize("exact", [True, False], ids=["exact", "default"])
ATOL = 1e-4
COARSE_LOGITS_ATOL = 5e-5
NEAR_HALF = {"c400", "d300", "e160odd"}
"""Cases in which a few global pixels lie so near one half that rounding may turn them, and what is around them."""


def available(prefix: str) -> list[str]:
    """Names of fixtures without the prefix: the given ones, and whatever else LIS_REFERENCE has."""
    found = {path.stem.removeprefix(prefix) for folder in FOLDERS for path in folder.glob(f"{prefix}*.npz")}
    return sorted(found.union(GIVEN[prefix]))


def fixture(name: str) -> Arrays:
    """The arrays of one file of fixtures; skips the test without it."""
    for folder in FOLDERS:
        if (path := folder / f"{name}.npz").exists():
            with np.load(path) as arrays:
                return dict(arrays)
    pytest.skip(f"{name}.npz is not in the repository: set LIS_REFERENCE")


def ellipse(height: int, width: int, cy: float = 0.5, cx: float = 0.5, ry: float = 0.3, rx: float = 0.25) -> Mask:
    """An ellipse: centre and radii as shares of height and width."""
    y, x = np.mgrid[:height, :width] + 0.5
    return ((y - cy * height) / (ry * height)) ** 2 + ((x - cx * width) / (rx * width)) ** 2 <= 1


@cache
def filled(exact: bool) -> nn.Module:
    """As `exact` and as the default mode run it."""
    return fill(build_network("cascadepsp")) if exact else rearranged(filled(True))


@cache
def two_sided(exact: bool, bias: float) -> nn.Module:
    """The last layer changed so that its result has foreground and background, and the local step something to do."""
    if not exact:
        return rearranged(two_sided(True, bias))
    network = copy.deepcopy(filled(True))
    last = network.get_submodule("final_21")
    last.get_parameter("weight").mul_(-4)
    last.get_parameter("bias").fill_(bias)
    return network


def assert_near(found: Tensor | NDArray, expected: NDArray, atol: float, what: str = "") -> None:
    assert tuple(found.shape) == expected.shape, what
    np.testing.assert_allclose(np.asarray(found), expected, rtol=0, atol=atol, err_msg=what)


# -- the network -------------------------------------------------------------------------------------------------------


def test_keys_shapes_and_order_are_those_of_the_checkpoint() -> None:
    with gzip.open(HERE / "keys.json.gz") as file:
        expected = json.load(file)
    network = build_network("cascadepsp")
    found = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert list(found.items()) == list(expected.items())
    assert not network.training
    assert all(tensor.dtype == torch.float32 for tensor in network.parameters())


def forward_inputs() -> tuple[Tensor, Tensor, dict[str, tuple[Tensor, ...]]]:
    image, mask = normalised_picture(picture(224, 224, seed=1)), signed_mask(ellipse(224, 224))
    inter_s8 = 0.8 * signed_mask(ellipse(224, 224, 0.52, 0.48, 0.33, 0.27))
    inter_s4 = 0.9 * signed_mask(ellipse(224, 224, 0.48, 0.52, 0.28, 0.26))
    return image, mask, {"none": (), "s8": (inter_s8,), "s8s4": (inter_s8, inter_s4)}


@pytest.mark.parametrize(
    ("given", "exact"),
    [
        pytest.param(given, exact, id=f"{given}-{mode}", marks=[pytest.mark.slow] if given == "none" else [])
        for given in available("forward_224_")
        for exact, mode in ((True, "exact"), (False, "default"))
    ],
)
def test_forward(given: str, exact: bool) -> None:
    expected = fixture(f"forward_224_{given}")
    image, mask, intermediate = forward_inputs()
    with torch.inference_mode():
        found = filled(exact)(image, mask, *intermediate[given])

    logits = {name for name in expected if name.startswith("out_")}
    assert set(found) == logits | {name.replace("out_", "pred_") for name in logits}
    for name in logits:
        atol = ATOL if name == "out_224" else COARSE_LOGITS_ATOL
        assert_near(found[name][0, 0], expected[name], atol, name)
        assert_near(found[name.replace("out_", "pred_")][0, 0], 1 / (1 + np.exp(-expected[name])), atol, name)


@BOTH_MODES
def test_every_stage_of_the_network(exact: bool) -> None:
    expected = fixture("stages_224")
    image, mask, _ = forward_inputs()
    network = filled(exact)
    found = {}
    with torch.inference_mode():
        feats = network.feats
        found["conv1"] = feats.conv1(torch.cat([image, mask, mask, mask], 1))
        found["pool"] = feats.maxpool(torch.relu(feats.bn1(found["conv1"])))
        for name, before in (("layer1", "pool"), ("layer2", "layer1"), ("layer3", "layer2"), ("layer4", "layer3")):
            found[name] = getattr(feats, name)(found[before])
        found["psp"] = network.psp(found["layer4"])
        found["up_1"] = network.up_1(found["psp"], found["layer1"])
        found["up_2"] = network.up_2(found["up_1"], found["conv1"])
        found["up_3"] = network.up_3(found["up_2"], image)
        found["final_28_lowres"] = network.final_28(found["psp"])
        found["final_56_lowres"] = network.final_56(found["up_1"])

    assert {f"{name}_shape" for name in found} == {name for name in expected if name.endswith("_shape")}
    for name, values in found.items():
        assert list(values.shape) == list(expected[f"{name}_shape"])
        assert_near(values[0].mean(dim=(1, 2)), expected[f"{name}_mean"], ATOL, name)
        assert_near(values[0].std(dim=(1, 2), correction=0), expected[f"{name}_std"], ATOL, name)
        assert_near(values[0, :8, :4, :4], expected[f"{name}_first"], ATOL, name)


# -- inference ---------------------------------------------------------------------------------------------------------


class Case:
    """The input of one refinement, checked against what the fixture says of it."""

    def __init__(self, name: str) -> None:
        self.expected = fixture(f"refine_{name}")
        self.height, self.width = (int(side) for side in self.expected["hw"])
        self.longest_side = int(self.expected["L"])
        self.final_bias = float(self.expected.get("final_21_bias", -11.62))
        self.frame = picture(self.height, self.width, seed=3)
        position = {"cy": 0.4, "cx": 0.7, "ry": 0.12, "rx": 0.08} if name == "f160small" else {}
        self.mask = ellipse(self.height, self.width, **position)
        assert self.frame.sum(dtype=np.int64) == self.expected["image_sum"]
        assert np.array_equal(np.packbits(self.mask), self.expected["mask_bits"])


def assert_full_result(found: NDArray, case: Case, name: str) -> None:
    difference = np.abs(found - case.expected["full_prob"])
    assert np.quantile(difference, 0.999 if name in NEAR_HALF else 1) <= ATOL
    if name not in NEAR_HALF:
        assert np.abs(to_uint8(found).astype(int) - case.expected["full_u8"]).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("exact", [True, False], ids=["exact", "default"])
@pytest.mark.parametrize("name", available("refine_"))
def test_steps_of_refinement(name: str, exact: bool) -> None:
    case = Case(name)
    expected, network = case.expected, two_sided(exact, case.final_bias)
    image = normalised_picture(case.frame)
    with torch.inference_mode():
        coarse = global_step(network, image, signed_mask(case.mask), case.longest_side)
        fast = resize_back(coarse["pred_224"], case.height, case.width)[0, 0].numpy()
        full = local_step(network, image, coarse["pred_224"], coarse["pred_56_2"], case.longest_side)[0, 0].numpy()

    for key, values in coarse.items():
        assert list(values.shape[-2:]) == list(expected["small_shape"])
        if f"global_{key}" in expected:
            assert_near(values[0, 0], expected[f"global_{key}"], ATOL, key)
    if "fast_prob" in expected:
        assert_near(fast, expected["fast_prob"], ATOL)
        assert np.abs(to_uint8(fast).astype(int) - expected["fast_u8"]).max() <= 1
    assert_full_result(full, case, name)


@pytest.mark.slow
def test_the_whole_refinement_step_by_step_as_the_authors_do_it() -> None:
    case = Case("g160skip")
    found = refine_picture(two_sided(True, case.final_bias), case.frame, case.mask, case.longest_side)
    assert found.dtype == np.float32
    assert_full_result(found, case, "g160skip")


@pytest.mark.parametrize("name", available("refine_"))
def test_the_networks_input(name: str) -> None:
    case = Case(name)
    image, mask = normalised_picture(case.frame), signed_mask(case.mask)
    modes = ("area", "area") if case.longest_side < max(case.height, case.width) else ("bicubic", "bilinear")
    image, mask = (
        resize_longest_side(values, case.longest_side, mode) for values, mode in zip((image, mask), modes, strict=True)
    )
    assert list(mask.shape[-2:]) == list(case.expected["small_shape"])
    for suffix, step in (("", 1), ("_sub8", 8)):
        if f"im_small{suffix}" in case.expected:
            assert_near(image[0, :, ::step, ::step], case.expected[f"im_small{suffix}"], 1e-5)
            assert_near(mask[0, 0, ::step, ::step], case.expected[f"seg_small{suffix}"], 1e-5)


@pytest.mark.parametrize("name", available("refine_"))
def test_windows_of_the_local_step(name: str) -> None:
    case = Case(name)
    height, width = case.height, case.width
    windows = local_windows(height, width, case.longest_side)
    assert [list(window) for window in windows] == case.expected["crops"][:, :4].tolist()

    probability = torch.from_numpy(case.expected["global_pred_224"])[None, None]
    probability = torch.nn.functional.interpolate(probability, (height, width), mode="bilinear", align_corners=False)
    binary = torch.where(probability > 0.5, 1.0, -1.0)[0, 0]
    assert [has_boundary(binary[window.slices]) for window in windows] == case.expected["crops"][:, 4].tolist()

    count = np.zeros((height, width), dtype=np.uint8)
    for window in windows:
        if has_boundary(binary[window.slices]):
            count[blended_part(window, height, width).slices] += 1
    assert np.array_equal(count, case.expected["weight"])
