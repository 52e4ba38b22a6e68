"""PointRend against what detectron2's own files computed. Fixtures, tolerances: the reference's pointrend/."""

import gzip
import json
import os
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stages.engines.refiners.pointrend.heads import (
    CoarseHead,
    ImplicitMaskHead,
    ImplicitPointHead,
    MaskHead,
    PointHead,
    SemanticHead,
    subdivision,
)
from stages.engines.refiners.pointrend.points import (
    most_uncertain,
    of_boxes,
    of_class,
    regular_grid,
    sample,
    sample_in_boxes,
)
from stages.engines.registry import build_network
from stages.formats.checkpoints import normalise
from stages.nn.normed import fold_frozen_norms
from tests.parity.filled import fill

HERE = Path(__file__).parent / "fixtures" / "pointrend"
FOLDERS = [HERE]
if "LIS_REFERENCE" in os.environ:
    FOLDERS.append(Path(os.environ["LIS_REFERENCE"]) / "pointrend" / "fixtures")
FUNCTION_ATOL, ATOL = 1e-6, 5e-5
BOXES = torch.tensor([[10.0, 20, 110, 90], [0, 0, 304, 200]])


def fixture(name: str) -> dict[str, Tensor]:
    """The arrays of one file of fixtures; skips the test without it."""
    for folder in FOLDERS:
        if (path := folder / f"{name}.npz").exists():
            with np.load(path) as arrays:
                return {key: torch.from_numpy(value) for key, value in arrays.items()}
    pytest.skip(f"{name}.npz is not in the repository: set LIS_REFERENCE")


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32))


def uniform(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32))


def smooth(values: Tensor, factor: float) -> Tensor:
    return functional.avg_pool2d(values, 5, 1, 2) * factor


def p2() -> Tensor:
    return smooth(normal(31, 1, 256, 50, 76), 3)


def check(found: Tensor, expected: Tensor, atol: float = ATOL) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected.numpy(), rtol=0, atol=atol)


def sets(indices: Tensor) -> list[set[int]]:
    return [set(row) for row in indices.tolist()]


# -- functions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "expected", "mode"),
    [
        ("ps_pts", "ps_out", "bilinear"),
        ("ps_pts", "ps_nearest_out", "nearest"),
        ("ps_edge", "ps_edge_out", "bilinear"),
        ("ps_grid", "ps_grid_out", "bilinear"),
    ],
)
def test_what_maps_hold_at_points(points: str, expected: str, mode: str) -> None:
    arrays = fixture("functions")
    check(sample(arrays["ps_feat"], arrays[points], mode), arrays[expected], FUNCTION_ATOL)


def test_where_to_look() -> None:
    arrays = fixture("functions")
    check(regular_grid(2, 7), arrays["reg7"], FUNCTION_ATOL)
    for number, name in ((40, "40"), (10_000, "_all")):
        indices, points = most_uncertain(arrays["unc"], number)
        assert torch.equal(indices, arrays[f"unc_idx{name}"])
        check(points, arrays[f"unc_coords{name}"], FUNCTION_ATOL)


def test_points_of_boxes() -> None:
    arrays = fixture("functions")
    points, boxes = arrays["box_pts"], arrays["boxes"]
    check(of_boxes(points, boxes), arrays["box_pts_image"], 1e-4)
    check(sample_in_boxes([arrays["box_feat"]], [1 / 4], points, boxes), arrays["box_out"], FUNCTION_ATOL)
    twice = sample_in_boxes([arrays["box_feat"]] * 2, [1 / 4] * 2, points, boxes)
    check(twice, torch.cat([arrays["box_out"]] * 2, 1), FUNCTION_ATOL)


# -- heads -------------------------------------------------------------------------------------------------------------


@torch.inference_mode()
@pytest.mark.parametrize(
    ("head", "coarse", "expected"),
    [
        (partial(PointHead, 256, 80), normal(22, 2, 80, 64), "std80_out"),
        (partial(PointHead, 256, 19, coarse_at_each_layer=False), normal(23, 2, 19, 64), "std19_noeach_out"),
        (partial(PointHead, 256, 1, class_agnostic=True), normal(24, 2, 1, 64), "std1_out"),
    ],
)
def test_point_heads(head: partial, coarse: Tensor, expected: str) -> None:
    check(fill(head())(normal(21, 2, 256, 64), coarse), fixture("heads")[expected])


@torch.inference_mode()
def test_coarse_head() -> None:
    head = fill(CoarseHead(256, (80, 7, 7)))
    check(head(normal(25, 2, 256, 14, 14)), fixture("heads")["convfc_out"])


