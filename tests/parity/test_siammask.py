"""SiamMask against what the official code computed. Tolerances: the reference's siammask/fixtures/README.md.

Beside this test lie the fixtures that fit into a repository. LIS_REFERENCE has all of them, and is preferred where set.
"""

import gzip
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.engines.propagators.siammask import crops, postprocess
from stages.engines.propagators.siammask.fast import rearranged
from stages.engines.propagators.siammask.network import SiamMask
from stages.engines.propagators.siammask.postprocess import CONFIGURATIONS
from stages.engines.propagators.siammask.tracker import Network, Target, begin, search, siammask
from stages.engines.registry import build_network
from tests.parity.filled import fill, picture

Arrays = dict[str, NDArray]

HERE = Path(__file__).parent / "fixtures" / "siammask"
FOLDERS = [HERE]
if "LIS_REFERENCE" in os.environ:
    FOLDERS.insert(0, Path(os.environ["LIS_REFERENCE"]) / "siammask" / "fixtures")
CPU = torch.device("cpu")
BOTH_MODES = pytest.mark.parametrize("exact", [True, False], ids=["exact", "default"])

# Powers of two that keep activations near 1; with `fill` alone they reach 1e4, where biases vanish.
CALIBRATION = {
    "features.features.conv1.weight": 2.0**-8,
    "rpn_model.cls.head.3.weight": 2.0,
    "rpn_model.loc.head.3.weight": 2.0**-3,
}
# OpenCV before 5 rounds the coordinates of warpAffine to 1/32 pixel.
EXACT_WARP = int(cv2.__version__.split(".")[0]) >= 5
PASTE_TOLERANCE, PASTE_FLIPS = (1e-6, 0) if EXACT_WARP else (2e-2, 5)


def names(prefix: str, *given: str) -> list[str]:
    """Fixtures whose name begins like this: those that are given, and any more that are there."""
    found = {path.stem for folder in FOLDERS for path in folder.glob(f"{prefix}*.npz")}
    return sorted({*given, *found} - {"track_frames"})


@cache
def fixture(name: str) -> Arrays:
    """The arrays of one file."""
    for folder in FOLDERS:
        if (path := folder / f"{name}.npz").exists():
            with np.load(path) as arrays:
                return dict(arrays)
    pytest.skip(f"{name}.npz: set LIS_REFERENCE to the folder that holds siammask/fixtures")


@cache
def network(kind: str, calibrated: bool, exact: bool = True) -> Network:
    """Filled; prepared as the tracker does it."""
    if not exact:
        plain = network(kind, calibrated)
        assert isinstance(plain, SiamMask)
        return rearranged(plain)
    made = fill(build_network(f"siammask_{kind}"))
    state = made.state_dict()
    for name in CALIBRATION if calibrated else ():
        state[name].mul_(CALIBRATION[name])
    assert isinstance(made, SiamMask)
    return made


def as_input(side: int, seed: int) -> Tensor:
    return torch.from_numpy(picture(side, side, seed)).permute(2, 0, 1).unsqueeze(0).float()


def relative(found: Tensor | NDArray, expected: NDArray) -> float:
    return float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())


def distance(found: object, expected: NDArray) -> float:
    return float(np.abs(np.asarray(found, dtype=np.float64) - expected).max())


def corners_apart(found: NDArray, expected: NDArray) -> float:
    """Largest distance from a corner to the nearest one of the other rectangle, whatever their order."""
    apart = np.linalg.norm(found[:, np.newaxis] - expected, axis=-1)
    return float(max(apart.min(axis=0).max(), apart.min(axis=1).max()))


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


# -- the networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sharp", "base"])
def test_keys_shapes_and_order_are_those_of_the_checkpoint(kind: str) -> None:
    expected = json.loads(gzip.decompress((HERE / "keys.json.gz").read_bytes()))[kind]
    built = build_network(f"siammask_{kind}")
    assert [(name, list(value.shape)) for name, value in built.state_dict().items()] == list(expected.items())
    assert not built.training
    assert all(parameter.dtype == torch.float32 for parameter in built.parameters())


@pytest.mark.parametrize("name", names("net_", "net_sharp_fill", "net_sharp_calibrated", "net_base_fill"))
@BOTH_MODES
def test_classes_boxes_and_masks(name: str, exact: bool) -> None:
    expected = fixture(name)
    _, kind, weights = name.split("_")
    net = network(kind, weights == "calibrated", exact)
    cls, loc, state = net.track_mask(net.template(as_input(127, 11)), as_input(255, 12))
    assert relative(cls, expected["cls"]) <= 1e-5
    assert relative(loc, expected["loc"]) <= 1e-5
    key, tolerance = ("refine_at", 2e-5) if kind == "sharp" else ("mask_at", 1e-5)
    for (y, x), values in zip(expected["positions"].tolist(), expected[key], strict=True):
        logits = net.refine(state, y, x)
        assert logits.shape == (1, net.mask_side, net.mask_side)
        assert relative(logits.flatten(), values) <= tolerance
        if weights == "calibrated":
            assert distance(logits.flatten().sigmoid(), torch.from_numpy(values).sigmoid().numpy()) <= 1e-5


