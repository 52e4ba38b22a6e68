"""The recipe of the small refiner: the imperfect masks it is trained on, and what its losses see."""

import cv2
import numpy as np
import pytest
import torch

from stages.core.metrics import region_similarity
from stages.core.palette import IGNORE
from stages.engines import registry
from stages.engines.refiners.cascadepsp.lite import LiteCascade
from stages.nn.lite import from_rgb
from stages.training import cascadepsp_lite, chains
from stages.training.cascadepsp_lite import (
    RECIPE,
    begin_as,
    cascade,
    cross_entropy,
    distances,
    gradient_difference,
    of_clip,
)
from stages.training.chains import chain_masks
from stages.training.imperfect import imperfect_mask
from stages.training.pictures import Drawing, Picture
from stages.training.scenes import nearest_known, with_band
from tests.engines.test_cascadepsp_lite import scene

# ---------------------------------------------------------------------------------------------- imperfect masks


def imperfect(count: int) -> list[np.ndarray]:
    rgb, truth = scene()
    nothing = np.zeros_like(truth)
    return [imperfect_mask(truth, nothing, rgb, np.random.default_rng(number)) for number in range(count)]


def test_imperfect_masks_are_soft_masks_by_the_seed_alone() -> None:
    first, second = imperfect(10), imperfect(10)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(mask.dtype == np.float32 and mask.min() >= 0 and mask.max() <= 1 for mask in first)
    assert any(((mask > 0.1) & (mask < 0.9)).mean() > 0.02 for mask in first)


def test_some_masks_are_left_right_and_none_is_hopeless() -> None:
    _, truth = scene()
    overlaps = np.array([region_similarity(mask > 0.5, truth) for mask in imperfect(80)])
    assert 0.05 < (overlaps > 0.97).mean() < 0.5
    assert (overlaps < 0.85).mean() > 0.2
    assert overlaps.min() > 0.3


def test_masks_leak_into_other_objects() -> None:
    rgb, truth = scene()
    neighbour = np.zeros_like(truth)
    neighbour[:, 116:] = True
    masks = [imperfect_mask(truth, neighbour, rgb, np.random.default_rng(number)) > 0.5 for number in range(40)]
    assert max((mask & neighbour).sum() for mask in masks) > 100


# ---------------------------------------------------------------------------------------------- masks of the pipeline


def clip(length: int) -> tuple[Picture, ...]:
    """The figure walks to the right."""
    rgb, truth = scene()
    return tuple(
        Picture("walks", f"walk/{step:05d}", np.roll(rgb, 3 * step, 1), np.roll(truth, 3 * step, 1).astype(np.uint8))
        for step in range(length)
    )


@pytest.mark.slow
def test_the_pipeline_makes_a_mask_of_every_frame_of_a_clip() -> None:
    frames = clip(8)
    first, second = chain_masks(frames, 1, take=0), chain_masks(frames, 1, take=1)
    for masks in (first, second):
        overlaps = [region_similarity(mask > 127, each.labels > 0) for mask, each in zip(masks, frames, strict=True)]
        assert min(overlaps) > 0.5 and np.mean(overlaps) > 0.7
    assert any(not np.array_equal(*pair) for pair in zip(first, second, strict=True))
    chain_masks.cache_clear()
    assert all(map(np.array_equal, first, chain_masks(frames, 1, take=0)))


def test_a_clips_frame_its_truth_and_its_mask_stay_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = clip(3)
    monkeypatch.setattr(chains, "chain_masks", lambda frames, *_: [255 * each.labels for each in frames])
    monkeypatch.setattr(cascadepsp_lite, "photograph", lambda rgb, rng: rgb)
    for seed in range(6):
        example = of_clip(frames, np.random.default_rng(seed))
        truth = example["target"] == 1
        assert region_similarity(example["mask"] > 0.5, truth) > 0.97
        red, _, blue = np.moveaxis(cv2.blur(example["rgb"], (5, 5)).astype(int), -1, 0)
        assert region_similarity((red > blue) & (example["target"] < IGNORE), truth) > 0.8


def test_what_the_pipeline_got_all_wrong_is_not_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = clip(3)
    monkeypatch.setattr(chains, "chain_masks", lambda frames, *_: [255 * each.labels[::-1] for each in frames])
    monkeypatch.setattr(chains, "LEAST_IOU", 0.99)
    assert of_clip(frames, np.random.default_rng(0)) is None


