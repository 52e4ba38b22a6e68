"""What is made of a network for the place that it works on."""

import pytest
import torch
from torch import nn

from stages.nn.prepare import for_inference, prepare
from stages.nn.winograd import WinogradConvolution


def test_what_is_for_a_cpu_is_left_out_elsewhere() -> None:
    def network() -> nn.Module:
        return nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.Conv2d(128, 1, 1))

    on_cpu = for_inference(network())
    assert isinstance(on_cpu[0], WinogradConvolution)
    assert on_cpu[1].dilation == (2, 2)
    elsewhere = prepare(network(), "meta", for_inference)
    assert type(elsewhere[0]) is nn.Conv2d
    assert elsewhere[1].dilation == (1, 1)
    assert not any(parameter.requires_grad for parameter in elsewhere.parameters())


def test_a_gpu_computes_with_all_bits_of_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    prepare(nn.Identity(), "cpu")
    assert torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    prepare(nn.Identity(), "cuda")
    assert not torch.backends.cudnn.allow_tf32
