"""SAM 2: the engines of `plugins/lis-sam2` do what a plain script with the package does, weights being arbitrary."""

import gc
import os
import resource
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("lis_sam2", reason="make guests builds its environment")
import torch
from sam2.build_sam import build_sam2_video_predictor
from sam2.sam2_video_predictor import SAM2VideoPredictor

import lis_sam2
from lis_sam2.prompts import prompt_of
from lis_sam2.propagator import Sam2Propagator
from lis_sam2.segmenter import Sam2Segmenter
from stages.core.errors import WeightsError
from stages.core.strokes import FrameScribbles, Line
from stages.core.types import Anchor, Frame
from stages.engines import inventory, registry
from stages.formats.checkpoints import misfits
from stages.testing import PropagatorContract, SegmenterContract
from stages.testing.scenes import Scene, Video
from tests.conftest import Project

pytestmark = pytest.mark.slow
SIDE = 128
TOLERANCE = 1e-6
"""Of a probability: one rounding of float32 is half of it."""
CHECKPOINTS = {network.name: network.checkpoint for network in lis_sam2.PROPAGATOR.networks}


@cache
def arbitrary() -> SAM2VideoPredictor:
    """As it was built, but that it takes every object for visible: elsewhere there would be nothing to compare."""
    torch.manual_seed(1)
    network = registry.build_network("sam2_tiny")
    network.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data += 10
    return network


@cache
def plain() -> SAM2VideoPredictor:
    """As a script builds it."""
    overrides = [f"++model.image_size={SIDE}"]
    predictor = build_sam2_video_predictor("configs/sam2.1/sam2.1_hiera_t.yaml", None, "cpu", "eval", overrides)
    predictor.load_state_dict(arbitrary().state_dict())
    predictor.fill_hole_area = 0  # on a CPU it fills none, and says so with each frame
    return predictor


@cache
def propagator() -> Sam2Propagator:
    return Sam2Propagator(arbitrary(), device="cpu", side_px=SIDE)


@cache
def segmenter() -> Sam2Segmenter:
    return Sam2Segmenter(arbitrary(), device="cpu", side_px=SIDE + 7, spacing_px=10, most_points=8)


def photographed(scene: Scene, folder: Path, count: int) -> list[Frame]:
    """A folder as the package's loader takes it, and the frames that it then sees."""
    folder.mkdir(exist_ok=True)
    for index in range(count):
        Image.fromarray(scene.frame(index)).save(folder / f"{index:05d}.jpg", quality=95)
    return [np.array(Image.open(folder / f"{index:05d}.jpg")) for index in range(count)]


# --- propagation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objects", [1, 3])
@pytest.mark.parametrize(("start", "end", "stretch"), [(1, 22, range(2, 22)), (22, 1, range(21, 1, -1))])
def test_a_direction_is_what_a_script_gives(objects: int, start: int, end: int, stretch: range, tmp_path: Path) -> None:
    scene = Scene(70, 120, objects)
    frames = photographed(scene, tmp_path, 24)
    state = plain().init_state(str(tmp_path))
    for index in (start, end):
        for number, mask in enumerate(scene.masks(index)):
            plain().add_new_mask(state, index, number, mask > 0.5)
    script = plain().propagate_in_video(state, start, reverse=stretch.step < 0)
    expected = {index: torch.sigmoid(logits[:, 0]).numpy() for index, _, logits in script}

    first, last = (Anchor(index, frames[index], scene.masks(index)) for index in (start, end))
    inside = []
    for index, found in propagator().follow(frames, first, [last], stretch):
        for result, mask in zip(found, expected[index], strict=True):
            assert result is not None
            wanted = mask if (mask > 0.5).any() else 0 * mask
            np.testing.assert_allclose(result.probability, wanted, rtol=0, atol=TOLERANCE, err_msg=f"{index}")
            inside.append((mask > 0.5).mean())
    assert len(inside) == 20 * objects and 0.02 < np.mean(inside) < 0.98, "there was something to compare"