@torch.inference_mode()
def test_implicit_head() -> None:
    arrays, head = fixture("heads"), fill(ImplicitPointHead(256, 80))
    assert head.number_of_parameters == arrays["implicit_num_params"]
    check(head.positional_encoding_gaussian_matrix, arrays["implicit_gauss"], FUNCTION_ATOL)
    parameters = 0.05 * normal(26, 2, 283_472)
    check(head(normal(21, 2, 256, 64), uniform(27, 2, 64, 2), parameters), arrays["implicit_out"])


# -- subdivision -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "head", "classes"),
    [
        ("instance80", partial(MaskHead, 80), [3, 17]),
        ("instance1", partial(MaskHead, 1, class_agnostic=True), [0, 0]),
        ("implicit80", partial(ImplicitMaskHead, 80), [3, 17]),
    ],
)
def test_masks_of_boxes(name: str, head: partial, classes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    arrays, chosen, built = fixture(f"subdivision_{name}"), torch.tensor(classes), fill(head())
    looked_at: list[Tensor] = []

    def recorded(*given: Any) -> tuple[Tensor, Tensor]:
        found = most_uncertain(*given)
        looked_at.append(found[0])
        return found

    monkeypatch.setattr("stages.engines.refiners.pointrend.points.most_uncertain", recorded)
    if isinstance(built, MaskHead):
        check(built.coarse(p2(), BOXES), arrays["coarse"])
        assert subdivision(7, 5, 784) == (arrays["init_res"], arrays["steps"])
    else:
        monkeypatch.setattr(built.parameter_head, "forward", lambda _boxes: 0.05 * normal(26, 2, 283_472))
    check(of_class(built(p2(), BOXES, chosen), chosen)[:, 0], arrays["logits"])
    assert len(looked_at) == 3
    for step, indices in enumerate(looked_at):
        assert sets(indices) == sets(arrays[f"indices_step{step}"])


@torch.inference_mode()
def test_labels_of_a_picture() -> None:
    arrays, head = fixture("subdivision_semantic19"), SemanticHead(19, points=1024)
    fill(head)
    found = head.finished(smooth(normal(41, 1, 19, 40, 60), 5), smooth(normal(42, 1, 256, 40, 60), 3))
    assert (found.argmax(1)[0] == arrays["argmax"]).float().mean() > 0.9999
    check(found[0, 0], arrays["class0"])
    check(found[0, :, ::4, ::4], arrays["sub4"])


@torch.inference_mode()
def test_one_point_more_than_pixels_is_all_of_them() -> None:
    """A step that predicts every pixel leaves nothing of what was there."""
    head = fill(SemanticHead(5, steps=1, points=10**6))
    coarse, fine = normal(1, 1, 5, 6, 9), normal(2, 1, 256, 6, 9)
    found = head.finished(coarse, fine)
    rows, columns = torch.meshgrid((torch.arange(12) + 0.5) / 12, (torch.arange(18) + 0.5) / 18, indexing="ij")
    points = torch.stack([columns, rows], -1).view(1, -1, 2)
    check(found.flatten(2), head.point_head(sample(fine, points), sample(coarse, points)))


# -- the network -------------------------------------------------------------------------------------------------------


def listed(*parts: str) -> dict[str, tuple[int, ...]]:
    keys = json.loads(gzip.decompress((HERE / "keys.json.gz").read_bytes()))
    return {
        each["key"]: tuple(each["shape"])
        for name, entries in keys.items()
        if name.startswith(parts)
        for each in entries
    }


def entries(network: torch.nn.Module, prefix: str = "") -> dict[str, tuple[int, ...]]:
    return {f"{prefix}{name}": tuple(value.shape) for name, value in normalise(network.state_dict()).items()}


def test_keys_and_shapes_are_those_of_the_checkpoint() -> None:
    assert entries(build_network("pointrend_coco_r50")) == listed("instance80", "backbone_R50")
    mask_head = "roi_heads.mask_head."
    assert entries(MaskHead(1, class_agnostic=True), mask_head) == listed("instance1")
    with torch.device("meta"):
        assert entries(ImplicitMaskHead(80), mask_head) == listed("implicit80")
    assert entries(SemanticHead(19), "sem_seg_head.") == listed("semantic")


@cache
def network(exact: bool) -> torch.nn.Module:
    built = fill(build_network("pointrend_coco_r50"))
    if not exact:
        fold_frozen_norms(built)
    return built


@pytest.mark.slow
@torch.inference_mode()
def test_folding_changes_nothing() -> None:
    picture = 255 * uniform(1, 1, 3, 61, 94)
    one, other = network(exact=True).p2(picture), network(exact=False).p2(picture)
    assert one.shape == (1, 256, 16, 24)
    check(other, one, atol=float(1e-5 * one.abs().max()))
