"""One GPU, and the tasks of a run that share it."""

import os
from pathlib import Path

import luigi
import pytest
import torch
from luigi.scheduler import Scheduler

from tasks import AnchorMask, Frames, RefineSegment, TrackSegment
from tasks.runtime import machine
from tasks.runtime.luigi_hooks import HookedTask


def claim(task: HookedTask) -> int | None:
    return task.resources.get(machine.GPU)


def test_networks_claim_the_gpu_and_nothing_else_does() -> None:
    stretch = {"seq": "any", "start": 0, "stop": 9}
    assert claim(AnchorMask(seq="any", frame=0, device="cuda")) == 1
    assert claim(TrackSegment(**stretch, device="cuda")) == 1
    assert claim(RefineSegment(**stretch, device="cuda")) == 1
    assert claim(AnchorMask(seq="any", frame=0, segmenter="grabcut", device="cuda")) is None
    assert claim(TrackSegment(**stretch, propagator="flow", device="cuda")) is None
    assert claim(Frames(seq="any", device="cuda")) is None
    assert claim(RefineSegment(**stretch, device="cpu")) is None


def test_where_the_settings_say_0_nothing_is_claimed(settings: luigi.configuration.LuigiConfigParser) -> None:
    settings.set("resources", machine.GPU, "0")
    assert claim(AnchorMask(seq="any", frame=0, device="cuda")) is None


@pytest.mark.parametrize("at_once", [1, 2])
def test_as_many_work_on_it_as_the_settings_say_and_other_stages_go_on(
    settings: luigi.configuration.LuigiConfigParser, at_once: int
) -> None:
    settings.set("resources", machine.GPU, str(at_once))
    scheduler = Scheduler()
    networks = [AnchorMask(seq="any", frame=frame, device="cuda") for frame in range(3)]
    other = AnchorMask(seq="any", frame=9, segmenter="grabcut", device="cuda")
    for task in (*networks, other):
        scheduler.add_task(
            worker="any", task_id=task.task_id, resources=task.resources, priority=int(task is not other)
        )
    given = [scheduler.get_work(worker="any")["task_id"] for _ in range(4)]
    assert given[at_once:] == [other.task_id, *[None] * (3 - at_once)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_driver_alone_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_GPUS", (tmp_path,))
    machine._finds_gpu.cache_clear()
    assert not machine.uses_gpu("auto")
    machine._finds_gpu.cache_clear()


def dies() -> bool:
    os._exit(1)


def test_a_driver_that_kills_who_asks_it_does_not_kill_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_GPUS", (tmp_path,))
    monkeypatch.setattr(machine, "_torch_finds_gpu", dies)
    machine._finds_gpu.cache_clear()
    assert machine.uses_gpu("auto")
    machine._finds_gpu.cache_clear()


def test_auto_claims_the_gpu_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_GPUS", (tmp_path,))
    monkeypatch.setattr(machine, "_finds_gpu", lambda: True)
    assert claim(AnchorMask(seq="any", frame=0, device="auto")) == 1
    assert claim(AnchorMask(seq="any", frame=0, device="cpu")) is None


def test_a_process_that_waits_gives_its_gpu_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given_back.append(True))
    machine.release_freed_memory()
    assert not given_back  # it has none
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    machine.release_freed_memory()
    assert given_back == [True]
