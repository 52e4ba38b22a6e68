"""f-BRS against what the official code computed. Fixtures, weights and tolerances: the reference's fbrs/fixtures."""

import gzip
import json
import os
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.engines.registry import build_network
from stages.engines.segmenters.fbrs.brs import FullObjective, Objective, StopRules
from stages.engines.segmenters.fbrs.clicker import click_until, clicks_needed, next_click
from stages.engines.segmenters.fbrs.clicks import Click, click_squares, mirrored, points_tensor, square_masks
from stages.engines.segmenters.fbrs.fast import rearranged
from stages.engines.segmenters.fbrs.maps import distance_maps
from stages.engines.segmenters.fbrs.network import ClickNetwork
from stages.engines.segmenters.fbrs.predictor import INSERTIONS, Mode, Predictor, normalise
from stages.engines.segmenters.fbrs.windows import WindowObjective
from stages.engines.segmenters.fbrs.zoom import Roi, ZoomIn, ZoomSettings, expand, object_roi, roi_iou
from tests.parity.filled import fill, picture

Arrays = dict[str, NDArray]

HERE = Path(__file__).parent / "fixtures" / "fbrs"
FOLDERS = [HERE]
if "LIS_REFERENCE" in os.environ:
    FOLDERS.append(Path(os.environ["LIS_REFERENCE"]) / "fbrs" / "fixtures")
BOTH_MODES = pytest.mark.parametrize("exact", [True, False], ids=["exact", "default"])
NO_ZOOM = (-1, -1, -1, -1)


def available(prefix: str) -> list[str]:
    """Names of fixtures, without the prefix; LIS_REFERENCE may add to those that lie beside this test."""
    return sorted({path.stem.removeprefix(prefix) for folder in FOLDERS for path in folder.glob(f"{prefix}*.npz")})


def fixture(name: str) -> Arrays:
    """The arrays of one file of fixtures."""
    path = next(path for folder in FOLDERS if (path := folder / f"{name}.npz").exists())
    with np.load(path) as arrays:
        return dict(arrays)


def cases(arrays: Arrays, field: str) -> list[str]:
    return [key.removesuffix(f"__{field}") for key in arrays if key.endswith(f"__{field}")]


def as_clicks(rows: NDArray) -> list[Click]:
    return [Click(bool(sign), float(row), float(column)) for sign, row, column in rows]


def rows_of(clicks: list[Click]) -> NDArray:
    return np.array([[click.is_positive, click.row, click.column] for click in clicks], dtype=np.float64)


@lru_cache(maxsize=2)
def network(name: str, exact: bool = True) -> ClickNetwork:
    """Filled, and prepared as the segmenter does it."""
    net = fill(build_network(f"fbrs_{name}")) if exact else rearranged(network(name))
    assert isinstance(net, ClickNetwork)
    return net


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


# -- the networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["resnet34_dh128", "resnet50_dh128", "resnet101_dh256", "hrnet18s_ocr48", "hrnet18_ocr64", "hrnet32_ocr128"]
)
def test_keys_shapes_and_order_are_those_of_the_checkpoint(name: str) -> None:
    with gzip.open(HERE / "keys.json.gz") as file:
        expected = json.load(file)[name]
    net = build_network(f"fbrs_{name}")
    found = {key: list(tensor.shape) for key, tensor in net.state_dict().items()}
    assert list(found.items()) == list(expected.items())
    assert not net.training
    assert all(tensor.dtype == torch.float32 and not tensor.requires_grad for tensor in net.parameters())


TOLERANCES = {  # logits, features; the HRNets' activations grow with random weights
    "resnet34_dh128": (1e-5, 2e-5),
    "resnet50_dh128": (1e-5, 2e-5),
    "resnet101_dh256": (1e-5, 2e-5),
    "hrnet18s_ocr48": (5e-5, 1e-4),
    "hrnet18_ocr64": (1e-3, 3e-3),
    "hrnet32_ocr128": (1e-3, 3e-3),
}


