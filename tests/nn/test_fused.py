"""Fused convolutions compute what the plain ones do, whatever comes before and after."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from stages.nn.fused import FusedConvolution, compute_in, fuse_convolutions, relu_of_sum
from stages.nn.lite import SameConv2d
from stages.nn.winograd import WinogradConvolution

SIZES = [(16, 16), (9, 14), (33, 7), (16, 16), (12, 20), (40, 40), (9, 14)]  # more than are kept, and some again


class Little(nn.Module):
    """Every kind of neighbour that a convolution has in the small networks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv2d(3, 8, 3, stride=2), nn.ReLU6(inplace=True))
        self.deep = nn.Sequential(nn.Sequential(SameConv2d(8, 8, 5, stride=2, groups=8), nn.Identity()), nn.ReLU())
        self.point = nn.Conv2d(8, 4, 1)
        self.wide = nn.Sequential(nn.Conv2d(4, 4, 3, padding=2, dilation=2, bias=False), nn.ReLU(), nn.Conv2d(4, 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        deep = self.deep(self.stem(x))
        return self.wide(relu_of_sum(self.point, deep, deep[:, :4]))


@pytest.fixture
def plain() -> nn.Module:
    torch.manual_seed(0)
    return Little().eval().requires_grad_(False)


@pytest.fixture
def fused(plain: nn.Module) -> nn.Module:
    network = copy.deepcopy(plain)
    fuse_convolutions(network)
    return network


@pytest.mark.parametrize("onednn", [True, False])
def test_the_results_are_the_same_for_every_size(
    plain: nn.Module, fused: nn.Module, onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sum(isinstance(module, FusedConvolution) for module in fused.modules()) == 5
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", onednn)
    with torch.inference_mode():
        for height, width in SIZES:
            x = 20 * torch.randn(2, 3, height, width)
            torch.testing.assert_close(fused(x), plain(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("onednn", [True, False])
def test_in_bfloat16_a_few_bits_are_lost_and_no_more(
    plain: nn.Module, fused: nn.Module, onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", onednn)
    with torch.inference_mode():
        fused(torch.zeros(1, 3, 16, 16))  # what was arranged for float32 must not be met again
        compute_in(fused, torch.bfloat16)
        for height, width in SIZES:
            x = torch.randn(2, 3, height, width)
            expected = plain(x)
            found = fused(x)
            assert found.dtype == torch.bfloat16
            torch.testing.assert_close(found.float(), expected, atol=0.02 * float(expected.abs().max()), rtol=0)
            assert not torch.equal(found.float(), expected)


@pytest.mark.slow
def test_bfloat16_is_computed_with_on_a_processor_that_onednn_does_not_know_it_on() -> None:
    """Those without AVX-512; oneDNN reads what it may use of a processor once for each process."""
    test = f"{__file__}::{test_in_bfloat16_a_few_bits_are_lost_and_no_more.__name__}"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-m", "pytest", "-q", test], env=environment, check=True, timeout=120)


def test_activations_in_sequences_are_taken_in(fused: nn.Module) -> None:
    assert not any(isinstance(module, nn.ReLU6) for module in fused.modules())
    assert len(fused.get_submodule("wide")) == 2  # type: ignore[arg-type]


def test_a_used_network_can_be_copied(plain: nn.Module, fused: nn.Module) -> None:
    x = torch.randn(1, 3, 16, 16)
    with torch.inference_mode():
        fused(x)
        torch.testing.assert_close(copy.deepcopy(fused)(x), plain(x), atol=1e-5, rtol=1e-4)


def test_fusing_again_changes_nothing(fused: nn.Module) -> None:
    x = torch.randn(1, 3, 16, 16)
    with torch.inference_mode():
        before = fused(x)
        fuse_convolutions(fused)
        assert torch.equal(fused(x), before)


def test_wide_kernels_are_done_by_winograds_method_where_it_pays() -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(128, 128, 3, padding=1)
    fused = FusedConvolution(plain, nn.ReLU)
    winograd = next(module for module in fused.modules() if isinstance(module, WinogradConvolution))
    calls: list[torch.Size] = []
    winograd.register_forward_hook(lambda _module, given, _result: calls.append(given[0].shape))
    large, small = torch.randn(1, 128, 16, 12), torch.randn(1, 128, 3, 3)  # of one tile's results 9 of 16 are wanted
    with torch.inference_mode():
        for x in (large, small):
            torch.testing.assert_close(fused(x, x), torch.relu(plain(x) + x), atol=1e-4, rtol=1e-4)
    assert calls == [large.shape]


def test_the_network_that_gave_a_convolution_keeps_it_as_it_was() -> None:
    convolution = nn.Conv2d(2, 2, 3)
    FusedConvolution(convolution)
    assert convolution.weight.requires_grad
