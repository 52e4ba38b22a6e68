"""The recipe of the small point head: points, and what they should be."""

import numpy as np
import torch

from stages.core.palette import IGNORE
from stages.engines.refiners.pointrend.lite import TOLD
from stages.training import chains
from stages.training.pictures import Drawing, Picture
from stages.training.pointrend_lite import RECIPE, of_clip, points_of
from tests.engines.test_cascadepsp_lite import scene
from tests.training.test_cascadepsp_lite import clip


def test_points_lie_near_the_boundary_and_should_be_what_the_truth_is_there() -> None:
    rgb, truth = scene()
    rng = np.random.default_rng(0)
    example = points_of(rgb, truth.astype(np.float32), truth.astype(np.float32), rng)
    assert example is not None and example["told"].shape == (TOLD, len(example["target"]))
    assert 0.2 < example["target"].mean() < 0.8
    np.testing.assert_array_equal(example["told"][0] > 0.5, example["target"] > 0.5)


def test_too_small_a_mask_gives_no_points() -> None:
    rgb, _ = scene()
    speck = np.zeros(rgb.shape[:2], np.float32)
    speck[80:90, 80:90] = 1
    assert points_of(rgb, speck, speck, np.random.default_rng(0)) is None


def test_frames_of_clips_are_learnt_from_with_the_pipelines_masks_unless_these_are_all_wrong(monkeypatch) -> None:
    frames = clip(3)
    shifted = [np.roll(each.labels, 4, 0) for each in frames]
    monkeypatch.setattr(chains, "chain_masks", lambda frames, *_, **__: [255 * each for each in shifted])
    example = of_clip(frames, np.random.default_rng(1))
    assert example is not None
    wrong = (example["told"][0] > 0.5) != (example["target"] > 0.5)
    assert 0.02 < wrong.mean() < 0.3
    monkeypatch.setattr(chains, "chain_masks", lambda frames, *_, **__: [255 * each.labels[::-1] for each in frames])
    monkeypatch.setattr(chains, "LEAST_IOU", 0.99)
    assert of_clip(frames, np.random.default_rng(1)) is None


def test_what_nobody_knows_is_not_learnt() -> None:
    network = RECIPE.build({})
    numbers = torch.rand(2, TOLD, 8)
    target = torch.tensor([[1.0, 0] * 4, [float("nan")] * 8])
    network.eval()
    both = RECIPE.losses(network, {"told": numbers, "target": target}, 0)["points"]
    known = RECIPE.losses(network, {"told": numbers[:1], "target": target[:1]}, 0)["points"]
    assert torch.isclose(both, known)


def test_pictures_without_clips_give_examples_with_damaged_masks() -> None:
    rgb, truth = scene()
    labels = truth.astype(np.uint8)
    labels[:, :4] = IGNORE
    draw = Drawing([Picture("stills", "figure", rgb, labels)], {"stills": 1})
    examples = [RECIPE.sample(draw, np.random.default_rng(seed)) for seed in range(3)]
    wrong = [np.mean((each["told"][0] > 0.5) != (each["target"] > 0.5)) for each in examples]
    assert all(each["told"].shape == (TOLD, 512) for each in examples) and max(wrong) > 0.02
