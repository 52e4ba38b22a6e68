"""Objects of a frame that are decided together: what holds of any network, and what the shipped one has learnt."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stages.core.overlap import iou
from stages.core.strokes import FrameScribbles, Line
from stages.core.types import Probability
from stages.engines import registry
from stages.engines.protocols import HeedsMasks
from stages.engines.segmenters.fbrs.lite import LiteClicks
from stages.engines.segmenters.fbrs.segmenter import FBRS
from stages.engines.segmenters.fbrs.together import probabilities
from stages.testing.scenes import Scene
from tests.parity.filled import fill

_FIRST_OF_THE_MAPS = "encoder.maps_stem.0.weight"
SCENE = Scene(96, 160, objects=3, touch=True)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def filled() -> LiteClicks:
    """Arbitrary weights that make much of the maps; the logits reach both sides of zero."""
    network = fill(LiteClicks()).requires_grad_(False)
    assert isinstance(network, LiteClicks)
    network.get_parameter(_FIRST_OF_THE_MAPS).mul_(10)
    last = network.head[2]
    assert isinstance(last, torch.nn.Conv2d) and last.bias is not None
    last.bias -= network(torch.zeros(1, 3, 64, 96), torch.full((1, 2, 2), 32.0)).mean()
    return network


@pytest.fixture(scope="module")
def of_clicks_alone() -> dict[str, Tensor]:
    """Weights as they were stored when the network saw two maps."""
    state = fill(LiteClicks()).state_dict()
    return {**state, _FIRST_OF_THE_MAPS: state[_FIRST_OF_THE_MAPS][:, :2].clone()}


def segmenter(network: LiteClicks, **options: object) -> FBRS:
    return FBRS(network, **{"line_spacing_px": 4, "look_px": 128, "crop_px": 96, **options})  # type: ignore[arg-type]


def shipped() -> FBRS:
    engine = registry.find("segmenter", "fbrs:lite")
    assert engine.network is not None
    return FBRS(registry.load_network("fbrs:lite", None), **engine.network.arguments)  # type: ignore[arg-type]


# -- of any network ----------------------------------------------------------------------------------------------------


def test_objects_and_background_share_every_pixel(filled: LiteClicks) -> None:
    masks = segmenter(filled).segment(SCENE.frame(0), SCENE.scribbles())
    assert masks.shape == (3, 96, 160) and masks.dtype == np.float32
    assert masks.min() >= 0 and masks.max() <= 1
    assert (masks > 0.5).sum(axis=0).max() == 1, "a pixel has one owner"
    assert abs(masks - masks.mean(axis=0)).max() > 0.01, "each object has a mask of its own"


def test_an_objects_mask_does_not_depend_on_the_ids(filled: LiteClicks) -> None:
    masks = segmenter(filled).segment(SCENE.frame(0), SCENE.scribbles(1, 2, 3))
    turned = segmenter(filled).segment(SCENE.frame(0), SCENE.scribbles(7, 5, 3))
    np.testing.assert_allclose(turned[::-1], masks, atol=2e-3)


def test_others_are_evidence(filled: LiteClicks) -> None:
    alone = segmenter(filled).segment(SCENE.frame(0), SCENE.scribbles(1))[0]
    beside = segmenter(filled).segment(SCENE.frame(0), SCENE.scribbles(1, 2))[0]
    assert abs(alone - beside).max() > 0.1


def test_what_is_not_found_is_empty_and_disturbs_nobody(filled: LiteClicks) -> None:
    network = LiteClicks().eval()
    network.load_state_dict(filled.state_dict())
    last = network.head[2]
    assert isinstance(last, torch.nn.Conv2d) and last.bias is not None
    last.bias -= 50
    for closer in (0, 1, 2):
        masks = segmenter(network, closer=closer).segment(SCENE.frame(0), SCENE.scribbles())
        assert not (masks > 0.5).any() and np.isfinite(masks).all()


def test_what_was_before_is_heeded(filled: LiteClicks) -> None:
    frame, scribbles = SCENE.frame(0), SCENE.scribbles()
    engine = segmenter(filled)
    assert abs(engine.segment(frame, scribbles, SCENE.masks(0)) - engine.segment(frame, scribbles)).max() > 0.01


def test_the_strongest_has_a_pixel_however_many_contend() -> None:
    logits = torch.tensor([[40.0, -50.0, 1.0, -1.0], [50.0, -50.0, 0.9, -2.0], [49.0, -50.0, 0.8, -3.0]])[:, None]
    strongest = logits.max(0).values.clamp(-14, 14).sigmoid()
    found = probabilities(logits)
    assert torch.equal(found.argmax(0), logits.argmax(0)), "also where all are as sure as can be"
    torch.testing.assert_close(found.max(0).values, strongest)
    softmax = torch.softmax(torch.cat([logits.clamp(-14, 14), torch.zeros(1, 1, 4)]), 0)
    torch.testing.assert_close(found[2], softmax[2])


# -- weights of former versions ----------------------------------------------------------------------------------------


def test_weights_that_knew_clicks_only_give_the_masks_that_they_gave(of_clicks_alone: dict[str, Tensor]) -> None:
    network = LiteClicks().eval().requires_grad_(False)
    network.load_state_dict(network.adapted(of_clicks_alone))
    assert not network.heeds_masks
    maps = torch.rand(1, 4, 64, 64)
    early = network.encoder.early(torch.rand(1, 3, 64, 64))
    assert torch.equal(network.logits_from(early, maps), network.logits_from(early, maps[:, :2]))
    frame, scribbles = SCENE.frame(0), SCENE.scribbles()
    one_by_one = segmenter(network, together=False).segment(frame, scribbles)
    assert np.array_equal(segmenter(network).segment(frame, scribbles), one_by_one)


def test_weights_of_today_stay_as_they_are(filled: LiteClicks) -> None:
    assert filled.heeds_masks
    state = filled.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in filled.adapted(state).items())


# -- what the shipped network has learnt -------------------------------------------------------------------------------


def two_alike() -> tuple[np.ndarray, Probability]:
    """Two discs of one colour that touch, on grass: only strokes tell where one ends."""
    rows, columns = np.mgrid[:200, :320]
    masks = np.array([np.hypot(columns - x, rows - 100) < 60 for x in (100, 220)])
    rng = np.random.default_rng(0)
    rgb = np.array((60, 130, 60)) + rng.integers(-15, 16, (200, 320, 3))
    rgb[masks.any(axis=0)] = np.array((200, 90, 60)) + rng.integers(-15, 16, (int(masks.any(axis=0).sum()), 3))
    return rgb.astype(np.uint8), masks.astype(np.float32)


def line(object_id: int, *points_xy: tuple[float, float]) -> Line:
    return Line(object_id, tuple((x / 320, y / 200) for x, y in points_xy))


def test_a_stroke_on_a_neighbour_takes_its_pixels() -> None:
    frame, truth = two_alike()
    ours, theirs = line(1, (70, 100), (130, 100)), line(2, (190, 100), (250, 100))
    found = shipped().segment(frame, FrameScribbles((ours, theirs)))
    assert all(iou(mask > 0.5, true > 0.5) > 0.8 for mask, true in zip(found, truth, strict=True))
    alone = shipped().segment(frame, FrameScribbles((ours,)))[0]
    inside = truth[1] > 0.5
    assert found[0][inside].mean() < min(0.1, alone[inside].mean() + 1e-3)


def test_a_correction_of_a_mask_is_better_than_its_stroke_alone() -> None:
    frame, truth = two_alike()
    both = np.maximum(*truth)[None]  # wanted are both discs; the present mask has a half of one of them
    present = both.copy()
    present[:, :, 220:] = 0
    stroke = FrameScribbles((line(1, (240, 80), (240, 120)),))
    engine = shipped()
    alone, corrected = (
        iou(engine.segment(frame, stroke, previous)[0] > 0.5, both[0] > 0.5)
        for previous in (None, 0.9 * present + 0.05)
    )
    assert corrected > max(alone, iou(present[0] > 0.5, both[0] > 0.5))


def test_an_engine_says_whether_it_heeds_the_masks_that_it_corrects(filled: LiteClicks) -> None:
    assert isinstance(FBRS(filled), HeedsMasks) and FBRS(filled).heeds_masks
    assert not FBRS(filled, together=False).heeds_masks
    assert not isinstance(registry.build("segmenter", "grabcut", Path("none"), "cpu", {}), HeedsMasks)