@pytest.mark.parametrize("name", names("net_", "net_sharp_fill", "net_sharp_calibrated", "net_base_fill"))
def test_features_on_the_way(name: str) -> None:
    expected = fixture(name)
    _, kind, weights = name.split("_")
    net = network(kind, weights == "calibrated")
    assert isinstance(net, SiamMask)
    template, search_crop = net.template(as_input(127, 11)), as_input(255, 12)
    p0, p1, p2, search_feature = net.features(search_crop)
    _, _, state = net.track_mask(template, search_crop)
    rows, columns = expected["positions"].T
    found = {
        "zf": template,
        "search_sub": search_feature[:, ::8],
        "mask_at": state.coarse[0, :, rows, columns].T,
        "p0_sub": p0[:, ::8, ::8, ::8],
        "p1_sub": p1[:, ::16, ::4, ::4],
        "p2_sub": p2[:, ::16, ::2, ::2],
        "p3_sub": net.features.features(search_crop)[-1][:, ::32, ::2, ::2],
        "corr_sub": state.correlation[:, ::4],
        "corr_at": state.correlation[0, :, rows, columns].T,
    }
    compared = {key: relative(value, expected[key]) for key, value in found.items() if key in expected}
    assert {"zf", "search_sub", "mask_at"} <= set(compared)
    assert max(compared.values()) <= 1e-5, compared


# -- anchors and crops -------------------------------------------------------------------------------------------------


def test_anchors_and_window() -> None:
    expected = fixture("anchors")
    np.testing.assert_array_equal(crops.anchor_shapes(), expected["base_anchors"])
    np.testing.assert_array_equal(crops.anchors(), expected["anchors"])
    assert crops.anchors().dtype == np.float32
    assert distance(crops.cosine_window(), expected["window"]) <= 1e-7
    assert distance(crops.cosine_window()[:625], expected["window64"]) <= 1e-15
    assert expected["score_size"] == crops.CELLS


def test_mean_colour() -> None:
    expected = fixture("crops")
    np.testing.assert_array_equal(crops.mean_colour(picture(*expected["frame_hw_seed"])), expected["avg_chans"])


@pytest.mark.parametrize("case", range(17))
def test_crops_are_equal_bit_by_bit(case: int) -> None:
    expected = fixture("crops")
    frame, fill_colour = picture(*expected["frame_hw_seed"]), expected["avg_chans"]
    x, y, side, out_side = expected["cases"][case]
    raw = crops.crop(frame, (x, y), int(side), fill_colour, int(side))
    np.testing.assert_array_equal(raw, expected[f"raw_{case:02d}"])
    resized = crops.crop(frame, (x, y), int(side), fill_colour, int(out_side))
    np.testing.assert_array_equal(resized, expected[f"crop_{case:02d}"])


# -- one tracking step on stored arrays --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", range(10))
def test_step_after_the_network(case: int) -> None:
    stored = fixture("post_arrays") | fixture("post_small")
    if f"c{case}_cls" not in stored:
        pytest.skip(f"case {case}: set LIS_REFERENCE to the folder that holds siammask/fixtures")
    expected = {key.removeprefix(f"c{case}_"): value for key, value in stored.items() if key.startswith(f"c{case}_")}
    height, width, *state = stored["cases"][case].tolist()
    frame_wh, centre_xy, size_wh = (int(width), int(height)), (state[0], state[1]), (state[2], state[3])
    penalty_k, window_influence, size_rate, mask_threshold = state[4:8]

    area = crops.search_area(centre_xy, size_wh)
    assert area.unrounded_side == pytest.approx(float(expected["s_x"]), rel=1e-12)
    assert area.scale == pytest.approx(float(expected["scale_x"]), rel=1e-12)
    np.testing.assert_allclose(area.box_xywh, expected["crop_box"], rtol=1e-12)

    score = postprocess.foreground_score(expected["cls"])
    boxes = postprocess.decode_boxes(expected["loc"], crops.anchors())
    target_wh = (size_wh[0] * area.scale, size_wh[1] * area.scale)
    penalty = postprocess.size_penalty(boxes, target_wh, penalty_k)
    ranking = postprocess.penalised_score(score, penalty, crops.cosine_window(), window_influence)
    assert distance(score, expected["score"]) <= 1e-6
    assert relative(boxes, expected["boxes_in_crop"]) <= 1e-6
    assert distance(penalty, expected["penalty"]) <= 2e-7
    assert distance(ranking, expected["pscore"]) <= 2e-7

    best = postprocess.best_candidate(ranking, boxes)
    assert best is not None
    assert [best.index, best.y, best.x] == expected["best"][:3].tolist()
    assert distance(score[best.index], expected["best_score"]) <= 1e-6
    rate = float(penalty[best.index] * score[best.index]) * size_rate
    assert distance(rate, expected["lr"]) <= 1e-6
    assert distance(boxes[:, best.index] / area.scale, expected["pred_in_crop"]) <= 1e-4

    unclipped = postprocess.next_state(area, size_wh, boxes[:, best.index], rate)
    new_centre_xy, new_size_wh = postprocess.clip_state(*unclipped, frame_wh)
    assert distance(new_centre_xy, expected["new_pos"]) <= 1e-4
    assert distance(new_size_wh, expected["new_size"]) <= 1e-4

    logits = expected["refine_logits"]
    patch_box = postprocess.patch_box(area, best.y, best.x)
    frame_box = postprocess.frame_box(patch_box, logits.shape[0], frame_wh)
    np.testing.assert_allclose(patch_box, expected["sub_box"], rtol=1e-12)
    np.testing.assert_allclose(frame_box, expected["back_box"], rtol=1e-12)
    mask = postprocess.paste(torch.from_numpy(logits).sigmoid().numpy(), frame_box, frame_wh)
    assert distance(mask, expected["mask_in_img"]) <= PASTE_TOLERANCE
    assert np.sum((mask > mask_threshold) != expected["target_mask"]) <= PASTE_FLIPS
    if EXACT_WARP:
        assert corners_apart(postprocess.rotated_box(mask > mask_threshold, *unclipped), expected["rbox"]) <= 1e-2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("davis", (0.04, 0.40, 1.0, 0.35)),
        ("vot", (0.04, 0.42, 0.25, 0.30)),
        ("vot18", (0.10, 0.41, 0.32, 0.15)),
        ("base", (0.09, 0.39, 0.38, 0.30)),
    ],
)
def test_published_configurations(name: str, expected: tuple[float, ...]) -> None:
    found = CONFIGURATIONS[name]
    assert (found.penalty_k, found.window_influence, found.size_rate, found.mask_threshold) == expected


