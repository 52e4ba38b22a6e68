"""The small backbone, and the click network that stands on it."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from stages.engines.segmenters.fbrs.lite import DISC_RADIUS_PX, LiteClicks, disc_maps
from stages.nn.lite import Lite, channels, from_published
from stages.training.outcome import published_trunk


@pytest.mark.parametrize("size_hw", [(64, 96), (65, 97), (33, 50)])
def test_the_pyramid_has_a_tap_per_stride(size_hw):
    taps = Lite()(torch.zeros(1, 3, *size_hw))
    for stride, tap in zip((2, 4, 8, 16, 32), taps, strict=True):
        assert tap.shape == (1, channels(stride), *(-(-side // stride) for side in size_hw))


def test_later_stages_are_left_out():
    assert len(Lite(deepest=16)(torch.zeros(1, 3, 32, 32))) == 4
    assert sum(p.numel() for p in Lite(deepest=16).parameters()) < 0.3 * sum(p.numel() for p in Lite().parameters())


def test_published_weights_give_the_same_features_with_normalisation_folded():
    """Against the stem and the first inverted bottleneck as published, normalisations apart."""
    state = published_trunk()

    def normalised(x, name):
        statistics = (state[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *statistics, eps=1e-3)

    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x = functional.conv2d(functional.pad(picture, (0, 1, 0, 1)), state["_conv_stem.weight"], stride=2)
    x = functional.relu6(normalised(x, "_bn0"))
    x = functional.conv2d(x, state["_blocks.0._depthwise_conv.weight"], padding=1, groups=32)
    x = functional.relu6(normalised(x, "_blocks.0._bn1"))
    x = normalised(functional.conv2d(x, state["_blocks.0._project_conv.weight"]), "_blocks.0._bn2")

    trunk = Lite()
    trunk.load_state_dict(from_published(state, trunk))
    with torch.no_grad():
        torch.testing.assert_close(trunk(picture)[0], x, rtol=1e-4, atol=1e-4)


def test_new_maps_change_nothing_before_training():
    with_maps, without = Lite(maps=2), Lite()
    without.load_state_dict(with_maps.state_dict(), strict=False)
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for a, b in zip(with_maps(picture, torch.rand(1, 2, 64, 64)), without(picture), strict=True):
            torch.testing.assert_close(a, b)


def test_discs_are_round_and_end_at_the_border():
    points = torch.tensor([[[20.0, 30.0], [0.0, 0.0], [-1.0, -1.0], [50.0, 1000.0]]])
    positive, negative = disc_maps(points, (64, 64))[0]
    r = DISC_RADIUS_PX
    assert positive[20, 30 + r] == 1 and positive[20, 30 + r + 1] == 0 and positive[20 + r, 30 + r] == 0
    assert positive[:4, 0].all()  # a quarter of the disc at the corner
    assert not negative.any()  # padding, and a click beyond the picture


@pytest.mark.parametrize("at", ["A", "B"])
def test_every_place_for_brs_leads_to_the_same_logits(at):
    torch.manual_seed(0)
    network = _without_zeros(LiteClicks()).eval()
    picture, points = torch.randn(1, 3, 64, 96), torch.tensor([[[20.0, 30.0], [50.0, 60.0]]])
    with torch.no_grad():
        expected = network.low_logits(network.features(picture, points, "C"), "C")
        assert expected.shape == (1, 1, 32, 48)
        torch.testing.assert_close(network.low_logits(network.features(picture, points, at), at), expected)


def test_clicks_reach_the_logits():
    network = _without_zeros(LiteClicks()).eval()
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        here, there = (network(picture, torch.tensor([[[row, 32.0], [-1, -1]]])) for row in (10.0, 50.0))
    assert (here - there).abs().max() > 0.01 * here.std()


def _without_zeros(network: LiteClicks) -> LiteClicks:
    stem = network.encoder.maps_stem
    assert isinstance(stem, nn.Sequential)
    nn.init.normal_(stem[-1].weight, std=0.5)
    return network
