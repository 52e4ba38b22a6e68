"""What f-BRS does with strokes: which clicks it makes of them, in which order, and how it looks at the picture."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from stages.core.errors import InputError
from stages.core.strokes import Clicks, FrameScribbles, Line, clicks
from stages.engines.segmenters.fbrs.brs import FullObjective
from stages.engines.segmenters.fbrs.clicks import Click, click_squares
from stages.engines.segmenters.fbrs.deeplab import DeepLab
from stages.engines.segmenters.fbrs.fast import rearranged
from stages.engines.segmenters.fbrs.segmenter import FBRS, farthest_first, in_order
from stages.engines.segmenters.fbrs.windows import WindowObjective
from stages.engines.segmenters.fbrs.zoom import ZoomIn, ZoomSettings
from stages.nn.residual import BasicBlock
from tests.parity.filled import fill, picture

HEIGHT, WIDTH = 96, 128
FRAME = picture(HEIGHT, WIDTH, seed=4)
STROKES = FrameScribbles(
    (
        Line(0, ((0.1, 0.9), (0.9, 0.9))),
        Line(2, ((0.2, 0.2), (0.2, 0.7))),
        Line(5, ((0.6, 0.3), (0.9, 0.3))),
    )
)


@pytest.fixture
def network() -> DeepLab:
    """A real DeepLabV3+, only thinner and shallower; its logits reach both sides of zero."""
    net = fill(DeepLab(BasicBlock, (1, 1, 1, 1), channels=16)).requires_grad_(False)
    assert isinstance(net, DeepLab)
    last = net.head.layers[2]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    last.weight *= 10
    logits = net(torch.zeros(1, 3, 64, 64), torch.full((1, 2, 2), 32.0))
    last.bias -= logits.mean()
    return net


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def segmenter(network: DeepLab, **options: object) -> FBRS:
    return FBRS(network, **{"spacing_px": 15.0, "crop_px": 160, **options})


def count_calls(module: nn.Module, run: Callable[[], object]) -> int:
    shapes: list[torch.Size] = []
    handle = module.register_forward_hook(lambda _module, inputs, _output: shapes.append(inputs[0].shape))
    run()
    handle.remove()
    return len(shapes)


# -- strokes to clicks -------------------------------------------------------------------------------------------------


def clicks_at(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, dtype=np.float32).reshape(-1, 2)


def test_signs_alternate_and_the_middle_of_the_object_comes_first() -> None:
    order = in_order(Clicks(clicks_at((10, 0), (10, 11), (10, 20)), clicks_at((50, 50), (10, 30))))
    assert order[0] == Click(True, 10, 11)
    assert order[1] == Click(False, 10, 30), "the negative click nearest to it"
    assert [click.is_positive for click in order] == [True, False, True, False, True]


def test_any_first_clicks_are_spread_over_the_strokes() -> None:
    line = clicks_at(*[(0, x) for x in range(101)])
    nearest_pair = [np.diff(np.sort(farthest_first(line, line[50])[:n, 1])).min() for n in (3, 5, 9)]
    assert nearest_pair == [50, 25, 12]


def test_ordering_loses_and_invents_nothing() -> None:
    points = np.random.default_rng(0).uniform(0, 90, (40, 2)).astype(np.float32)
    points[7] = points[8]
    ordered = farthest_first(points, points[3])
    assert sorted(map(tuple, ordered)) == sorted(map(tuple, points))


def test_an_object_without_clicks_of_its_own_has_none() -> None:
    assert in_order(Clicks(clicks_at(), clicks_at((1, 1)))) == []


# -- the segmenter -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["NoBRS", "f-BRS-A", "f-BRS-B", "f-BRS-C"])
def test_one_map_per_object_in_the_order_of_ids(network: DeepLab, mode: str) -> None:
    masks = segmenter(network, mode=mode).segment(FRAME, STROKES)
    assert masks.shape == (2, HEIGHT, WIDTH)
    assert masks.dtype == np.float32
    assert masks.min() >= 0 and masks.max() <= 1
    assert not np.allclose(masks[0], masks[1]), "each object has clicks of its own"


@pytest.mark.parametrize("exact", [True, False])
def test_optimisation_makes_clicks_hold_that_the_network_ignores(network: DeepLab, exact: bool) -> None:
    def wrong(mode: str) -> int:
        """Clicks on the wrong side of one half."""
        masks = segmenter(network, mode=mode, exact=exact).segment(FRAME, STROKES)
        count = 0
        for mask, object_id in zip(masks, STROKES.object_ids, strict=True):
            for click in in_order(clicks(STROKES, object_id, (WIDTH, HEIGHT), 15.0)):
                count += (mask[round(click.row), round(click.column)] > 0.5) != click.is_positive
        return count

    assert wrong("f-BRS-B") < wrong("NoBRS") / 2


def test_nothing_is_remembered_from_frame_to_frame_or_object_to_object(network: DeepLab) -> None:
    engine = segmenter(network)
    first = engine.segment(FRAME, STROKES)
    np.testing.assert_array_equal(engine.segment(FRAME, STROKES), first)
    swapped = {0: 0, 2: 5, 5: 2}
    renamed = FrameScribbles(tuple(Line(swapped[line.object_id], line.path) for line in STROKES.lines))
    np.testing.assert_array_equal(engine.segment(FRAME, renamed), first[::-1])


def test_a_first_look_then_the_crop_with_the_optimisation(network: DeepLab) -> None:
    one = FrameScribbles(STROKES.lines[:2])
    seen = []
    network.rgb_conv.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape[-2:]))
    evaluations = count_calls(network.head, lambda: segmenter(network, exact=True).segment(FRAME, one))
    assert seen[0] == (HEIGHT, WIDTH), "the whole picture"
    assert len(seen) == 2 and max(seen[1]) == 160, "its crop"
    assert evaluations >= 3, "one for the look, at least two for the optimisation"


def test_a_single_click_is_not_optimised(network: DeepLab) -> None:
    dot = FrameScribbles((Line(1, ((0.5, 0.5),)),))
    engine = segmenter(network, exact=True)
    assert count_calls(network.head, lambda: engine.segment(FRAME, dot)) == count_calls(
        network.rgb_conv, lambda: engine.segment(FRAME, dot)
    )


def test_clicks_beyond_the_limit_do_nothing(network: DeepLab) -> None:
    few = segmenter(network, spacing_px=2.0, click_limit=3).segment(FRAME, STROKES)
    some = segmenter(network, spacing_px=2.0, click_limit=6).segment(FRAME, STROKES)
    assert not np.array_equal(few, some)
    one = segmenter(network, click_limit=1).segment(FRAME, STROKES)
    no_optimisation = segmenter(network, click_limit=1, mode="NoBRS").segment(FRAME, STROKES)
    np.testing.assert_allclose(one, no_optimisation, atol=1e-6)


def test_one_weight_changes_the_masks(network: DeepLab) -> None:
    before = segmenter(network).segment(FRAME, STROKES)
    network.feature_extractor.backbone.layer2[0].conv1.weight[0, 0, 1, 1] += 0.5
    assert np.abs(segmenter(network).segment(FRAME, STROKES) - before).max() > 1e-4


def test_an_object_that_the_network_does_not_find_is_empty(network: DeepLab) -> None:
    network.head.layers[2].weight.zero_()
    network.head.layers[2].bias.fill_(-9)
    assert segmenter(network).segment(FRAME, STROKES).max() < 0.01


def test_no_line_no_mask(network: DeepLab) -> None:
    assert segmenter(network).segment(FRAME, FrameScribbles(STROKES.lines[:1])).shape == (0, HEIGHT, WIDTH)


def test_large_pictures_are_shrunk_before_the_first_look(network: DeepLab) -> None:
    seen = []
    network.rgb_conv.register_forward_hook(lambda _module, inputs, _output: seen.append(tuple(inputs[0].shape[-2:])))
    frame = picture(300, 2 * 1024, seed=1)
    masks = segmenter(network, mode="NoBRS", exact=True).segment(frame, FrameScribbles((Line(1, ((0.5, 0.5),)),)))
    assert seen[0] == (150, 1024)
    assert masks.shape == (1, *frame.shape[:2])


def test_default_and_exact_agree_where_no_fault_is_mended(network: DeepLab) -> None:
    exact, default = (segmenter(network, mode="NoBRS", exact=exact).segment(FRAME, STROKES) for exact in (True, False))
    np.testing.assert_allclose(default, exact, atol=1e-4)


def test_auto_takes_the_processor_where_there_is_no_gpu(network: DeepLab) -> None:
    here = segmenter(network, device="auto", mode="NoBRS").segment(FRAME, STROKES)
    np.testing.assert_allclose(here, segmenter(network, mode="NoBRS").segment(FRAME, STROKES), atol=1e-3)


def test_unusable_options_are_refused_with_advice(network: DeepLab) -> None:
    with pytest.raises(InputError, match=r"'f-BRS-D'.*expected one of NoBRS"):
        segmenter(network, mode="f-BRS-D")
    with pytest.raises(InputError, match="at least 1"):
        segmenter(network, click_limit=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_an_input_error(network: DeepLab) -> None:
    with pytest.raises(InputError, match="no usable GPU"):
        segmenter(network, device="cuda")


# -- what the default mode does differently ----------------------------------------------------------------------------

HARD_CLICKS = [  # corners, borders, overlaps of both signs, fractions, outside
    Click(True, 0, 0),
    Click(True, 1, 1),
    Click(True, 2, 2.5),
    Click(False, 3, 3),
    Click(False, HEIGHT - 1, WIDTH - 1),
    Click(True, HEIGHT - 1, 40),
    Click(True, 50.5, 0.6),
    Click(False, -5, 60),
    Click(True, 47, 64),
]


@pytest.mark.parametrize("size_hw", [(96, 128), (97, 131), (40, 300), (3, 200)])
@pytest.mark.parametrize("at", ["B", "C"])
def test_windows_give_the_whole_pictures_loss_and_gradient(network: DeepLab, at: str, size_hw: tuple[int, int]) -> None:
    images = torch.cat([torch.randn(1, 3, *size_hw, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)])
    features = network.features(images, torch.full((2, 2, 2), 20.0), at)
    squares = [click_squares(clicks, size_hw) for clicks in (HARD_CLICKS, HARD_CLICKS[1:])]
    whole, windows = (make(network, at, features, squares, size_hw) for make in (FullObjective, WindowObjective))
    rng = np.random.default_rng(0)
    for x in rng.normal(0, 0.3, (3, 2 * features[0].shape[1])):
        a, b = whole(x), windows(x)
        assert b.loss == pytest.approx(a.loss, abs=1e-5)
        assert (b.worst_positive, b.worst_negative) == pytest.approx((a.worst_positive, a.worst_negative), abs=1e-5)
        np.testing.assert_allclose(b.gradient(), a.gradient(), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(b.logits, a.logits)


def test_folding_leaves_no_normalisation_behind_a_convolution(network: DeepLab) -> None:
    norms = [name for name, module in rearranged(network).named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms == ["rgb_conv.2"], "which stands behind an activation"
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.feature_extractor.modules()), "a copy"


# -- the two mended faults ---------------------------------------------------------------------------------------------


def test_squares_outside_the_picture_vanish_instead_of_wrapping() -> None:
    above_left = [Click(False, -5, 10), Click(False, 0, 0)]
    (wrapped,) = click_squares(above_left, (40, 50))
    assert (wrapped.top, wrapped.bottom) == (34, 37), "the original marks the far side, and nothing in the corner"
    (corner,) = click_squares(above_left, (40, 50), clip=True)
    assert corner == (False, 0, 2, 0, 2)


@pytest.mark.parametrize("repair", [False, True])
def test_a_vanished_object_is_looked_for_in_the_whole_picture(repair: bool) -> None:
    zoom = ZoomIn(ZoomSettings(min_crop_px=20), repair=repair)
    image = torch.zeros(1, 3, 100, 100)
    clicks = [Click(True, 50, 50), Click(True, 52, 52)]
    small = torch.zeros(1, 1, 100, 100)
    small[..., 45:55, 45:55] = 1
    zoom.inverse(small, (100, 100))
    zoom.forward(image, clicks)
    zoom.inverse(torch.zeros(1, 1, 400, 400), (100, 100))

    again, _ = zoom.forward(image, clicks)
    assert again.shape == image.shape
    found = zoom.inverse(torch.ones(1, 1, 100, 100), (100, 100))
    assert bool((found == 1).all()) is repair, "the original squeezes the whole picture into the old crop"
    assert zoom.changed is repair
