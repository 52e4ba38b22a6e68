"""The paper's networks in the real pipeline, from checkpoint file to mask.

No checkpoint can be shipped, so files are made here: weights as a function of their names, in the forms that the
authors published (a bare state dict, `module.` prefixes, a training dict). Such networks see nothing in a picture, but
every step between file and mask is taken.
"""

import json
import pickle
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from stages.core.types import Anchor
from stages.engines import registry
from stages.engines.registry import build_network
from stages.formats.scribbles import read_scribbles
from tests.conftest import Clip, Project
from tests.parity.filled import fill

ENGINES = ("--segmenter", "fbrs:resnet50_dh128", "--propagator", "siammask:davis", "--refiner", "cascadepsp:official")
GATES_OFF = ("--lost-score", "0", "--guard-iou", "0", "--guard-area", "1e9")
FILES = {"fbrs": "resnet50_dh128_sbd.pth", "siammask": "SiamMask_DAVIS.pth", "cascadepsp": "cascadepsp.pth"}


def write_checkpoints(folder: Path) -> None:
    """One file per network, each in its authors' form."""
    folder.mkdir(parents=True)
    fbrs = fill(build_network("fbrs_resnet50_dh128")).state_dict()
    fbrs["head.layers.2.bias"] += 3  # so that the first mask is not empty
    torch.save({k: v for k, v in fbrs.items() if not k.endswith("num_batches_tracked")}, folder / FILES["fbrs"])
    siammask = fill(build_network("siammask_sharp")).state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in siammask.items()}, "epoch": 20}, folder / FILES["siammask"])
    torch.save(fill(build_network("cascadepsp")).state_dict(), folder / FILES["cascadepsp"])


@pytest.fixture
def short(project: Project) -> Project:
    """Three frames, the middle one annotated, and a folder of checkpoints."""
    for index in range(3, project.clip.frame_count):
        (project.frames / f"{index:05d}.png").unlink()
    project.clip = Clip(frame_count=3)
    project.scribble(1)
    write_checkpoints(project.folder / "data" / "weights")
    return project


def soft_masks(project: Project) -> dict[str, np.ndarray]:
    """What each stage's network drew."""
    with h5py.File(project.root / "anchor_masks" / "00001" / "probabilities.h5") as file:
        anchors = file["probability"][()]
    with h5py.File(project.root / "tracks" / "00001-00002" / "tracks.h5") as file:
        tracks = file["objects/1/values"][()]
    masks = b"".join(path.read_bytes() for path in sorted((project.root / "masks").glob("*.png")))
    return {"fbrs": anchors, "siammask": tracks, "cascadepsp": np.frombuffer(masks, np.uint8)}


@pytest.mark.slow
def test_every_network_draws_and_every_weight_counts(short: Project) -> None:
    options = (*ENGINES, *GATES_OFF, "--requests", "0")
    short.run("RefineSequence", *options)
    before = soft_masks(short)
    assert all(values.size and values.max() > 0 for values in before.values())
    key = json.loads((short.root / "tracks" / "00001-00002" / "manifest.json").read_text())["key"]
    assert list(key["weights"]) == [FILES["siammask"]]

    for network, file in FILES.items():
        path = short.folder / "data" / "weights" / file
        original = torch.load(path, weights_only=True)
        changed = original.get("state_dict", original)
        name = next(key for key in reversed(changed) if key.endswith("weight") and changed[key].ndim == 4)
        changed[name] = -changed[name]
        torch.save(original, path)
        short.run("RefineSequence", *options)
        after = soft_masks(short)
        assert not np.array_equal(before[network], after[network]), f"{network}: {name} changes nothing"
        before = after


@pytest.mark.slow
def test_every_network_is_called_on_every_frame(short: Project) -> None:
    """The engines as the pipeline builds them; a hook on every module counts."""
    calls = Counter[str]()

    def count(module: torch.nn.Module, _inputs: object, _output: object) -> None:
        calls[type(module).__module__] += 1

    def counted() -> int:
        before = calls.total()
        calls.clear()
        return before

    root, clip = short.folder / "data" / "weights", short.clip
    frames = [clip.frame(index) for index in range(3)]
    scribbles = read_scribbles(short.scribble_file, short.seq, 3).frame(1)
    hook = torch.nn.modules.module.register_module_forward_hook(count)
    try:
        options = {"brs_mode": "NoBRS", "click_spacing_px": 40.0, "box_padding": 0.0, "lost_score": 0.0, "exact": False}
        segmenter = registry.segmenter(ENGINES[1], root, "cpu", options)
        counted()
        masks = segmenter.segment(frames[1], scribbles)
        assert masks.shape == (2, clip.height, clip.width)
        assert counted() > 0

        propagator = registry.propagator(ENGINES[3], root, "cpu", options)
        truth = np.stack([clip.truth(1) == i for i in (1, 2)]).astype(np.float32)
        seen = []
        for result in propagator.propagate(frames, Anchor(1, frames[1], truth), None):
            seen.append(result.index)
            assert counted() > 0
        assert seen == [2]

        refiner = registry.refiner(ENGINES[5], root, "cpu", options)
        for frame in frames:
            refiner.refine(frame, truth[0])
            assert counted() > 0
        assert not refiner.refine(frames[0], np.zeros_like(truth[0])).any()
        assert counted() == 0, "an empty mask costs nothing"
    finally:
        hook.remove()


class Hostile:
    """Unpickling it would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch hostile",)


@pytest.mark.parametrize(
    "damage",
    ["missing", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("hostile", "cut", "another network"))],
)
def test_an_unusable_checkpoint_is_a_clear_error_before_any_work(project: Project, damage: str) -> None:
    project.scribble(2, 5, 8, 11)
    folder = project.folder / "data" / "weights"
    folder.mkdir(parents=True)
    path = folder / "SiamMask_DAVIS.pth"
    if damage == "cut":
        torch.save({"features.weight": torch.zeros(100, 100)}, path)
        path.write_bytes(path.read_bytes()[:20_000])
    elif damage == "another network":
        torch.save({"head.weight": torch.zeros(3, 3)}, path)
    elif damage == "hostile":
        path.write_bytes(pickle.dumps({"weight": Hostile()}))
    output = project.run("RefineSequence", "--propagator", "siammask:davis", expect=30)
    assert "SiamMask_DAVIS.pth" in output
    assert "Traceback" not in output
    assert not (project.folder / "hostile").exists()
    assert project.ran() == []
