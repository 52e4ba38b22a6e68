"""STM with a file as its authors publish one; its weights are arbitrary, since nobody may pass the true ones on."""

from pathlib import Path

import pytest
import torch

from stages.engines.registry import build_network
from tests.conftest import Project
from tests.parity.filled import fill
from tests.tasks.test_doctor import diagnose

pytestmark = pytest.mark.slow


def publish(folder: Path) -> None:
    """A bare state dict in PyTorch's former container, every key behind `module.`, as it was saved on many GPUs."""
    network = build_network("stm")
    buffers = {name: value.clone() for name, value in network.state_dict().items() if name.endswith((".mean", ".std"))}
    fill(network).load_state_dict(buffers, strict=False)
    folder.mkdir(parents=True, exist_ok=True)
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save(state, folder / "STM_weights.pth", _use_new_zipfile_serialization=False)


def test_it_makes_a_result_and_doctor_names_the_terms_of_its_weights(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    well, rows = diagnose(project, propagator="stm:davis", weights_root=str(project.folder / "weights"))
    assert not well
    assert "STM_weights.pth is missing" in rows["engines"] and "curl" in rows["engines"]
    publish(project.folder / "weights")
    well, rows = diagnose(project, propagator="stm:davis", weights_root=str(project.folder / "weights"))
    assert well
    assert rows["engines"] == (
        "ok grabcut + stm:davis + guided; the weights of stm:davis are for non-commercial use only (CC BY-NC-SA 4.0)"
    )
    arguments = ("--propagator", "stm:davis", "--weights-root", "weights", "--refiner", "none")
    project.run("RefineSequence", *arguments)
    assert len(list((project.root / "masks").glob("*.png"))) == 12
    project.ran()
    project.run("RefineSequence", *arguments, "--stm-every", "2")
    assert {name.split("/")[0] for name in project.ran()} >= {"tracks"}


def test_anchors_beyond_count_if_they_are_shown(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    publish(project.folder / "weights")
    arguments = ("--propagator", "stm:davis", "--weights-root", "weights", "--refiner", "none")
    project.run("RefineSequence", *arguments)
    before = (project.root / "tracks" / "00005-00008" / "manifest.json").read_bytes()
    project.run("RefineSequence", *arguments, "--memory-anchors", "4")
    assert (project.root / "tracks" / "00005-00008" / "manifest.json").read_bytes() != before
