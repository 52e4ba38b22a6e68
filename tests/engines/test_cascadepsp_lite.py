"""The small refiner: its network, and what the shipped one does."""

from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from stages.core.errors import InputError
from stages.core.metrics import region_similarity
from stages.engines import registry
from stages.engines.refiners.cascadepsp.engine import CascadePSP
from stages.engines.refiners.cascadepsp.fast import rearranged
from stages.engines.refiners.cascadepsp.lite import LiteCascade
from stages.engines.refiners.cascadepsp.network import CascadePSPNetwork
from tests.pretended_gpu import DEVICE, pretended_gpu


@pytest.fixture(scope="module")
def network() -> LiteCascade:
    torch.manual_seed(0)
    return LiteCascade().eval().requires_grad_(False)


def disturbed(network: LiteCascade) -> LiteCascade:
    """The same, with corrections that are not zero."""
    torch.manual_seed(1)
    other = LiteCascade().eval()
    other.load_state_dict(network.state_dict())
    for head in other.heads.values():
        torch.nn.init.normal_(head[-1].weight, std=0.5)
    torch.nn.init.normal_(other.encoder.maps_stem[-1].weight, std=0.5)
    return other.requires_grad_(False)


def inputs(height: int = 64, width: int = 72) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    picture = torch.randn(1, 3, height, width, generator=generator)
    return picture, 2 * torch.rand(1, 1, height, width, generator=generator) - 1


