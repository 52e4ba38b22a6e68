"""Winograd's method computes what the plain convolution does, for every size, dilation and strip."""

import copy

import pytest
import torch
from torch import nn

from stages.nn import winograd
from stages.nn.fused import fuse_convolutions
from stages.nn.prepare import for_inference
from stages.nn.winograd import WinogradConvolution, use_winograd

WIDE = 128
SHAPES = {  # N, C, O, H, W, dilation
    "whole tiles": (1, 5, 7, 16, 24, 1),
    "cut tiles": (1, 5, 7, 18, 21, 1),
    "batch": (3, 4, 6, 13, 16, 1),
    "dilation 2": (1, 5, 7, 22, 31, 2),
    "batch, dilation 4": (2, 3, 2, 44, 61, 4),
}
STRIP_BYTES = {"rows": 1, "whole": 1 << 25}


def convolution(channels: int, outputs: int, dilation: int, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels, outputs, 3, padding=dilation, dilation=dilation, bias=bias).requires_grad_(False)


def check(fast: WinogradConvolution, x: torch.Tensor, by_plain: bool = False) -> None:
    """Compare with the plain convolution, and see that it was not asked, or was."""
    calls: list[object] = []
    expected = fast.convolution(x)
    with fast.convolution.register_forward_hook(lambda *_: calls.append(1)):
        y = fast(x)
    assert bool(calls) == by_plain
    torch.testing.assert_close(y, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("strip_bytes", STRIP_BYTES.values(), ids=list(STRIP_BYTES))
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_equal_to_the_plain_convolution(
    shape: tuple[int, ...], strip_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "_STRIP_BYTES", strip_bytes)
    count, channels, outputs, height, width, dilation = shape
    fast = WinogradConvolution(convolution(channels, outputs, dilation, bias=dilation < 4))
    x = torch.randn(count, channels, height, width)
    for layout in (torch.contiguous_format, torch.channels_last):
        check(fast, x.contiguous(memory_format=layout))


def test_the_last_strip_may_be_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    channels, height, width = 3, 20, 8
    tiles_in_two_rows = 2 * width // 4
    monkeypatch.setattr(winograd, "_STRIP_BYTES", 4 * 36 * tiles_in_two_rows * channels)
    check(WinogradConvolution(convolution(channels, 2, 1)), torch.randn(1, channels, height, width))


@pytest.mark.parametrize(("count", "side"), [(2, 5), (0, 16)], ids=["mostly padding", "nothing"])
def test_what_does_not_pay_is_left_to_the_plain_convolution(count: int, side: int) -> None:
    check(WinogradConvolution(convolution(5, 7, 4)), torch.randn(count, 5, side, side), by_plain=True)


def test_results_are_laid_out_channels_last() -> None:
    y = WinogradConvolution(convolution(3, 6, 1))(torch.randn(2, 3, 9, 10))
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_gradients_are_those_of_the_plain_convolution() -> None:
    plain = convolution(3, 6, 1)
    x = torch.randn(1, 3, 12, 12, requires_grad=True)
    layers = plain, WinogradConvolution(plain)
    expected, found = (torch.autograd.grad(layer(x).square().sum(), x)[0] for layer in layers)
    assert torch.equal(found, expected)


def test_wide_convolutions_that_keep_the_size_are_replaced_and_no_others() -> None:
    network = nn.ModuleDict({
        "wide": nn.Conv2d(WIDE, WIDE, 3, padding=1),
        "dilated": nn.Sequential(nn.Conv2d(WIDE, WIDE, 3, padding=2, dilation=2)),
        "narrow": nn.Conv2d(WIDE, WIDE - 1, 3, padding=1),
        "strided": nn.Conv2d(WIDE, WIDE, 3, padding=1, stride=2),
        "unpadded": nn.Conv2d(WIDE, WIDE, 3),
        "reflecting": nn.Conv2d(WIDE, WIDE, 3, padding=1, padding_mode="reflect"),
        "grouped": nn.Conv2d(WIDE, WIDE, 3, padding=1, groups=WIDE),
        "point": nn.Conv2d(WIDE, WIDE, 1),
        "long": nn.Conv2d(WIDE, WIDE, (3, 1), padding=(1, 0)),
        "far": nn.Conv2d(WIDE, WIDE, 3, padding=12, dilation=12),
        "uneven": nn.Conv2d(WIDE, WIDE, 3, padding=(1, 2), dilation=(1, 2)),
        "float64": nn.Conv2d(WIDE, WIDE, 3, padding=1, dtype=torch.float64),
    })  # fmt: skip
    for _ in range(2):
        use_winograd(network)
        found = [name for name, layer in network.named_modules() if isinstance(layer, WinogradConvolution)]
        assert found == ["wide", "dilated.0"]


def test_networks_that_are_made_ready_for_inference_have_it_and_can_be_fused_and_copied() -> None:
    plain = nn.Sequential(convolution(WIDE, WIDE, 1), nn.ReLU(), nn.Conv2d(WIDE, 2, 1)).eval()
    network = for_inference(copy.deepcopy(plain))
    assert isinstance(network[0], WinogradConvolution)  # type: ignore[index]
    fuse_convolutions(network)
    x = torch.randn(1, WIDE, 16, 16)
    with torch.inference_mode():
        for each in (network, copy.deepcopy(network)):
            torch.testing.assert_close(each(x), plain(x), atol=2e-5, rtol=0)
