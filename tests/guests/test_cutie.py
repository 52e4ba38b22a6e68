"""Cutie: the engine of `plugins/lis-cutie` does what a plain script with the package does, weights being arbitrary."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lis_cutie", reason="make guests builds its environment")
import torch
from cutie.inference.inference_core import InferenceCore
from cutie.inference.utils.args_utils import get_dataset_cfg
from cutie.model.cutie import CUTIE
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import open_dict

import lis_cutie
from lis_cutie.engine import Cutie
from stages.core.errors import WeightsError
from stages.core.types import Anchor
from stages.engines import inventory, registry
from stages.testing import PropagatorContract
from stages.testing.scenes import Scene
from tests.conftest import Project
from tests.parity.filled import fill

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning")]
CHECKPOINTS = {network.name: network.checkpoint for network in lis_cutie.SPEC.networks}


@cache
def arbitrary(name: str = "small") -> CUTIE:
    return fill(registry.build_network(f"cutie_{name}"))


def engine(**options: Any) -> Cutie:
    return Cutie(arbitrary(), **{"device": "cpu", "side_px": 480, "every": 5, **options})


@torch.inference_mode()
def script(scene: Scene, anchors: list[int], frames: range, **settings: Any) -> Iterator[np.ndarray]:
    """As the package's README has it: the last anchor is where it starts, all are permanent memory."""
    GlobalHydra.instance().clear()
    with initialize_config_module("cutie.config", version_base="1.3.2"):
        cfg = compose("eval_config", overrides=["model=small", "dataset=d17-val"])
    with open_dict(cfg):
        get_dataset_cfg(cfg)
        cfg.update(settings)
    processor = InferenceCore(arbitrary(), cfg=cfg)

    def image(index: int) -> torch.Tensor:
        return torch.tensor(scene.frame(index)).permute(2, 0, 1).float() / 255

    for index in anchors:
        processor.clear_sensory_memory()
        masks = torch.tensor(scene.masks(index))
        processor.step(image(index), masks, list(range(1, len(masks) + 1)), idx_mask=False, force_permanent=True)
    for index in frames:
        yield processor.step(image(index))[1:].numpy()


@pytest.mark.parametrize("objects", [1, 3])
@pytest.mark.parametrize(("start", "end", "stretch"), [(2, 11, range(3, 11)), (11, 2, range(10, 2, -1))])
def test_a_direction_is_what_a_script_gives(objects: int, start: int, end: int, stretch: range) -> None:
    scene = Scene(70, 120, objects)
    expected = script(scene, [end, start], stretch)
    frames = [scene.frame(index) for index in range(12)]
    inside = 0
    for index, found in engine().follow(frames, scene.anchor(start), [scene.anchor(end)], stretch):
        for result, mask in zip(found, next(expected), strict=True):
            assert result is not None
            np.testing.assert_array_equal(result.probability, mask if (mask > 0.5).any() else 0 * mask, f"{index}")
            inside += np.count_nonzero(mask > 0.5)
    assert 0 < inside < 0.9 * len(stretch) * 70 * 120, "there was something to compare"


def test_larger_frames_are_looked_at_as_the_package_does() -> None:
    scene = Scene(150, 100)
    expected = [mask[0] for mask in script(scene, [0], range(1, 4), max_internal_size=80, mem_every=2)]
    frames = [scene.frame(index) for index in range(4)]
    found = [
        results[0].probability
        for _, results in engine(side_px=80, every=2).follow(frames, scene.anchor(0), [], range(1, 4))
    ]
    np.testing.assert_array_equal(found, [mask if (mask > 0.5).any() else 0 * mask for mask in expected])


def test_an_anchor_beyond_the_stretch_is_remembered() -> None:
    scene = Scene(48, 64)
    frames = [scene.frame(index) for index in range(8)]
    end, beyond = scene.anchor(5), Anchor(7, scene.frame(7), 1 - scene.masks(7))
    masks = [
        next(engine().follow(frames, scene.anchor(2), others, range(3, 5)))[1][0].probability
        for others in ([end], [end, beyond])
    ]
    assert np.abs(masks[0] - masks[1]).max() > 0


class TestContract(PropagatorContract):
    """Small, since it is dear to make."""

    sizes_hw = ((17, 33), (12, 12), (50, 35))

    def engine(self) -> Cutie:
        return engine()


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["base", "small"])
def test_a_file_of_ones_own_is_known_by_its_entries(name: str, tmp_path: Path) -> None:
    torch.save(arbitrary(name).state_dict(), tmp_path / CHECKPOINTS["any"].file)
    network = registry.load_network("cutie:any", tmp_path)
    assert network.cfg.model.pixel_encoder.type == {"base": "resnet50", "small": "resnet18"}[name]


def test_a_published_file_is_checked_by_its_entries(tmp_path: Path) -> None:
    """It has entries that only training needs."""
    trained = {**arbitrary("base").state_dict(), "aux_computer.sensory_aux.projection.weight": torch.zeros(257, 256)}
    torch.save(trained, tmp_path / CHECKPOINTS["base"].file)
    torch.save(arbitrary("base").state_dict(), tmp_path / CHECKPOINTS["small"].file)
    states = {each.engine.name: each for each in inventory.status(tmp_path) if each.engine.spec is lis_cutie.SPEC}
    assert {name: each.state for name, each in states.items()} == {
        "cutie:base": "present",
        "cutie:small": "wrong",
        "cutie:any": "missing",
    }
    assert "not the published file" in states["cutie:base"].detail
    with pytest.raises(WeightsError, match="does not fit the network cutie_small"):
        registry.load_network("cutie:small", tmp_path)


# --- in the pipeline -----------------------------------------------------------------------------------------------


def test_it_makes_a_result(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    weights = project.folder / "weights"
    arguments = ("--propagator", "cutie:any", "--weights-root", "weights", "--refiner", "none")
    assert "cutie.pth" in project.run("RefineSequence", *arguments, expect=30)
    weights.mkdir(exist_ok=True)
    torch.save(arbitrary().state_dict(), weights / CHECKPOINTS["any"].file)
    project.run("RefineSequence", *arguments)
    assert len(list((project.root / "masks").glob("*.png"))) == 12
    project.ran()
    project.run("RefineSequence", *arguments, "--cutie-every", "2")
    assert {name.split("/")[0] for name in project.ran()} >= {"tracks"}