@BOTH_MODES
@pytest.mark.parametrize("name", available("forward_"))
def test_forward(name: str, exact: bool) -> None:
    expected = fixture(f"forward_{name}")
    net = network(name, exact)
    logits_atol, features_atol = TOLERANCES[name]
    image, points = normalise(picture(160, 224, seed=1)), torch.from_numpy(expected["points"])
    is_deeplab = "fbrs_b_input" in expected

    features = {at: net.features(image, points, at) for at in ("A", "B", "C")}
    a, b, c = (scaled for scaled, *_ in features.values())
    stages = {"fbrs_c_input": c} | ({"c4": a, "fbrs_b_input": b} if is_deeplab else {"fbrs_a_input": a})
    for key, found in stages.items():
        step = int(expected[f"{key}__chstep"])
        np.testing.assert_allclose(found[:, ::step, ::2, ::2], expected[key], rtol=0, atol=features_atol)
    np.testing.assert_allclose(
        (b if is_deeplab else a).mean(dim=(0, 2, 3)), expected["fbrs_feature_channel_mean"], rtol=0, atol=features_atol
    )
    np.testing.assert_allclose(
        net.mix_clicks(image, points)[:, :, ::4, ::4], expected["rgb_conv"], rtol=0, atol=features_atol
    )

    for at, half in features.items():  # wherever the network is cut, the two halves give the whole
        low = net.low_logits(half, at)
        np.testing.assert_allclose(low, expected["low_logits"], rtol=0, atol=logits_atol)
    np.testing.assert_allclose(net(image, points), expected["logits"], rtol=0, atol=logits_atol)


# -- clicks ------------------------------------------------------------------------------------------------------------


def test_distance_maps() -> None:
    expected = fixture("dist_maps")
    for case in cases(expected, "points"):
        radius = 30.0 if case.endswith("r30") else 260.0
        found = distance_maps(torch.from_numpy(expected[f"{case}__points"]), (48, 64), radius)
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found, expected[f"{case}__maps"], rtol=0, atol=1e-6, err_msg=case)


def test_click_squares_with_the_originals_slicing() -> None:
    expected = fixture("click_maps")
    for case in cases(expected, "clicks"):
        clicks = as_clicks(expected[f"{case}__clicks"])
        positive, negative = square_masks(click_squares(clicks, (40, 50)), (40, 50))
        np.testing.assert_array_equal(positive, expected[f"{case}__pos"], err_msg=case)
        np.testing.assert_array_equal(negative, expected[f"{case}__neg"], err_msg=case)


@pytest.mark.parametrize("limit", [None, 2, 8])
def test_points(limit: int | None) -> None:
    expected = fixture("click_maps")
    for case in cases(expected, "clicks"):
        clicks = as_clicks(expected[f"{case}__clicks"])
        found = points_tensor([clicks, mirrored(clicks, 50)], limit)
        np.testing.assert_array_equal(found, expected[f"{case}__points_limit{limit}"], err_msg=case)


def test_robot_clicks() -> None:
    expected = fixture("clicker")
    for case in cases(expected, "gt"):
        previous = as_clicks(expected[f"{case}__prev"])
        found = next_click(expected[f"{case}__gt"], expected[f"{case}__pred"] > 0, previous)
        assert [*map(int, found)] == expected[f"{case}__next"].tolist(), case


# -- ZoomIn ------------------------------------------------------------------------------------------------------------


def test_boxes_grow_and_overlap() -> None:
    expected = fixture("zoom_in")
    for *box, ratio, min_size, top, bottom, left, right in expected["expand_bbox"]:
        grown = expand(Roi(*map(int, box)), ratio, None if min_size < 0 else int(min_size))
        assert grown == (top, bottom, left, right)
    for *corners, iou in expected["bbox_iou"]:
        assert roi_iou(Roi(*map(int, corners[:4])), Roi(*map(int, corners[4:]))) == pytest.approx(iou, abs=1e-12)