def test_a_mask_of_a_person_is_a_prompt_for_good(tmp_path: Path) -> None:
    """Nothing that SAM 2 finds replaces it: not on its own frame, nor in what is remembered of it."""
    scene = Scene(70, 120)
    frames = [scene.frame(index) for index in range(6)]
    masks = []
    for given in (scene.masks(5), scene.masks(5), 1 - scene.masks(5)):
        found = propagator().propagate(frames, scene.anchor(0), Anchor(5, frames[5], given))
        masks.append({result.index: result.probability for result in found})
    assert all(sorted(each) == [1, 2, 3, 4] for each in masks)
    assert all((masks[0][index] == masks[1][index]).all() for index in masks[0])
    assert any((masks[0][index] != masks[2][index]).any() for index in masks[0])


@pytest.mark.parametrize(
    "count",
    [
        100,
        pytest.param(2000, marks=pytest.mark.skipif("LIS_LONG" not in os.environ, reason="LIS_LONG=1: minutes")),
    ],
)
def test_memory_is_flat_in_the_length_of_the_clip(count: int) -> None:
    """Counted in tensors that live after each frame, in the frames that are held, and in the process's peak."""
    scene = Scene(24, 32)
    video = Video(scene, count, range(count))
    live, peak = [], []
    stretch = range(1, count)
    for index, _ in propagator().follow(video, scene.anchor(0), [], stretch):
        if index % 20 == 0 and index > 20:
            gc.collect()
            tensors = {each.data_ptr(): each.nbytes for each in gc.get_objects() if type(each) is torch.Tensor}
            live.append(sum(tensors.values()))
            peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert set(live) == {live[0]}, "bytes of tensors"
    assert video.most_kept <= 3
    assert peak[-1] - peak[0] < 32 * 1024, f"KiB at the peak: {peak}"
    print(f"{count} frames: {live[0]} to {live[-1]} bytes of tensors, peak {peak[0]} to {peak[-1]} KiB")  # noqa: T201


class TestPropagator(PropagatorContract):
    sizes_hw = ((17, 33), (12, 12), (50, 35))

    def engine(self) -> Sam2Propagator:
        return propagator()


# --- segmentation --------------------------------------------------------------------------------------------------


class TestSegmenter(SegmenterContract):
    sizes_hw = ((17, 33), (12, 12), (50, 35))

    def engine(self) -> Sam2Segmenter:
        return segmenter()


@pytest.mark.parametrize("objects", [1, 3])
@pytest.mark.parametrize("corrects", [False, True])
def test_a_mask_is_what_a_script_gives(objects: int, corrects: bool, tmp_path: Path) -> None:
    scene = Scene(70, 120, objects)
    (frame,) = photographed(scene, tmp_path, 1)
    strokes = scene.scribbles()
    state = plain().init_state(str(tmp_path))
    expected = []
    for number, (object_id, points) in enumerate(segmenter().clicks_used(strokes, (120, 70)).items()):
        if corrects:
            plain().add_new_mask(state, 0, object_id, scene.masks(3)[number] > 0.5)
        yx = [*points.positive_yx.tolist(), *points.negative_yx.tolist()]
        labels = [1] * len(points.positive_yx) + [0] * len(points.negative_yx)
        xy = np.array([[x, y] for y, x in yx], np.float32)
        _, ids, logits = plain().add_new_points_or_box(state, 0, object_id, xy, np.array(labels, np.int32))
        expected.append(torch.sigmoid(logits[ids.index(object_id), 0]).numpy())
    found = segmenter().segment(frame, strokes, scene.masks(3) if corrects else None)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert 0.02 < (found > 0.5).mean() < 0.98


def side(one: tuple[float, float], other: tuple[float, float]) -> Line:
    return Line(0, (one, other))


def test_strokes_become_points_and_a_drawn_box_becomes_a_box() -> None:
    stroke, other = Line(1, ((0.3, 0.5), (0.5, 0.5))), Line(2, ((0.8, 0.5), (0.85, 0.5)))
    sides = [
        side((0.2, 0.3), (0.6, 0.3)),
        side((0.2, 0.7), (0.6, 0.7)),
        side((0.2, 0.3), (0.2, 0.7)),
        side((0.6, 0.3), (0.6, 0.7)),
    ]
    scribbles = FrameScribbles((stroke, other, *sides))
    found = prompt_of(scribbles, 1, (200, 100), 10, 2)
    assert found.box_xyxy == pytest.approx((40, 30, 120, 70))
    np.testing.assert_allclose(found.points.positive_yx, [[50, 65], [50, 95]])
    np.testing.assert_allclose(found.points.negative_yx, [[50, 165]])
    assert prompt_of(scribbles, 2, (200, 100), 10, 3).box_xyxy is None, "it is another object's box"
    at_the_border = FrameScribbles((stroke, sides[0], sides[3]))
    assert prompt_of(at_the_border, 1, (200, 100), 10, 3).box_xyxy == pytest.approx((0, 30, 120, 100))
    assert prompt_of(FrameScribbles((stroke, sides[0])), 1, (200, 100), 10, 3).box_xyxy is None, "a single line"