# -- whole tracks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names("track_", "track_davis", "track_vot"))
@BOTH_MODES
def test_track(name: str, exact: bool) -> None:
    expected, video = fixture(name), fixture("track_frames")
    configuration = CONFIGURATIONS[name.removeprefix("track_")]
    frames = np.ascontiguousarray(video["frames_bgr"][..., ::-1])
    net = network("sharp", True, exact)
    x, y, width, height = (float(value) for value in video["init_box_xywh"])
    target: Target = begin(net, frames[0], (x, y, width, height), CPU)
    flips = 0
    for number, frame in enumerate(frames[1:]):
        area = crops.search_area(target.centre_xy, target.size_wh)
        assert distance(area.box_xywh, expected["crop_box"][number]) <= 1e-3
        sighting = search(net, target, frame, configuration)
        assert sighting is not None
        target = sighting.target
        assert sighting.best.index == expected["best_id"][number]
        assert [sighting.best.y, sighting.best.x] == expected["best_yx"][number].tolist()
        assert distance(sighting.score, expected["score"][number]) <= 1e-5
        assert distance(target.centre_xy, expected["target_pos"][number]) <= 1e-3
        assert distance(target.size_wh, expected["target_size"][number]) <= 1e-3
        assert distance(sighting.mask, expected["mask"][number]) <= (1e-3 if EXACT_WARP else 2e-2)
        solid = sighting.mask > configuration.mask_threshold
        flipped = int(np.sum(solid != (expected["mask"][number] > configuration.mask_threshold)))
        if not flipped:
            assert corners_apart(postprocess.rotated_box(solid, *sighting.unclipped), expected["rbox"][number]) <= 1e-2
        flips += flipped
    assert flips <= (10 if EXACT_WARP else 50)


@BOTH_MODES
def test_the_pipelines_tracker_goes_the_same_way(exact: bool) -> None:
    """Started from a mask instead of a box, and with 0.5 in the place of the threshold."""
    expected, video = fixture("track_davis"), fixture("track_frames")
    frames = np.ascontiguousarray(video["frames_bgr"][..., ::-1])
    x, y, width, height = video["init_box_xywh"].tolist()
    anchor = np.zeros(frames[0].shape[:2], dtype=np.float32)
    anchor[y : y + height, x : x + width] = 0.9
    net = network("sharp", True)
    assert isinstance(net, SiamMask)
    tracker = siammask(net, "davis", exact=exact, minimum_score=None)()
    tracker.start(frames[0], anchor)
    for number, frame in enumerate(frames[1:]):
        result = tracker.step(frame)
        target_mask = expected["mask"][number] > CONFIGURATIONS["davis"].mask_threshold
        assert np.sum((result.probability > 0.5) != target_mask) <= (10 if EXACT_WARP else 50)
        left, top, right, bottom = result.box_xyxy
        assert distance([(left + right) / 2, (top + bottom) / 2], expected["target_pos"][number]) <= 1e-3
        assert distance([right - left, bottom - top], expected["target_size"][number]) <= 1e-3
        assert result.score == pytest.approx(float(expected["score"][number]), abs=1e-5)
