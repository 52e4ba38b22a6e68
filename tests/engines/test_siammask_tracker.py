"""SiamMask as a tracker: what it does beyond the original procedure, and that its two modes agree."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.core.errors import InputError, StageError
from stages.core.types import TrackResult
from stages.engines.propagators.siammask import crops
from stages.engines.propagators.siammask.fast import FastSiamMaskSharp, rearranged
from stages.engines.propagators.siammask.network import SiamMask, SiamMaskSharp
from stages.engines.propagators.siammask.postprocess import (
    best_candidate,
    clip_state,
    decode_boxes,
    paste,
    probability,
    rotated_box,
)
from stages.engines.propagators.siammask.tracker import siammask, to_input
from stages.engines.protocols import Tracker
from stages.engines.registry import build_network
from stages.nn.fused import FusedConvolution, fuse
from tests.parity.filled import fill, picture

HEIGHT, WIDTH = 96, 128
FRAMES = [picture(HEIGHT, WIDTH, seed) for seed in range(5)]


def rectangle(left: int, top: int, right: int, bottom: int, value: float = 1.0) -> NDArray[np.float32]:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    mask[top:bottom, left:right] = value
    return mask


ANCHOR = rectangle(40, 30, 80, 60)


def build(name: str, scale: float) -> SiamMask:
    network = fill(build_network(name))
    network.state_dict()["features.features.conv1.weight"].mul_(scale)
    assert isinstance(network, SiamMask)
    return network


@pytest.fixture(scope="module")
def sharp() -> SiamMask:
    """Activations near 1, so that every weight matters."""
    return build("siammask_sharp", 2.0**-8)


@pytest.fixture(scope="module")
def base() -> SiamMask:
    return build("siammask_base", 2.0**-8)


@pytest.fixture(scope="module")
def loud() -> SiamMask:
    """Activations near 1e4: scores are 0 or 1, and many boxes overflow."""
    return build("siammask_sharp", 1.0)


@pytest.fixture(scope="module")
def make(sharp: SiamMask) -> Callable[[], Tracker]:
    """Trackers in default mode that never give up."""
    return siammask(sharp, minimum_score=None)


def follow(
    tracker: Tracker, frames: list[NDArray[np.uint8]], anchor: NDArray[np.float32] = ANCHOR
) -> list[TrackResult]:
    tracker.start(FRAMES[0], anchor)
    return [tracker.step(frame) for frame in frames]


def assert_same(left: TrackResult, right: TrackResult) -> None:
    np.testing.assert_array_equal(left.probability, right.probability)
    assert (left.box_xyxy, left.score, left.reason) == (right.box_xyxy, right.score, right.reason)


# -- one network, many trackers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [pytest.param(True, marks=pytest.mark.slow), False], ids=["exact", "default"])
def test_trackers_that_share_a_network_do_not_disturb_each_other(sharp: SiamMask, exact: bool) -> None:
    make = siammask(sharp, exact=exact, minimum_score=None)
    alone = follow(make(), FRAMES[1:3])
    first, second = make(), make()
    first.start(FRAMES[0], ANCHOR)
    second.start(FRAMES[3], rectangle(5, 50, 45, 90))
    for frame, expected in zip(FRAMES[1:3], alone, strict=True):
        other = second.step(frame)
        assert_same(first.step(frame), expected)
        assert np.abs(other.probability - expected.probability).max() > 0.1


def test_a_tracker_can_be_started_again(make: Callable[[], Tracker]) -> None:
    used = make()
    follow(used, FRAMES[3:4], rectangle(5, 50, 45, 90))
    assert_same(follow(used, FRAMES[1:2])[0], follow(make(), FRAMES[1:2])[0])


# -- results -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sharp", "base"])
def test_default_mode_agrees_with_exact_mode(kind: str, request: pytest.FixtureRequest) -> None:
    network = request.getfixturevalue(kind)
    exact, default = (
        follow(siammask(network, exact=mode, minimum_score=None)(), FRAMES[1:3]) for mode in (True, False)
    )
    for expected, found in zip(exact, default, strict=True):
        np.testing.assert_allclose(found.probability, expected.probability, atol=1e-3)
        np.testing.assert_allclose(found.box_xyxy, expected.box_xyxy, atol=1e-3)
        assert found.score == pytest.approx(expected.score, abs=1e-5)


@pytest.mark.parametrize("kind", ["sharp", "base"])
def test_results_keep_the_contract(kind: str, request: pytest.FixtureRequest) -> None:
    for result in follow(siammask(request.getfixturevalue(kind), minimum_score=None)(), FRAMES[1:3]):
        assert result.probability.shape == (HEIGHT, WIDTH)
        assert result.probability.dtype == np.float32
        assert result.probability.min() >= 0
        assert 0.5 < result.probability.max() <= 1
        assert 0 <= result.score <= 1
        assert result.reason == ""


def test_one_weight_changes_the_mask(sharp: SiamMask, make: Callable[[], Tracker]) -> None:
    before = follow(make(), FRAMES[1:2])[0]
    weight = sharp.state_dict()["refine_model.post2.weight"]
    weight[0, 0, 1, 1] += 1
    try:
        after = follow(siammask(sharp, minimum_score=None)(), FRAMES[1:2])[0]
    finally:
        weight[0, 0, 1, 1] -= 1
    assert np.abs(after.probability - before.probability).max() > 1e-3


def test_the_mask_is_calibrated_to_its_threshold() -> None:
    pasted = np.linspace(-1, 1, 2001, dtype=np.float32)[np.newaxis]
    for threshold in (0.15, 0.30, 0.35):
        found = probability(pasted, threshold)
        clear = np.abs(pasted - threshold) > 1e-5
        np.testing.assert_array_equal((found > 0.5)[clear], (pasted > threshold)[clear])
        assert (np.diff(found) >= 0).all()
        assert (found.min(), found.max()) == (0, 1)


def test_configurations_follow_differently(sharp: SiamMask) -> None:
    results = {
        name: follow(siammask(sharp, name, exact=True, minimum_score=None)(), FRAMES[1:2])[0]
        for name in ("davis", "vot", "vot18")
    }
    assert len({result.box_xyxy for result in results.values()}) == 3


# -- where a track begins ----------------------------------------------------------------------------------------------


def test_padding_grows_the_first_box_on_each_side(sharp: SiamMask, make: Callable[[], Tracker]) -> None:
    padded = follow(siammask(sharp, padding=0.25, minimum_score=None)(), FRAMES[1:2], rectangle(40, 30, 80, 62))
    grown = follow(make(), FRAMES[1:2], rectangle(40 - 10, 30 - 8, 80 + 10, 62 + 8))
    assert_same(padded[0], grown[0])


def test_only_what_is_above_one_half_starts_the_track(make: Callable[[], Tracker]) -> None:
    hazy = ANCHOR + rectangle(0, 0, 20, 20, 0.4)
    assert_same(follow(make(), FRAMES[1:2], hazy)[0], follow(make(), FRAMES[1:2])[0])


def test_objects_at_the_border_and_tiny_ones(make: Callable[[], Tracker]) -> None:
    for anchor in (
        rectangle(0, 0, 30, 20),
        rectangle(100, 70, WIDTH, HEIGHT),
        rectangle(60, 40, 61, 41),
        rectangle(0, 0, WIDTH, HEIGHT),
    ):
        for result in follow(make(), FRAMES[1:2], anchor):
            assert np.isfinite([*result.box_xyxy, result.score]).all()
            assert np.isfinite(result.probability).all()
            left, top, right, bottom = result.box_xyxy
            assert 0 <= (left + right) / 2 <= WIDTH
            assert 0 <= (top + bottom) / 2 <= HEIGHT
            assert 10 - 1e-6 <= right - left <= WIDTH + 1e-6
            assert 10 - 1e-6 <= bottom - top <= HEIGHT + 1e-6


def test_colours_reach_the_network_as_bgr() -> None:
    red = np.zeros((2, 2, 3), dtype=np.uint8)
    red[..., 0] = 200
    assert to_input(red, torch.device("cpu"))[0, :, 0, 0].tolist() == [0, 0, 200]


# -- lost and found ----------------------------------------------------------------------------------------------------


def test_a_lost_target_leaves_an_empty_mask_and_the_reason(sharp: SiamMask) -> None:
    for result in follow(siammask(sharp, exact=True, minimum_score=1.0)(), FRAMES[1:3]):
        assert not result.probability.any()
        assert result.probability.shape == (HEIGHT, WIDTH)
        assert result.box_xyxy == (0, 0, 0, 0)
        assert 0 < result.score < 1
        assert result.reason.startswith("score 0.")


def test_a_jump_in_area_loses_the_target(sharp: SiamMask) -> None:
    outline = ANCHOR - rectangle(41, 31, 79, 59)  # the same box, a ninth of the area
    make = siammask(sharp, exact=True, minimum_score=0.0)
    lost, kept = (follow(make(), FRAMES[1:2], anchor)[0] for anchor in (outline, ANCHOR))
    assert lost.reason.startswith("area")
    assert not lost.probability.any()
    assert kept.reason == ""


def test_a_lost_target_is_searched_where_it_was_seen_last_and_found_again(loud: SiamMask) -> None:
    make = siammask(loud, exact=True, minimum_score=0.3)
    missed, found = follow(make(), FRAMES[1:3])
    assert missed.reason.startswith("score 0.")
    assert found.reason == ""
    assert found.probability.any()
    assert_same(found, follow(make(), FRAMES[2:3])[0])
    drifted = follow(siammask(loud, exact=True, minimum_score=None)(), FRAMES[1:3])[1]
    assert not np.array_equal(drifted.probability, found.probability)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "default"])
def test_a_network_that_gives_no_numbers_loses_the_target(exact: bool) -> None:
    broken = build_network("siammask_base")
    assert isinstance(broken, SiamMask)
    broken.state_dict()["rpn_model.loc.head.3.bias"].fill_(float("nan"))
    result = follow(siammask(broken, exact=exact, minimum_score=None)(), FRAMES[1:2])[0]
    assert result.reason == "the network gave no finite box"
    assert not result.probability.any()


def test_overflowing_boxes_are_never_chosen() -> None:
    boxes = np.ones((4, 3125), dtype=np.float32)
    ranking = np.linspace(0, 1, 3125)
    ranking[7], boxes[2, -1] = np.nan, np.inf
    best = best_candidate(ranking, boxes)
    assert best is not None
    assert (best.index, best.y, best.x) == (3123, 24, 23)
    assert best_candidate(np.full(3125, np.nan), boxes) is None


# -- the parts ---------------------------------------------------------------------------------------------------------


def test_decoding_leaves_the_networks_output_alone() -> None:
    loc = np.random.default_rng(0).normal(size=(1, 20, 25, 25)).astype(np.float32)
    before = loc.copy()
    decode_boxes(loc, crops.anchors())
    np.testing.assert_array_equal(loc, before)


def test_the_state_stays_on_the_frame() -> None:
    assert clip_state((-3.0, 130.0), (500.0, 2.0), (128, 96)) == ((0.0, 96.0), (128.0, 10.0))
    assert clip_state((128.0, 50.0), (20.0, 30.0), (128, 96)) == ((128.0, 50.0), (20.0, 30.0))
    assert clip_state((1.0, 1.0), (20.0, 30.0), (6, 96)) == ((1.0, 1.0), (10.0, 30.0))  # a frame narrower than 10


def test_a_crop_beyond_the_frame_is_filled_with_the_mean_colours_whole_numbers() -> None:
    outside = crops.crop(FRAMES[0], (1000.0, 1000.0), 9, np.array([1.9, 2.0, 254.999]), 9)
    assert np.unique(outside.reshape(-1, 3), axis=0).tolist() == [[1, 2, 254]]


def test_a_pasted_mask_is_minus_one_outside_of_its_patch() -> None:
    pasted = paste(np.ones((127, 127), dtype=np.float32), (-40.0, -40.0, 256.0, 192.0), (WIDTH, HEIGHT))
    assert pasted[0, 0] == -1
    assert pasted[HEIGHT // 2, WIDTH // 2] == 1
    assert set(np.unique(cv2.erode((pasted == -1).astype(np.uint8), np.ones((3, 3))))) == {0, 1}


def test_a_rotated_box_needs_more_than_100_pixels() -> None:
    big, small = rectangle(20, 20, 32, 32) > 0, rectangle(20, 20, 31, 31) > 0  # contours around 121 and 100 pixels
    fallback = [[45, 48], [55, 48], [55, 52], [45, 52]]
    assert rotated_box(small, (50.0, 50.0), (10.0, 4.0)).tolist() == fallback
    found = rotated_box(big | (rectangle(60, 60, 66, 66) > 0), (50.0, 50.0), (10.0, 4.0))
    np.testing.assert_allclose(sorted(found.tolist()), [[20, 20], [20, 31], [31, 20], [31, 31]], atol=1e-3)


class Residual(nn.Module):
    """A block like the backbone's, and what must not be fused."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 8, 3, padding=2, dilation=2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.norm(self.first(x))  # its relu can't be part of it, since it is added as well
        z = self.relu(y + self.second(y))
        w = z + self.depthwise(z)  # must not overwrite z
        return z, w, x + 1


