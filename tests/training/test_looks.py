"""What a network sees in one look after the other: sharing, corrections, wrong masks."""

import numpy as np
import torch

from stages.training.looks import click_on_errors, depths, items, masks_before, softened, together, wrong_masks


def scenes() -> tuple[torch.Tensor, torch.Tensor]:
    """Two scenes: two objects side by side and a stroke on the background; one object beside what nobody knows."""
    labels, strokes = (torch.zeros(2, 64, 64, dtype=torch.uint8) for _ in range(2))
    labels[0, 10:50, 5:30], labels[0, 10:50, 30:60] = 1, 2
    labels[1, 20:40, 20:40], labels[1, :5] = 1, 255
    strokes[0, 30, 10:20], strokes[0, 30, 40:50], strokes[0, 60] = 2, 4, 1
    strokes[1, 30, 25:35] = 2
    return labels, strokes


def test_what_is_drawn_on_one_object_is_beside_the_others() -> None:
    of = items(*scenes())
    assert of.scene.tolist() == [0, 0, 1] and of.counts.tolist() == [2, 1]
    first, second, _ = of.strokes
    assert first[0].sum() == 10 and first[1].sum() == 10 + 64
    assert torch.equal(first[0] + second[0], (scenes()[1][0] > 1).float())
    assert (of.target[2] == 255).sum() == 5 * 64 and (of.target[0] == 1).sum() == 40 * 25
    assert of.of_scenes(of.counts > 1).tolist() == [0, 1]


def test_the_objects_of_a_scene_share_its_pixels_and_those_of_another_do_not() -> None:
    logits = 5 * torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    shared = together(logits, torch.tensor([0, 0, 1]), 2)
    torch.testing.assert_close(shared[2], logits[2])
    expected = torch.softmax(torch.stack([logits[0], logits[1], torch.zeros(8, 8)]), 0)[:2]
    torch.testing.assert_close(shared[:2].sigmoid(), expected, rtol=1e-4, atol=1e-5)


def test_the_maps_of_the_next_look_hold_the_own_mask_and_the_others() -> None:
    probability = torch.tensor([0.2, 0.7, 0.9])[:, None, None].expand(3, 4, 4)
    maps = masks_before(torch.zeros(3, 2, 4, 4), probability, torch.tensor([0, 0, 1]), 2)
    np.testing.assert_allclose(maps[:, 2:, 0, 0], [[0.2, 0.7], [0.7, 0.2], [0.9, 0.0]], atol=1e-6)


def test_a_line_stays_inside_of_the_error_that_it_corrects() -> None:
    target = torch.zeros(1, 64, 64, dtype=torch.uint8)
    target[0, 24:40, 4:60] = 1
    nothing = torch.full((1, 64, 64), -5.0)
    chance = torch.Generator().manual_seed(0)
    drawn = click_on_errors(torch.zeros(1, 4, 64, 64), nothing, target, torch.tensor([True]), chance)
    click = click_on_errors(torch.zeros(1, 4, 64, 64), nothing, target)
    assert drawn[0, 0].sum() > 1.5 * click[0, 0].sum()
    assert not (drawn[0, 0].bool() & (target[0] == 0)).any() and not drawn[0, 1:].any()
    right = torch.where(target == 1, 5.0, -5.0)
    assert not click_on_errors(torch.zeros(1, 4, 64, 64), right, target).any()


def test_the_middle_of_an_error_is_deepest() -> None:
    error = torch.zeros(1, 1, 64, 64)
    error[0, 0, 10:50, 20:44] = 1
    depth = depths(error)[0, 0]
    row, column = divmod(int(depth.argmax()), 32)
    assert abs(2 * column - 32) <= 2 and 20 <= 2 * row <= 40
    assert (depth > 0)[5:25, 10:22].all() and not (depth[:4] > 0.1).any()


def test_wrong_masks_are_wrong_each_in_its_way_and_the_same_by_the_seed() -> None:
    target = torch.zeros(24, 96, 96, dtype=torch.uint8)
    target[:, 20:70, 20:70] = 1
    others = torch.zeros(24, 96, 96)
    others[:, 20:70, 70:90] = 1
    masks, again = (wrong_masks(target, others, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(masks, again) and masks.min() >= 0 and masks.max() <= 1
    wrong = ((masks > 0.5) != (target == 1)).float().mean(dim=(1, 2))
    assert (wrong > 0).all() and 0.02 < wrong.median() < 0.1 and wrong.max() > 20 * wrong.min()
    assert ((masks > 0.5) & (others == 1)).flatten(1).any(1).sum() >= 4


def test_a_mask_seen_from_afar_keeps_its_area() -> None:
    mask = torch.zeros(1, 64, 64)
    mask[0, 13:51, 13:51] = 1
    assert torch.equal(softened(mask, 1), mask)
    coarse = softened(mask, 8)
    assert abs(float(coarse.mean() - mask.mean())) < 0.01 and ((coarse > 0.05) & (coarse < 0.95)).any()
