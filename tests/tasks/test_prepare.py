"""What a parent makes before it forks, so that no child has to."""

import os
import shutil
from pathlib import Path

import cv2
import pytest
import torch

from stages.engines import registry, weight_files
from tasks import AnchorMask, Frames, RefineSegment
from tasks.runtime import locks, machine
from tests.conftest import Project


def anchor_mask(root: Path, device: str = "cpu") -> AnchorMask:
    return AnchorMask(seq="any", frame=0, segmenter="fbrs:lite", weights_root=str(root), device=device)


def no_network(*_: object) -> None:
    raise AssertionError("a network was loaded")


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A folder of its own, so that nothing is built yet."""
    folder = tmp_path / "weights"
    folder.mkdir()
    shutil.copy(weight_files.locate(registry.find("segmenter", "fbrs:lite"), None), folder)
    return folder


def test_an_engine_is_built_once_for_all_tasks(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anchor_mask(checkpoints).prepare()
    monkeypatch.setattr(registry, "load_network", no_network)
    assert anchor_mask(checkpoints).engine() is anchor_mask(checkpoints).engine()


def test_another_file_makes_another_engine(checkpoints: Path) -> None:
    before = anchor_mask(checkpoints).engine()
    os.utime(checkpoints / "fbrs_lite.safetensors", (1, 1))
    assert anchor_mask(checkpoints).engine() is not before


def test_what_may_go_to_a_gpu_is_left_to_the_child(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load_network", no_network)
    anchor_mask(checkpoints, device="cuda").prepare()


def test_whatever_is_wrong_with_an_engine_is_left_for_the_task_to_meet(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "load_network", no_network)
    anchor_mask(checkpoints).prepare()
    with pytest.raises(AssertionError, match="a network was loaded"):
        anchor_mask(checkpoints).engine()


@pytest.mark.parametrize("gpu", [True, False])
def test_auto_is_the_cpu_where_there_is_no_gpu(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: bool
) -> None:
    monkeypatch.setattr(machine, "_GPUS", (tmp_path if gpu else tmp_path / "nothing",))
    monkeypatch.setattr(machine, "_finds_gpu", lambda: True)
    built = []
    monkeypatch.setattr(registry, "load_network", lambda *_: built.append(True) or no_network())
    anchor_mask(checkpoints, device="auto").prepare()
    assert built == ([] if gpu else [True])


def test_a_missing_checkpoint_is_left_for_the_task_to_tell(tmp_path: Path) -> None:
    RefineSegment(
        seq="any", start=0, stop=9, refiner="cascadepsp:official", weights_root=str(tmp_path), device="cpu"
    ).prepare()


def test_a_task_computes_on_the_threads_that_it_is_given(project: Project) -> None:
    roots = {"data_root": str(project.folder / "data"), "outputs_root": str(project.folder / "outputs")}
    try:
        for threads in (2, 1):
            (project.root / "frames" / "manifest.json").unlink(missing_ok=True)
            torch.set_num_threads(3)
            cv2.setNumThreads(3)
            Frames(seq=project.seq, threads=threads, **roots).run()
            assert (torch.get_num_threads(), cv2.getNumThreads()) == (threads, threads)
    finally:
        locks.release_all()
        torch.set_num_threads(1)
        cv2.setNumThreads(1)


def test_a_registered_checkpoint_is_known_without_a_look_into_it(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "load_network", no_network)
    task = AnchorMask(
        seq="any", frame=0, segmenter="fbrs:lite", weights_root=str(checkpoints), outputs_root=str(tmp_path / "outputs")
    )
    listed = registry.find("segmenter", "fbrs:lite").network
    assert listed is not None and listed.checkpoint.sha256
    assert task.checkpoint("segmenter", "fbrs:lite") == {"fbrs_lite.safetensors": listed.checkpoint.sha256}


def test_engines_that_compute_alike_share_no_options(checkpoints: Path) -> None:
    modes = [registry.segmenter("fbrs:lite", checkpoints, "cpu", {"brs_mode": mode}) for mode in ("NoBRS", "f-BRS-B")]
    assert modes[0] is not modes[1]