@pytest.mark.parametrize("onednn", [True, False])
def test_fusing_changes_nothing_but_the_speed(onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    plain = Residual().eval()
    plain.norm.running_mean.normal_()  # type: ignore[union-attr]
    plain.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", onednn)
    with torch.inference_mode():
        fused = fuse(plain)
        convolutions = [module for module in fused.modules() if isinstance(module, FusedConvolution)]
        followers = [(each.activation, each.overwrite) for each in convolutions]
        assert followers == [(None, False), (nn.ReLU, True), (None, False)]
        assert not any(isinstance(module, nn.BatchNorm2d | nn.ReLU) for module in fused.modules())
        for side in (16, 9):
            x = torch.randn(2, 4, side, side)
            for found, expected in zip(fused(x), plain(x), strict=True):
                torch.testing.assert_close(found, expected)


def test_default_mode_leaves_the_coarse_head_out_when_it_refines(sharp: SiamMask) -> None:
    assert isinstance(sharp, SiamMaskSharp)
    fast = rearranged(sharp)
    assert isinstance(fast, FastSiamMaskSharp)
    widest = 0

    def note(_: nn.Module, __: object, output: Tensor) -> None:
        nonlocal widest
        widest = max(widest, output.shape[1])

    for module in fast.modules():
        if isinstance(module, FusedConvolution):
            module.register_forward_hook(note)
    with torch.inference_mode():
        _, _, state = fast.track_mask(fast.template(torch.rand(1, 3, 127, 127)), torch.rand(1, 3, 255, 255))
        fast.refine(state, 3, 4)
    assert widest == 1024


def test_a_batch_gives_what_its_samples_give(sharp: SiamMask) -> None:
    torch.manual_seed(0)
    network, z, x = rearranged(sharp), 255 * torch.rand(2, 3, 127, 127), 255 * torch.rand(2, 3, 255, 255)
    with torch.inference_mode():
        cls, loc, state = network.track_mask(network.template(z), x)
        single_cls, single_loc, single_state = network.track_mask(network.template(z[1:]), x[1:])
        torch.testing.assert_close(cls[1:], single_cls, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(loc[1:], single_loc, rtol=1e-4, atol=1e-4)
        mask, single_mask = network.refine(state, 0, 24), network.refine(single_state, 0, 24)
        torch.testing.assert_close(mask[1:], single_mask, rtol=1e-4, atol=1e-4)


# -- wrong input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda make: make().step(FRAMES[0]), StageError, "start"),
        (lambda make: make().start(FRAMES[0], 0.5 * ANCHOR), InputError, "nothing above 0.5"),
        (lambda make: make().start(FRAMES[0], ANCHOR[:-1]), InputError, r"\(95, 128\)"),
    ],
)
def test_wrong_input_is_explained(
    sharp: SiamMask, act: Callable[[Callable[[], Tracker]], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        act(siammask(sharp, exact=True))


def test_unknown_settings_are_explained(sharp: SiamMask) -> None:
    with pytest.raises(InputError, match=r"'vot_ld'; expected one of: davis, vot, vot18, base"):
        siammask(sharp, "vot_ld")
    with pytest.raises(InputError, match=r"padding of -0\.1"):
        siammask(sharp, padding=-0.1)