def test_zoom_crops_maps_clicks_and_pastes() -> None:
    expected = fixture("zoom_in")
    for case in cases(expected, "params"):
        want = {key.removeprefix(f"{case}__"): value for key, value in expected.items() if key.startswith(f"{case}__")}
        height, width, target, min_crop = map(int, want["params"][:4])
        zoom = ZoomIn(ZoomSettings(target_px=target, min_crop_px=min_crop, expansion=float(want["params"][4])))
        image, clicks = normalise(picture(height, width, seed=3)), as_clicks(want["clicks"])

        assert zoom.forward(image, clicks[:1])[0] is image
        zoom.inverse(torch.from_numpy(want["prev_prob"])[None, None], (height, width))
        crop, seen = zoom.forward(image, clicks)
        assert (zoom.roi or NO_ZOOM) == tuple(want["roi"]), case
        assert crop.shape == tuple(want["crop_shape"]), case
        np.testing.assert_allclose(crop[:, :, ::8, ::8], want["crop_sub"], rtol=0, atol=1e-5, err_msg=case)
        np.testing.assert_allclose(crop.mean(dim=(0, 2, 3)), want["crop_mean"], rtol=0, atol=1e-5, err_msg=case)
        np.testing.assert_allclose(rows_of(seen), want["tclicks"], rtol=0, atol=1e-9, err_msg=case)
        flipped = rows_of(mirrored(seen, crop.shape[3]))
        np.testing.assert_allclose(flipped, want["tclicks_flipped"], rtol=0, atol=1e-9, err_msg=case)

        y, x = np.mgrid[: crop.shape[2], : crop.shape[3]].astype(np.float32)
        wave = (0.5 + 0.5 * np.sin(y / 17) * np.cos(x / 23)).astype(np.float32)
        pasted = zoom.inverse(torch.from_numpy(wave)[None, None], (height, width))[0, 0]
        np.testing.assert_allclose(pasted[::3, ::3], want["pasted_sub"], rtol=0, atol=1e-5, err_msg=case)
        assert float(pasted.double().sum()) == pytest.approx(float(want["pasted_sum"]), rel=1e-5)

        if "second_click" in want:
            more = [*clicks, *as_clicks(want["second_click"][None])]
            candidate = object_roi(pasted.numpy() > 0.5, more, float(want["params"][4]), min_crop)
            assert candidate == tuple(want["second_candidate_roi"]), case
            _, seen = zoom.forward(image, more)
            assert zoom.roi == tuple(want["second_roi"]), case
            assert zoom.changed == bool(want["second_changed"]), case
            np.testing.assert_allclose(rows_of(seen), want["second_tclicks"], rtol=0, atol=1e-9, err_msg=case)


# -- the predictor around the network ----------------------------------------------------------------------------------


class Stub(nn.Module):
    """The stand-in network of the fixtures: near a positive click and not near a negative one."""

    def forward(self, image: Tensor, points: Tensor) -> Tensor:
        positive, negative = distance_maps(points, (image.shape[2], image.shape[3])).split(1, dim=1)
        return 20 * (0.3 - positive) - 20 * torch.relu(0.2 - negative) + 0.5 * image.mean(dim=1, keepdim=True)


FLOWS: dict[str, tuple[ZoomSettings | None, bool]] = {
    "default": (ZoomSettings(), True),
    "t200m60": (ZoomSettings(target_px=200, min_crop_px=60), True),
    "skip0": (ZoomSettings(skip_clicks=0, min_crop_px=60), True),
    "nozoom": (None, True),
    "noflip": (ZoomSettings(min_crop_px=60), False),
}


@pytest.mark.parametrize("sequence", ["local", "jump", "many"])
@pytest.mark.parametrize("flow", FLOWS)
def test_flow_from_click_to_click(flow: str, sequence: str) -> None:
    expected = {
        key.removeprefix(f"{sequence}__{flow}__"): value
        for key, value in fixture("flow_stub").items()
        if key.startswith(f"{sequence}__{flow}__")
    }
    clicks = as_clicks(fixture("flow_stub")[f"{sequence}__clicks"])
    zoom, flip = FLOWS[flow]
    predictor = Predictor(Stub(), picture(240, 320, seed=9), "NoBRS", zoom=zoom, flip=flip)
    for n in range(len(clicks)):
        probability = predictor.predict(clicks[: n + 1])
        assert (predictor.roi or NO_ZOOM) == tuple(expected["rois"][n])
        np.testing.assert_allclose(probability[::6, ::6], expected["probs_sub"][n], rtol=0, atol=2e-5)
        assert abs(int((probability > 0.49).sum()) - expected["area_049"][n]) <= 2
        assert float(probability.sum(dtype=np.float64)) == pytest.approx(
            float(expected["sum"][n]), abs=2e-5 * 240 * 320
        )


