"""`siammask:lite`: where its features look, and what its masks are made from."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stages.engines.propagators.siammask.fast import rearranged
from stages.engines.propagators.siammask.lite import SiamMaskLite
from stages.engines.propagators.siammask.postprocess import frame_box, paste
from stages.engines.propagators.siammask.tracker import begin, look_closer
from stages.engines.registry import build_network, load_network


@pytest.fixture
def network() -> SiamMaskLite:
    return untrained()


def untrained() -> SiamMaskLite:
    """As before any training: the trunk is there, nothing else was learnt."""
    torch.manual_seed(0)
    built = build_network("siammask_lite")
    assert isinstance(built, SiamMaskLite)
    trunk = load_network("match:trunk", None).state_dict()
    built.features.trunk.load_state_dict({name.removeprefix("trunk."): value for name, value in trunk.items()})
    return built.requires_grad_(False)


def texture(side: int, seed: int = 0) -> Tensor:
    """(1, 3, side, side): no two places look alike."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (1, 3, side, side))).float()


def disc(side: int, radius: float) -> Tensor:
    steps = torch.arange(side) - side // 2
    return (steps[:, None] ** 2 + steps**2 <= radius**2).float()


# -- geometry ----------------------------------------------------------------------------------------------------------


def averaging(network: SiamMaskLite) -> SiamMaskLite:
    """Every convolution takes means, so that what comes out lies where it went in."""
    for module in network.features.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.fill_(1 / module.weight[0].numel())
            if module.bias is not None:
                module.bias.zero_()
    return network


def centroid(response: Tensor) -> tuple[float, float]:
    share = (response / response.sum()).double()
    steps = torch.arange(len(share)).double()
    return float(share.sum(1) @ steps), float(share.sum(0) @ steps)


@pytest.mark.parametrize("cells", [(15, 15), (13, 17)], ids=["centre", "elsewhere"])
def test_features_lie_where_those_of_the_paper_lie(network: SiamMaskLite, cells: tuple[int, int]) -> None:
    row, column = (8 * each + 7 for each in cells)
    dark = torch.full((1, 3, 255, 255), 127.0)
    spot = dark.clone()
    spot[:, :, row, column] = 255
    views = [averaging(network).features(x) for x in (spot, dark)]
    assert (views[0].p0.shape[-1], views[0].p1.shape[-1]) == (125, 63)
    assert views[0].feature.shape[-1] == views[0].key.shape[-1] == 31
    for name, first, stride in (("p0", 3, 2), ("p1", 3, 4), ("feature", 7, 8)):
        response = (getattr(views[0], name) - getattr(views[1], name))[0].mean(0)
        found = [first + stride * place for place in centroid(response)]
        assert found == pytest.approx([row, column], abs=0.2), name


@pytest.mark.parametrize("shift", [(0, 0), (2, -4), (1, 1)])
def test_before_any_training_a_mask_shows_what_looks_like_the_object_of_the_template(
    network: SiamMaskLite, shift: tuple[int, int]
) -> None:
    z, mask = texture(127), disc(127, 30)
    x = texture(255, seed=1)
    top, left = (64 + 8 * each for each in shift)
    x[:, :, top : top + 127, left : left + 127] = z
    template = network.template(torch.cat([z, mask[None, None]], dim=1))
    _, _, state = network.track_mask(template, x)
    drawn = network.refine(state, 12 + shift[0], 12 + shift[1])[0] > 0
    assert (drawn & (mask > 0)).sum() / (drawn | (mask > 0)).sum() > 0.9
    below = network.refine(state, 13 + shift[0], 12 + shift[1])[0] > 0
    assert centroid(below) == pytest.approx((63 - 8, 63), abs=1)


def test_a_closer_look_draws_the_mask_where_the_target_has_gone() -> None:
    network = load_network("siammask:lite", None)
    assert isinstance(network, SiamMaskLite)
    rng = np.random.default_rng(2)
    frame = cv2.resize(rng.integers(0, 256, (50, 60, 3)).astype(np.uint8), (480, 400), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((400, 480), np.float32)
    mask[150:250, 180:300] = 1
    mask[150:210, 220:250] = 0
    target = begin(network, frame, (180, 150, 120, 100), torch.device("cpu"), mask)
    right, down = 37, 22
    moved, truth = (np.roll(each, (down, right), axis=(0, 1)) for each in (frame, mask))
    near = (180 + right, 150 + down, 120.0, 100.0)
    patch, covered = look_closer(network, 0.3, target, moved, near)
    box = frame_box(covered, network.mask_side, (480, 400))
    drawn = paste(patch[0].sigmoid().numpy(), box, (480, 400)) > 0.5
    assert (drawn & (truth > 0)).sum() / (drawn | (truth > 0)).sum() > 0.85


def test_the_fast_arrangement_gives_the_same(network: SiamMaskLite) -> None:
    z = torch.cat([texture(127), disc(127, 30)[None, None]], dim=1)
    results = []
    for each in (network, rearranged(network)):
        cls, loc, state = each.track_mask(each.template(z), texture(255))
        results.append((cls, loc, each.refine(state, 3, 21)))
    for plain, fast in zip(*results, strict=True):
        assert (plain - fast).abs().max() < 1e-4 * plain.abs().max()
