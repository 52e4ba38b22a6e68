"""Winograd's method computes what the plain convolution does, for every size, dilation and strip."""

import pytest
import torch
from torch import nn

from stages.backbones import winograd
from stages.backbones.winograd import WinogradConvolution, use_winograd

SHAPES = {  # N, C, O, H, W, dilation
    "whole tiles": (1, 5, 7, 16, 24, 1),
    "cut tiles": (1, 5, 7, 18, 21, 1),
    "batch": (3, 4, 6, 13, 16, 1),
    "dilation 2": (1, 5, 7, 22, 31, 2),
    "batch, dilation 4": (2, 3, 2, 44, 61, 4),
    "too small to pay": (2, 5, 7, 5, 5, 4),
}


def convolution(channels: int, outputs: int, dilation: int, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels, outputs, 3, padding=dilation, dilation=dilation, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("strip_bytes", [1, 1 << 25], ids=["strips", "whole"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_equal_to_the_plain_convolution(
    shape: tuple[int, ...], strip_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "_STRIP_BYTES", strip_bytes)
    count, channels, outputs, height, width, dilation = shape
    plain = convolution(channels, outputs, dilation, bias=dilation < 4)
    fast = WinogradConvolution(plain)
    x = torch.randn(count, channels, height, width)
    for layout in (torch.contiguous_format, torch.channels_last):
        y = fast(x.contiguous(memory_format=layout))
        assert y.shape == (count, outputs, height, width)
        torch.testing.assert_close(y, plain(x), atol=2e-5, rtol=0)


def test_results_are_laid_out_channels_last() -> None:
    y = WinogradConvolution(convolution(3, 6, 1))(torch.randn(2, 3, 9, 10))
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_gradients_are_those_of_the_plain_convolution() -> None:
    plain = convolution(3, 6, 1)
    x = torch.randn(1, 3, 12, 12, requires_grad=True)
    expected, found = (
        torch.autograd.grad(layer(x).square().sum(), x)[0] for layer in (plain, WinogradConvolution(plain))
    )
    assert torch.equal(found, expected)


def test_wide_convolutions_that_keep_the_size_are_replaced_and_no_others() -> None:
    wide = 128
    network = nn.ModuleDict({
        "wide": nn.Conv2d(wide, wide, 3, padding=1),
        "dilated": nn.Sequential(nn.Conv2d(wide, wide, 3, padding=2, dilation=2)),
        "narrow": nn.Conv2d(wide, wide - 1, 3, padding=1),
        "strided": nn.Conv2d(wide, wide, 3, padding=1, stride=2),
        "unpadded": nn.Conv2d(wide, wide, 3),
        "grouped": nn.Conv2d(wide, wide, 3, padding=1, groups=wide),
        "point": nn.Conv2d(wide, wide, 1),
        "long": nn.Conv2d(wide, wide, (3, 1), padding=(1, 0)),
        "far": nn.Conv2d(wide, wide, 3, padding=12, dilation=12),
        "uneven": nn.Conv2d(wide, wide, 3, padding=(1, 2), dilation=(1, 2)),
    })  # fmt: skip
    use_winograd(network)
    assert [name for name, layer in network.named_modules() if isinstance(layer, WinogradConvolution)] == [
        "wide",
        "dilated.0",
    ]