@pytest.mark.parametrize("flow", ["default", "nozoom"])
def test_robot_session(flow: str) -> None:
    expected = fixture("robot_stub")
    predictor = Predictor(Stub(), picture(240, 320, seed=9), "NoBRS", zoom=FLOWS[flow][0])
    clicks, ious = click_until(predictor.predict, expected["gt"], max_clicks=12, target_iou=0.95)
    np.testing.assert_array_equal(rows_of(list(clicks)), expected[f"{flow}__clicks"])
    np.testing.assert_allclose(ious, expected[f"{flow}__ious"], rtol=0, atol=1e-6)


def test_number_of_clicks_counts_from_one_and_ends_at_the_limit() -> None:
    assert [clicks_needed(ious, 0.85) for ious in ([0.5, 0.86, 0.91], [0.95], [0.3, 0.4])] == [2, 1, 20]


# -- the optimisation --------------------------------------------------------------------------------------------------

LAST_CONV = {"resnet34_dh128": "head.layers.2", "hrnet18s_ocr48": "feature_extractor.cls_head"}
WITH_BRS = pytest.mark.parametrize("run", available("brs_f-BRS-"))


@cache
def brs_network(name: str, weight_scale: float, bias: float, exact: bool) -> ClickNetwork:
    """Filled, but for a last convolution that makes the map mixed."""
    net = fill(build_network(f"fbrs_{name}"))
    last = net.get_submodule(LAST_CONV[name])
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    last.weight.mul_(weight_scale)
    last.bias.fill_(bias)
    prepared = net if exact else rearranged(net)
    assert isinstance(prepared, ClickNetwork)
    return prepared


class Setting:
    """What one optimisation fixture was made with: network, picture, clicks."""

    def __init__(self, run: str, exact: bool) -> None:
        at, self.name = run.split("_", maxsplit=1)
        self.mode: Mode = {"A": "f-BRS-A", "B": "f-BRS-B", "C": "f-BRS-C"}[at]
        self.expected = fixture(f"brs_f-BRS-{run}")
        self.exact = exact
        self.size_hw = self.expected["official__prob"].shape
        self.frame = picture(*self.size_hw, seed=5)
        self.clicks = as_clicks(self.expected["clicks"])
        scale, bias = float(self.expected["weight_scale"]), float(self.expected["bias"])
        self.network = brs_network(self.name, scale, bias, exact)

    def predictor(self, rules: StopRules) -> Predictor:
        return Predictor(self.network, self.frame, self.mode, exact=self.exact, zoom=None, rules=rules)

    def objective(self) -> Objective:
        """What the predictor gives to the optimiser."""
        image, lists = normalise(self.frame), [self.clicks, mirrored(self.clicks, self.size_hw[1])]
        at = INSERTIONS[self.mode]
        features = self.network.features(torch.cat([image, image.flip(3)]), points_tensor(lists, 8), at)
        squares = [click_squares(clicks, self.size_hw) for clicks in lists]
        windows = not self.exact and self.network.reach[at] is not None
        return (WindowObjective if windows else FullObjective)(self.network, at, features, squares, self.size_hw)


@BOTH_MODES
@WITH_BRS
def test_loss_and_gradient(run: str, exact: bool) -> None:
    setting = Setting(run, exact)
    expected, objective = setting.expected, setting.objective()
    n = int(expected["n"])
    for key, x in {"zero": np.zeros(n), "rand": np.random.default_rng(11).normal(0, 0.05, n)}.items():
        evaluation = objective(x)
        assert evaluation.loss == pytest.approx(float(expected[f"{key}__loss"]), abs=1e-6)
        np.testing.assert_allclose(evaluation.gradient(), expected[f"{key}__grad"], rtol=0, atol=1e-5)


