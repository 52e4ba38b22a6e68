"""`siammask:lite`: where its features look, what its masks are made from, and the pairs that it is trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from stages.engines.propagators.siammask.lite import SiamMaskLite, fused
from stages.engines.registry import build_network
from stages.training.pictures import Picture
from stages.training.siammask_lite import ANCHORS, CELLS, RECIPE, SEARCH_SIDE_PX, anchor_targets, run, window_of
from tests.parity.filled import picture

WEIGHTS = Path(__file__).parents[2] / "data" / "weights"


@pytest.fixture
def network() -> SiamMaskLite:
    torch.manual_seed(0)
    built = build_network("siammask_lite")
    assert isinstance(built, SiamMaskLite)
    published = load_file(WEIGHTS / "match_trunk.safetensors")
    trunk = {name.removeprefix("trunk."): value.float() for name, value in published.items()}
    built.features.trunk.load_state_dict(trunk)
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


def test_the_fast_arrangement_gives_the_same(network: SiamMaskLite) -> None:
    z = torch.cat([texture(127), disc(127, 30)[None, None]], dim=1)
    results = []
    for each in (network, fused(network)):
        cls, loc, state = each.track_mask(each.template(z), texture(255))
        results.append((cls, loc, each.refine(state, 3, 21)))
    for plain, fast in zip(*results, strict=True):
        assert (plain - fast).abs().max() < 1e-4 * plain.abs().max()


# -- training ----------------------------------------------------------------------------------------------------------


def draw(rng: np.random.Generator) -> Picture:
    labels = np.zeros((200, 260), np.uint8)
    top, left = rng.integers(10, 90), rng.integers(10, 120)
    labels[top : top + 70, left : left + 90] = 1
    labels[20:60, 200:250] = 2
    return Picture("made", "up", picture(200, 260, int(rng.integers(100))), labels)


def pairs(count: int) -> list[dict[str, np.ndarray]]:
    return [RECIPE.sample(draw, np.random.default_rng([3, number])) for number in range(count)]


def test_a_pair_depends_on_the_generator_alone() -> None:
    for one, other in zip(pairs(3), pairs(3), strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_box_and_mask_of_a_pair_agree() -> None:
    seen = 0
    for pair in pairs(30):
        x, y, width, height = pair["box"]
        rows, columns = np.nonzero(pair["target"] == 1)
        if not width:
            assert not len(rows)
            continue
        seen += 1
        middle = SEARCH_SIDE_PX / 2
        low, high = (
            np.array([x - width / 2, y - height / 2]) + middle,
            np.array([x + width / 2, y + height / 2]) + middle,
        )
        assert (np.array([columns.min(), rows.min()]) >= low - 2).all()  # other things may hide some of it, never add
        assert (np.array([columns.max(), rows.max()]) <= high + 2).all()
        row, column = pair["cells"][0]
        assert np.abs(8 * (np.array([column, row]) - CELLS // 2) - [x, y]).max() <= 48
    assert seen > 20


def test_right_anchors_decode_to_the_box_and_all_are_wrong_without_a_target() -> None:
    boxes = torch.tensor([[12.0, -20.0, 70.0, 52.0], [0.0, 0.0, 0.0, 0.0]])
    right, wrong, offsets = anchor_targets(boxes)
    assert right[0].any()
    assert not right[1].any()
    assert wrong[1].all()
    place = tuple(right[0].nonzero()[0].tolist())
    anchor, offset = ANCHORS[place], offsets[0][(slice(None), *place)].numpy()
    assert [*(anchor[:2] + offset[:2] * anchor[2:]), *(anchor[2:] * np.exp(offset[2:]))] == pytest.approx(
        boxes[0].tolist()
    )


def test_a_mask_is_compared_with_the_part_of_the_crop_that_its_cell_covers() -> None:
    target = torch.zeros((SEARCH_SIDE_PX,) * 2, dtype=torch.uint8)
    target[95, 95] = 1
    assert window_of(target, CELLS // 2, CELLS // 2).nonzero().tolist() == [[63, 63]]
    assert (window_of(target, 0, 0)[:32] == 255).all()


def test_losses_reach_all_that_is_trained(network: SiamMaskLite) -> None:
    network.requires_grad_(True).train()
    network.features.trunk.requires_grad_(False)
    nn.init.normal_(network.ladder.post2[1].weight, std=0.1)
    samples = pairs(4)
    batch = {name: torch.from_numpy(np.stack([each[name] for each in samples])) for name in samples[0]}
    losses = RECIPE.losses(network, batch, 0.5)
    assert all(torch.isfinite(value) for value in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None) == (not name.startswith("features.trunk")), name
    cls, loc, _ = run(network, batch)
    assert (cls.shape[2:], loc.shape[2:]) == ((CELLS, CELLS), (CELLS, CELLS))