def scene(side: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """An orange figure before a blue wall, with some texture: picture and mask."""
    truth = np.zeros((side, side), np.uint8)
    cv2.ellipse(truth, (80, 70), (34, 44), 0, 0, 360, 1, -1)
    cv2.rectangle(truth, (60, 100), (75, 140), 1, -1)
    cv2.rectangle(truth, (88, 100), (103, 140), 1, -1)
    return painted(truth), truth > 0


def painted(truth: np.ndarray) -> np.ndarray:
    """The picture (H, W, 3) of a mask: orange before blue."""
    rng, side = np.random.default_rng(3), len(truth)
    rgb = np.where(truth[..., None] > 0, np.array([210, 120, 40]), np.array([60, 90, 150]))
    rgb = rgb + cv2.GaussianBlur(rng.normal(0, 40, (side, side, 3)), (0, 0), 2)
    return np.clip(rgb, 0, 255).astype(np.uint8)


# ---------------------------------------------------------------------------------------------- the network


def test_untrained_it_changes_no_mask(network: LiteCascade) -> None:
    picture, mask = inputs()
    refined = network(picture, mask)["pred_224"]
    assert torch.equal(refined > 0.5, mask > 0)


@pytest.mark.parametrize("given", [0, 1, 2])
def test_call_and_results_are_those_of_the_large_network(network: LiteCascade, given: int) -> None:
    picture, mask = inputs()
    with torch.no_grad():
        large = CascadePSPNetwork().eval()(picture, mask, *[mask] * given)
    small = network(picture, mask, *[mask] * given)
    assert {name: value.shape for name, value in small.items()} == {name: value.shape for name, value in large.items()}


def test_second_intermediate_result_needs_the_first(network: LiteCascade) -> None:
    picture, mask = inputs()
    with pytest.raises(InputError, match="inter_s4 without inter_s8"):
        network(picture, mask, inter_s4=mask)


def test_folding_changes_nothing(network: LiteCascade) -> None:
    picture, mask = inputs()
    other = disturbed(network)
    with torch.no_grad():
        assert torch.allclose(rearranged(other)(picture, mask)["out_224"], other(picture, mask)["out_224"], atol=1e-4)


def test_every_pass_matters(network: LiteCascade) -> None:
    picture, mask = inputs()
    other = disturbed(network)
    results = [other(picture, mask, *[mask] * given)["out_224"] for given in (0, 1, 2)]
    assert not torch.allclose(results[0], results[1]) and not torch.allclose(results[1], results[2])


# ---------------------------------------------------------------------------------------------- the engine


def test_engine_sees_soft_masks_as_they_are(network: LiteCascade) -> None:
    rgb, truth = scene()
    mask = 0.2 + 0.6 * truth.astype(np.float32)
    soft = CascadePSP(network, soft=True, passes=1).refine(rgb, mask)
    hard = CascadePSP(network, soft=False, passes=1).refine(rgb, mask)
    assert soft[70, 80] < hard[70, 80] < 1
    assert np.array_equal(soft > 0.5, truth) and np.array_equal(hard > 0.5, truth)


def test_fewer_passes_are_the_last_ones(network: LiteCascade) -> None:
    rgb, truth = scene()
    refined = {
        passes: CascadePSP(disturbed(network), soft=True, passes=passes).refine(rgb, truth.astype(np.float32))
        for passes in (1, 2, 3)
    }
    assert not np.allclose(refined[1], refined[2]) and not np.allclose(refined[2], refined[3])


def test_without_windows_a_large_object_is_seen_once(network: LiteCascade) -> None:
    rgb, truth = scene()
    sizes = []
    engine = CascadePSP(network, longest_side=80, windows=False)
    engine.network.register_forward_pre_hook(lambda _, args: sizes.append(tuple(args[0].shape[-2:])))
    refined = engine.refine(rgb, truth.astype(np.float32))
    assert len(sizes) == 1 and max(sizes[0]) == 96 and min(sizes[0]) % 32 == 0  # 80, padded
    assert refined.shape == truth.shape and region_similarity(refined > 0.5, truth) > 0.9


@pytest.mark.parametrize(
    ("device", "numbers"), [("cpu", [1, 1, 4]), pytest.param(DEVICE, [2, 4], marks=pytest.mark.slow)]
)
def test_objects_of_one_size_go_through_the_network_together(
    network: LiteCascade, device: str, numbers: list[int]
) -> None:
    """Less than four only where no code has to be compiled for it."""
    rgb, _ = scene()
    masks = []
    for number, side in enumerate([20, 40, 22, 24, 42, 26]):  # seen at 96 and at 128 pixels
        mask = np.zeros(rgb.shape[:2], np.float32)
        mask[32 + number : 32 + number + side, 34 : 34 + side] = 0.9
        masks.append(mask)
    masks.insert(3, np.zeros_like(masks[0]))
    seen = []
    with pretended_gpu() if device == DEVICE else nullcontext():
        engine = CascadePSP(disturbed(network), soft=True, passes=1, windows=False, device=device)
        engine.network.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
        together = list(engine.refine_all([(rgb, mask) for mask in masks]))
        assert sorted(seen) == numbers
        for mask, refined in zip(masks, together, strict=True):
            np.testing.assert_allclose(refined, engine.refine(rgb, mask), rtol=0, atol=1e-5)
    assert engine.at_once == (1 if device == "cpu" else 4)


@pytest.mark.parametrize("size_hw", [(12, 150), (110, 7), (9, 9)])
def test_thin_and_small_objects_keep_their_shape(network: LiteCascade, size_hw: tuple[int, int]) -> None:
    rgb, _ = scene()
    truth = np.zeros(rgb.shape[:2], np.bool_)
    truth[5 : 5 + size_hw[0], 8 : 8 + size_hw[1]] = True
    refined = CascadePSP(network, soft=True, passes=2, longest_side=96, windows=False).refine(
        rgb, truth.astype(np.float32)
    )
    assert region_similarity(refined > 0.5, truth) > 0.75


# ---------------------------------------------------------------------------------------------- what is shipped


@pytest.mark.parametrize("error", ["grown", "leaking"])
def test_shipped_network_repairs_plain_errors_and_keeps_right_masks(error: str, tmp_path: Path) -> None:
    rgb, truth = scene()
    wrong = truth.astype(np.uint8)
    if error == "grown":
        wrong = cv2.dilate(wrong, np.ones((13, 13), np.uint8))
    else:
        cv2.circle(wrong, (122, 80), 16, 1, -1)
    refiner = registry.refiner("cascadepsp:lite", tmp_path, "cpu", {"exact": False})
    repaired = refiner.refine(rgb, cv2.GaussianBlur(wrong.astype(np.float32), (0, 0), 2)) > 0.5
    assert 1 - region_similarity(repaired, truth) < 0.5 * (1 - region_similarity(wrong > 0, truth))
    kept = refiner.refine(rgb, truth.astype(np.float32)) > 0.5
    assert region_similarity(kept, truth) > 0.97


@pytest.mark.parametrize("probability", [0.6, 0.9])
def test_shipped_network_takes_islands_away_and_keeps_thin_and_separate_true_parts(
    probability: float, tmp_path: Path
) -> None:
    _, truth = scene()
    arm, foot, island = (np.zeros(truth.shape, np.uint8) for _ in range(3))
    cv2.line(arm, (114, 58), (145, 40), 1, 4)
    cv2.rectangle(foot, (30, 112), (46, 132), 1, -1)
    cv2.circle(island, (25, 40), 5, 1, -1)
    figure = truth | (arm > 0) | (foot > 0)
    mask = np.where(island > 0, probability, figure).astype(np.float32)
    refiner = registry.refiner("cascadepsp:lite", tmp_path, "cpu", {"exact": False})
    refined = refiner.refine(painted(figure), mask) > 0.5
    assert not refined[island > 0].any()
    assert refined[arm > 0].mean() > 0.8 and refined[foot > 0].mean() > 0.6