@BOTH_MODES
@WITH_BRS
@pytest.mark.parametrize("stop", ["official", "free_iter1", "free_iter3", "free_iter6"])
def test_optimised_prediction(run: str, stop: str, exact: bool) -> None:
    setting = Setting(run, exact)
    expected = setting.expected
    iterations = 40 if stop == "official" else int(stop[-1])
    never = {"threshold": 0.0, "min_iou_change": 0.0}
    rules = StopRules() if stop == "official" else StopRules(**never, max_iterations=iterations)
    predictor = setting.predictor(rules)
    probability = predictor.predict(setting.clicks)
    optimum = predictor.optimum
    assert optimum is not None

    drifts = stop == "free_iter6" and run in ("B_resnet34_dh128", "C_resnet34_dh128")
    atol = 1e-2 if drifts else 1e-3 if setting.name.startswith("hrnet") and stop == "official" else 1e-4
    np.testing.assert_allclose(probability, expected[f"{stop}__prob"], rtol=0, atol=atol)
    if not drifts:
        assert len(optimum.trace) == len(expected[f"{stop}__trace"])
        np.testing.assert_allclose(optimum.trace, expected[f"{stop}__trace"], rtol=0, atol=1e-3)
        np.testing.assert_allclose(optimum.x, expected[f"{stop}__x"], rtol=0, atol=atol)


@BOTH_MODES
@WITH_BRS
def test_optimisation_without_stops_ends_as_low_as_the_original(run: str, exact: bool) -> None:
    setting = Setting(run, exact)
    expected = setting.expected
    predictor = setting.predictor(StopRules(threshold=0.0, min_iou_change=0.0))
    probability = predictor.predict(setting.clicks)
    assert predictor.optimum is not None
    losses = [loss for loss, _ in predictor.optimum.trace]
    assert len(losses) == len(expected["free_full__trace"])
    assert min(losses) == pytest.approx(expected["free_full__trace"][:, 0].min(), abs=0.03)
    assert np.abs(probability - expected["free_full__prob"]).mean() < 0.02


@pytest.mark.parametrize(
    ("name", "mode", "exact"),
    list(product(available("sequence_"), ["NoBRS", "f-BRS-B", "f-BRS-B_limit2"], [True, False])),
)
def test_sequence_of_clicks_with_zoom(name: str, mode: str, exact: bool) -> None:
    expected = fixture(f"sequence_{name}")
    predictor = sequence_predictor(mode, exact)
    clicks = as_clicks(expected["clicks"])
    for n in range(len(clicks)):
        probability = predictor.predict(clicks[: n + 1])
        assert (predictor.roi or NO_ZOOM) == tuple(expected[f"{mode}__rois"][n])
        if mode == "NoBRS" or n < 2:  # later clicks of f-BRS amplify rounding too much to be compared
            np.testing.assert_allclose(probability[::2, ::2], expected[f"{mode}__probs_sub"][n], rtol=0, atol=1e-4)


@pytest.mark.parametrize("mode", [pytest.param("NoBRS", marks=pytest.mark.slow), "f-BRS-B"])
def test_default_follows_exact_through_a_sequence_of_clicks(mode: str) -> None:
    exact, default = sequence_predictor(mode, exact=True), sequence_predictor(mode, exact=False)
    clicks = as_clicks(np.array([[1, 120, 150], [1, 100, 190], [0, 60, 60]]))
    for n in range(len(clicks) if mode == "NoBRS" else 2):
        a, b = exact.predict(clicks[: n + 1]), default.predict(clicks[: n + 1])
        assert exact.roi == default.roi
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)
    assert exact.roi is not None


@cache
def sequence_network(exact: bool) -> ClickNetwork:
    """ResNet-34 with weights under which six clicks are neither all nor nothing."""
    net = fill(build_network("fbrs_resnet34_dh128"))
    state = net.state_dict()
    state["head.layers.2.weight"] *= 20
    state["head.layers.2.bias"].mul_(20).add_(3.0)
    state["rgb_conv.0.weight"][:, :3] *= 0.1
    state["rgb_conv.0.weight"][:, 3:4] *= 3
    state["feature_extractor.head.block.0.body.1.weight"][:, :128] *= 0.02
    prepared = net if exact else rearranged(net)
    assert isinstance(prepared, ClickNetwork)
    return prepared


def sequence_predictor(mode: str, exact: bool) -> Predictor:
    """As the fixtures of a sequence were made."""
    return Predictor(
        sequence_network(exact),
        picture(240, 320, seed=9),
        "NoBRS" if mode == "NoBRS" else "f-BRS-B",
        exact=exact,
        zoom=ZoomSettings(target_px=240, min_crop_px=100),
        net_clicks_limit=2 if mode.endswith("limit2") else 8,
    )
