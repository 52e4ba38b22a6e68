"""The recipe of `siammask:lite`: the pairs that it is trained on, what its anchors are told, what its losses reach."""

import numpy as np
import pytest
import torch
from torch import nn

from stages.engines.propagators.siammask import crops
from stages.engines.propagators.siammask.lite import CLOSE_CONTEXT
from stages.training.pictures import Drawing, Picture
from stages.training.siammask_clips import clip_pair, composed_pair
from stages.training.siammask_lite import ANCHORS, CELLS, RECIPE, SEARCH_SIDE_PX, anchor_targets, run, window_of
from tests.engines.test_siammask_lite import untrained
from tests.parity.filled import picture
from tests.training.test_composed import COLOURS, clip


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


def clip_pairs(count: int) -> list[dict[str, np.ndarray]]:
    clips = Drawing([frame for name in COLOURS for frame in clip(name)], {"clips": 1.0})
    return [
        source(clips, np.random.default_rng([5, number]), context)
        for source in (clip_pair, composed_pair)
        for context in (crops.CONTEXT, CLOSE_CONTEXT)
        for number in range(count)
    ]


def test_of_a_clip_another_frame_is_searched_and_from_nearer_it_is_larger() -> None:
    far, near = (np.mean([each["box"][2:].prod() for each in clip_pairs(6)[start : start + 6]]) for start in (0, 6))
    assert near > 1.3 * far
    for pair in clip_pairs(6):
        assert (pair["z"][..., 3] > 0).any() and (pair["target"] == 1).any()


@pytest.mark.parametrize("make", [pairs, lambda count: clip_pairs(count // 4)], ids=["stills", "clips"])
def test_box_and_mask_of_a_pair_agree(make) -> None:
    seen = 0
    for pair in make(30):
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


def test_losses_reach_all_that_is_trained() -> None:
    network = untrained()
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