def test_half_of_the_examples_are_the_pipelines_where_there_are_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(
        cascadepsp_lite, "of_clip", lambda frames, rng: made.append(frames[0].clip) or {"rgb": frames[0].rgb}
    )
    monkeypatch.setattr(cascadepsp_lite, "given_mask", lambda scene, truth, rng: truth)
    rgb, truth = scene()
    still = Picture("coco_open", "a", rgb, truth.astype(np.uint8))
    for pictures, expected in (((still,), 0), ((still, *clip(2)), 12)):
        draw = Drawing(pictures, {"coco_open": 1, "walks": 1})
        for seed in range(24):
            RECIPE.sample(draw, np.random.default_rng(seed))
        assert abs(len(made) - expected) <= 5


# ---------------------------------------------------------------------------------------------- the recipe


def test_it_begins_with_what_the_segmenter_makes_of_a_mask() -> None:
    segmenter, network = registry.load_network("fbrs:lite", None), LiteCascade().eval()
    begin_as(network, segmenter)
    rgb, truth = scene()
    early = network.encoder.early(from_rgb(torch.from_numpy(rgb)[None].permute(0, 3, 1, 2).float()))
    mask = torch.from_numpy(truth.astype(np.float32))[None, None]
    nothing = torch.zeros_like(mask)
    with torch.no_grad():
        theirs = segmenter.encoder.late(early, torch.cat([nothing, nothing, mask, nothing], 1))[-1]
        ours = network.encoder.late(early, (2 * mask - 1).expand(-1, 3, -1, -1))[-1]
        blind = network.encoder.late(early, -torch.ones_like(mask).expand(-1, 3, -1, -1))[-1]
    assert (ours - theirs).abs().mean() < 0.1 * (blind - theirs).abs().mean()
    assert torch.equal(network.merge["8"][3].weight, segmenter.merge["8"][3].weight)


def test_nothing_is_known_along_a_polygon() -> None:
    rgb, truth = scene()
    labels = truth.astype(np.uint8)
    rough = with_band(Picture("coco_open", "a", rgb, labels)).labels
    assert with_band(Picture("ccp_person", "a", rgb, labels)).labels is labels
    assert set(np.unique(rough)) == {0, 1, IGNORE}
    assert np.array_equal(rough[rough != IGNORE], labels[rough != IGNORE])
    assert region_similarity(nearest_known(rough), truth) > 0.97


@pytest.mark.parametrize("loss", [cross_entropy, distances, gradient_difference])
def test_losses_vanish_at_the_truth_and_do_not_see_the_unknown(loss) -> None:
    _, truth = scene()
    target = torch.from_numpy(truth.astype(np.uint8))[None, None]
    right = 40 * (target.float() - 0.5)
    wrong = right.clone()
    wrong[..., 60:80, 60:80] *= -1
    assert loss(right, target) < 2e-3 < loss(wrong, target)
    target[..., 59:81, 59:81] = IGNORE
    assert loss(wrong, target) < 2e-3


@pytest.mark.parametrize("passes", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_few_steps_correct_an_example_and_leave_the_early_features_alone(passes: int) -> None:
    torch.manual_seed(0)
    network = LiteCascade()
    network.encoder.freeze_early()
    rgb, truth = scene(160)
    early = network.encoder.stem[0].weight.clone()
    wrong = cv2.dilate(truth.astype(np.uint8), np.ones((15, 15), np.uint8))
    batch = {
        "rgb": torch.from_numpy(rgb)[None],
        "mask": torch.from_numpy(wrong.astype(np.float32))[None],
        "target": torch.from_numpy(truth.astype(np.uint8))[None],
    }
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=3e-3)
    network.train()
    values = []
    for _ in range(12):
        losses = sum(cross_entropy(each, batch["target"][:, None]) for each in cascade(network, batch, passes))
        optimiser.zero_grad()
        losses.backward()
        optimiser.step()
        values.append(float(losses.detach()))
    assert min(values[-3:]) < 0.7 * values[0]
    assert torch.equal(network.encoder.stem[0].weight, early)
    assert network.training


def test_the_passes_that_are_trained_depend_on_the_step_alone() -> None:
    class Recorder(LiteCascade):
        calls = 0

        def correct(self, *args, **kwargs):
            self.calls += 1
            return super().correct(*args, **kwargs)

    rgb, truth = scene()
    batch = {
        "rgb": torch.from_numpy(rgb)[None, :64, :64],
        "mask": torch.from_numpy(truth.astype(np.float32))[None, :64, :64],
        "target": torch.from_numpy(truth.astype(np.uint8))[None, :64, :64],
    }

    def passes(progress: float) -> int:
        network = Recorder()
        RECIPE.losses(network, batch, progress)
        return network.calls

    steps = [step / 12 for step in range(12)]
    counted = [passes(progress) for progress in steps]
    assert counted == [passes(progress) for progress in steps]
    assert counted[0] == 1 and set(counted) >= {1, 2}