def test_a_box_counts(tmp_path: Path) -> None:
    scene = Scene(70, 120)
    lines = [scene.dot(0, 1), side((0.2, 0.1), (0.8, 0.1)), side((0.2, 0.9), (0.8, 0.9)), side((0.2, 0.1), (0.2, 0.9))]
    boxed = segmenter().segment(scene.frame(0), FrameScribbles(tuple(lines)))
    assert (boxed != segmenter().segment(scene.frame(0), FrameScribbles(tuple(lines[:1])))).any()


# --- files ---------------------------------------------------------------------------------------------------------


def configuration(size: str, version: str) -> dict[str, torch.Tensor]:
    """The entries of a published file, in its form, their values arbitrary."""
    letter = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}[size]
    name = f"configs/sam{version}/sam{version}_hiera_{letter}.yaml"
    return build_sam2_video_predictor(name, None, "cpu").state_dict()


@pytest.mark.parametrize("size", ["tiny", "small", "base_plus", "large"])
@pytest.mark.parametrize("version", ["2", "2.1"])
def test_a_network_is_known_by_its_entries(size: str, version: str) -> None:
    state = configuration(size, version)
    for key in ("sam2_any", f"sam2_{size}"):
        assert misfits(registry.build_network(key, state), state) == []


def test_a_published_file_of_either_version_will_do(tmp_path: Path) -> None:
    state = configuration("tiny", "2")
    torch.save({"model": state}, tmp_path / "sam2_hiera_tiny.pt")
    assert sorted(registry.load_network("sam2:tiny", tmp_path).state_dict()) == sorted(state)


def test_a_file_of_another_size_is_told_from_its_entries(tmp_path: Path) -> None:
    torch.save({"model": configuration("small", "2.1")}, tmp_path / CHECKPOINTS["tiny"].file)
    with pytest.raises(WeightsError, match="does not fit the network sam2_tiny"):
        registry.load_network("sam2:tiny", tmp_path)
    states = [(each.engine.name, each.state) for each in inventory.status(tmp_path) if "sam2" in each.engine.name]
    assert states == [(f"sam2:{name}", "wrong" if name == "tiny" else "missing") for name in CHECKPOINTS]


# --- in the pipeline -----------------------------------------------------------------------------------------------


def test_it_makes_a_result_in_which_what_a_person_gave_stays(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    given = project.scribble_file.with_name("001.masks") / "00008.png"
    given.parent.mkdir()
    Image.fromarray(project.clip.truth(8)).save(given)
    weights = project.folder / "weights"
    weights.mkdir(exist_ok=True)
    torch.save({"model": arbitrary().state_dict()}, weights / CHECKPOINTS["any"].file)
    arguments = ["--segmenter", "sam2:any", "--propagator", "sam2:any", "--sam2-side", "128"]
    project.run("RefineSequence", *arguments, "--weights-root", "weights", "--refiner", "none")
    assert len(list((project.root / "masks").glob("*.png"))) == 12
    np.testing.assert_array_equal(np.array(Image.open(project.root / "masks" / "00008.png")), project.clip.truth(8))


def test_the_same_arguments_are_built_by_name(tmp_path: Path) -> None:
    torch.save({"model": arbitrary().state_dict()}, tmp_path / CHECKPOINTS["any"].file)
    options: dict[str, Any] = {"sam2_side": SIDE}
    built = registry.propagator("sam2:any", tmp_path, "cpu", options)
    scene = Scene(24, 32)
    frames = [scene.frame(index) for index in range(3)]
    one, other = (list(each.propagate(frames, scene.anchor(0), None)) for each in (built, propagator()))
    assert all((a.probability == b.probability).all() for a, b in zip(one, other, strict=True))
