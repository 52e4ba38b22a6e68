"""CascadePSP as the pipeline uses it: what it sees, what it leaves alone, and what it refuses."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from stages.core.boxes import Box
from stages.core.errors import InputError
from stages.core.types import Frame, Probability
from stages.engines.refiners.cascadepsp.engine import CascadePSP
from stages.engines.refiners.cascadepsp.fast import rearranged
from stages.engines.refiners.cascadepsp.network import CascadePSPNetwork
from stages.engines.refiners.cascadepsp.refiner import (
    local_windows,
    normalised_picture,
    padded_forward,
    refine_picture,
    resize_back,
    resize_longest_side,
    signed_mask,
    to_uint8,
)
from stages.engines.refiners.cascadepsp.views import object_window
from stages.engines.registry import build_network
from tests.parity.filled import fill, picture

BOTH_MODES = pytest.mark.parametrize("exact", [True, False], ids=["exact", "default"])


@pytest.fixture(scope="module")
def network() -> CascadePSPNetwork:
    """Filled, its last layer set so that both foreground and background come out (as the parity fixtures do)."""
    made = fill(build_network("cascadepsp"))
    assert isinstance(made, CascadePSPNetwork)
    assert made.final_21.bias is not None
    made.final_21.weight *= -4
    made.final_21.bias.fill_(-11.62)
    return made


@contextmanager
def seen_sizes(network: nn.Module) -> Iterator[list[tuple[int, int]]]:
    """(height, width) of every picture that the network gets."""
    sizes: list[tuple[int, int]] = []
    hook = network.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape[-2:])))
    yield sizes
    hook.remove()


def scene(height: int, width: int, box: Box) -> tuple[Frame, Probability]:
    """A picture, and a soft mask that is above one half in a box and 0.2 around it."""
    probability = np.full((height, width), 0.2, dtype=np.float32)
    probability[box.slices] = 0.9
    return picture(height, width, seed=3), probability


# -- what it sees ------------------------------------------------------------------------------------------------------


def test_only_the_object_and_a_margin_are_looked_at_without_enlargement(network: CascadePSPNetwork) -> None:
    frame, probability = scene(130, 150, Box(60, 50, 78, 62))
    refiner = CascadePSP(network)
    with seen_sizes(refiner.network) as sizes:
        refined = refiner.refine(frame, probability)
    window = object_window(probability > 0.5, refiner.margin)
    assert sizes == [(window.bottom - window.top, window.right - window.left)] == [(80, 88)]

    rows, columns = window.slices
    expected = refine_picture(refiner.network, frame[rows, columns], probability[rows, columns] > 0.5, 88, fast=True)
    assert np.array_equal(refined[rows, columns], expected)
    refined[rows, columns] = 0
    assert not refined.any()


def test_an_object_that_fills_the_picture_is_refined_as_the_authors_do_at_its_scale(network: CascadePSPNetwork) -> None:
    frame, probability = scene(64, 80, Box(4, 4, 76, 60))
    by_default = CascadePSP(network).refine(frame, probability)
    by_the_authors = refine_picture(network, frame, probability > 0.5, longest_side=80, fast=True)
    np.testing.assert_allclose(by_default, by_the_authors, rtol=0, atol=1e-4)


def test_an_object_larger_than_the_limit_is_refined_in_windows_of_it(network: CascadePSPNetwork) -> None:
    frame, probability = scene(72, 144, Box(36, 20, 104, 50))  # a window of 136 x 72
    refiner = CascadePSP(network, longest_side=128)
    with seen_sizes(refiner.network) as sizes:
        refiner.refine(frame, probability)
    assert sizes == [(72, 136), (72, 128), (72, 128)]  # 67 x 128, padded; then its left and its right part


@pytest.mark.slow
def test_exact_sees_the_whole_picture_enlarged(network: CascadePSPNetwork) -> None:
    frame, probability = scene(60, 80, Box(20, 20, 50, 40))
    with seen_sizes(network) as sizes:
        refined = CascadePSP(network, exact=True, longest_side=96).refine(frame, probability)
    assert sizes[0] == (72, 96)
    assert np.array_equal(refined, refine_picture(network, frame, probability > 0.5, longest_side=96))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(200, 200, 300, 280), Box(168, 168, 336, 312)),  # 32 px each side: 164 x 144, rounded up
        (Box(100, 100, 500, 420), Box(50, 60, 554, 460)),  # an eighth of the box each side
        (Box(0, 0, 10, 10), Box(0, 0, 48, 48)),  # at the corner
        (Box(630, 470, 640, 480), Box(592, 432, 640, 480)),  # at the other one, rounded up to the left
        (Box(0, 0, 640, 480), Box(0, 0, 640, 480)),
        (Box(100, 100, 101, 101), Box(68, 68, 140, 140)),
    ],
)
def test_the_window_holds_the_box_and_a_margin_in_multiples_of_eight(box: Box, expected: Box) -> None:
    mask = np.zeros((480, 640), dtype=bool)
    mask[box.slices] = True
    window = object_window(mask, margin=0.125)
    assert window == expected
    assert (window.right - window.left) % 8 == 0
    assert (window.bottom - window.top) % 8 == 0


def test_the_window_of_a_picture_that_is_no_multiple_of_eight_stays_inside() -> None:
    assert object_window(np.ones((45, 61), dtype=bool), margin=0.5) == Box(0, 0, 61, 45)


# -- what it leaves alone ----------------------------------------------------------------------------------------------


@BOTH_MODES
def test_an_empty_mask_stays_as_it_is_and_costs_nothing(exact: bool, network: CascadePSPNetwork) -> None:
    frame, probability = scene(64, 64, Box(0, 0, 0, 0))
    refiner = CascadePSP(network, exact=exact)
    with seen_sizes(refiner.network) as sizes:
        for empty in (np.zeros_like(probability), probability, np.full_like(probability, 0.5)):
            refined = refiner.refine(frame, empty)
            assert np.array_equal(refined, empty)
            assert refined is not empty
    assert sizes == []


@BOTH_MODES
def test_the_result_is_a_soft_mask_and_the_input_is_not_touched(exact: bool, network: CascadePSPNetwork) -> None:
    frame, probability = scene(72, 96, Box(20, 20, 70, 50))
    kept = frame.copy(), probability.copy()
    refiner = CascadePSP(network, exact=exact, longest_side=96)
    first, second = refiner.refine(frame, probability), refiner.refine(frame, probability)
    assert first.shape == probability.shape
    assert first.dtype == np.float32
    assert 0 <= first.min() < first.max() <= 1
    assert np.array_equal(first, second)
    assert np.array_equal(frame, kept[0])
    assert np.array_equal(probability, kept[1])


def test_a_mirrored_view_of_a_frame_is_as_good_as_a_copy() -> None:
    frame = picture(16, 24, seed=1)
    assert torch.equal(normalised_picture(frame[:, ::-1]), normalised_picture(frame[:, ::-1].copy()))


def test_folding_leaves_the_original_network_alone(network: CascadePSPNetwork) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = rearranged(network)
    assert {name: torch.equal(value, before[name]) for name, value in network.state_dict().items()} == dict.fromkeys(
        before, True
    )
    ours = {value.data_ptr() for value in fast.state_dict().values() if value.numel()}
    assert ours.isdisjoint(value.data_ptr() for value in network.state_dict().values() if value.numel())


# -- the authors' quirks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "padded"), [((16, 24), (16, 24)), ((17, 24), (24, 32)), ((16, 31), (24, 32)), ((9, 9), (16, 16))]
)
def test_padding_enlarges_both_sides_if_one_needs_it(
    size: tuple[int, int], padded: tuple[int, int], network: CascadePSPNetwork
) -> None:
    image, mask = normalised_picture(picture(*size, seed=2)), signed_mask(np.ones(size, dtype=bool))
    with torch.inference_mode(), seen_sizes(network) as sizes:
        results = padded_forward(network, image, mask)
    assert sizes == [padded]
    assert set(results) == {"pred_224", "pred_28_3", "pred_56_2"}
    assert all(tuple(values.shape) == (1, 1, *size) for values in results.values())


@pytest.mark.parametrize(
    ("size", "longest_side", "expected"),
    [((480, 854), 480, (269, 479)), ((480, 854), 900, (505, 900)), ((240, 426), 900, (507, 899))],
)
def test_the_longest_side_may_come_out_one_pixel_short(
    size: tuple[int, int], longest_side: int, expected: tuple[int, int]
) -> None:
    resized = resize_longest_side(torch.zeros(1, 1, *size), longest_side, "bilinear")
    assert tuple(resized.shape[-2:]) == expected


def test_going_back_interpolates_with_corners_aligned_and_averages_what_was_enlarged() -> None:
    ramp = torch.tensor([[0.0, 1.0]]).expand(2, 2)[None, None]
    assert resize_back(ramp, 3, 3)[0, 0, 0].tolist() == [0, 0.5, 1]
    assert resize_back(ramp, 1, 1).item() == 0.5
    assert resize_back(ramp, 2, 2) is ramp


def test_windows_cover_a_small_picture_once_and_a_large_one_with_overlap() -> None:
    assert local_windows(480, 854, 900) == [Box(0, 0, 854, 480)]
    covered = np.zeros((500, 700), dtype=int)
    for window in local_windows(500, 700, 300):
        covered[window.slices] += 1
        assert (window.right - window.left, window.bottom - window.top) == (300, 300)
    assert covered.min() >= 1


def test_bytes_are_truncated() -> None:
    assert to_uint8(np.array([[0, 0.5, 0.9999, 1]], dtype=np.float32)).tolist() == [[0, 127, 254, 255]]


# -- what it refuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "probability"),
    [
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32)),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.float32)),
        (np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8), np.float32)),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9), np.float32)),
    ],
)
def test_a_picture_and_a_mask_that_do_not_match_are_refused(
    frame: Frame, probability: Probability, network: CascadePSPNetwork
) -> None:
    with pytest.raises(InputError, match="expected"):
        CascadePSP(network, exact=True).refine(frame, probability)


def test_settings_out_of_range_are_refused(network: CascadePSPNetwork) -> None:
    with pytest.raises(InputError, match="65 px"):
        CascadePSP(network, longest_side=65)
    with pytest.raises(InputError, match="margin"):
        CascadePSP(network, margin=-0.1)
    with pytest.raises(InputError, match="65 px"):
        refine_picture(network, picture(80, 80, seed=1), np.ones((80, 80), dtype=bool), longest_side=65)


def test_the_network_refuses_what_it_would_silently_get_wrong(network: CascadePSPNetwork) -> None:
    x, mask = torch.zeros(1, 3, 12, 16), torch.zeros(1, 1, 12, 16)
    with pytest.raises(InputError, match="12 x 16"):
        network(x, mask)
    with pytest.raises(InputError, match="without inter_s8"):
        network(torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16), inter_s4=torch.zeros(1, 1, 16, 16))
