"""How much memory the tasks of a run may take together."""

import json
from itertools import pairwise
from pathlib import Path

import luigi
import pytest

from tasks import AnchorMask, RefineSegment, TrackSegment
from tasks.runtime import luigi_hooks, machine
from tests.conftest import Project

LIMITS = {1: ("memory", "memory.limit_in_bytes", "memory"), 2: ("", "memory.max", "")}


@pytest.mark.parametrize("version", [1, 2])
def test_a_run_may_take_three_quarters_of_what_its_container_allows(
    tmp_path: Path, settings: luigi.configuration.LuigiConfigParser, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    folder, name, controllers = LIMITS[version]
    (tmp_path / folder / "job" / "step").mkdir(parents=True)
    (tmp_path / folder / "job" / name).write_text(f"{2**30}\n")
    (tmp_path / folder / "job" / "step" / name).write_text("max\n")
    (tmp_path / "cgroup").write_text(f"4:cpu,pids:/elsewhere\n3:{controllers}:/job/step\n")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "_OWN_CGROUPS", tmp_path / "cgroup")
    settings.remove_option("resources", machine.MEMORY)
    luigi_hooks.settle_settings()
    assert settings.getint("resources", machine.MEMORY) == 768


def test_what_the_settings_say_holds(settings: luigi.configuration.LuigiConfigParser) -> None:
    settings.set("resources", machine.MEMORY, "5000")
    luigi_hooks.settle_settings()
    assert settings.getint("resources", machine.MEMORY) == 5000


def test_a_task_claims_what_its_engine_takes(settings: luigi.configuration.LuigiConfigParser) -> None:
    settings.set("resources", machine.MEMORY, "5000")
    claims = [
        AnchorMask(seq="any", frame=0, segmenter=name).resources[machine.MEMORY]
        for name in ("grabcut", "fbrs:lite", "fbrs:resnet50_dh128")
    ]
    assert claims == sorted(set(claims))
    tracking = TrackSegment(seq="any", start=0, stop=9, propagator="siammask:davis").resources[machine.MEMORY]
    assert claims[1] < tracking < claims[2]
    exact, default = (
        RefineSegment(seq="any", start=0, stop=9, refiner="cascadepsp:official", exact=exact).resources
        for exact in (True, False)
    )
    assert exact[machine.MEMORY] > default[machine.MEMORY]


@pytest.mark.slow
@pytest.mark.parametrize(("memory_mib", "side_by_side"), [(100, False), (300, False), (5000, True)])
def test_tasks_wait_while_no_memory_is_left(project: Project, memory_mib: int, side_by_side: bool) -> None:
    """Also where there is less than a single task claims."""
    with (project.folder / "luigi.cfg").open("a") as file:
        file.write(f"\n[resources]\nmemory_mib = {memory_mib}\n")
    project.scribble(2, 5, 8, 11)
    project.run("RefineSequence", "--workers", "2")
    spans = sorted(span(manifest) for manifest in project.root.rglob("manifest.json"))
    assert len(spans) == 19
    assert any(start < end - 0.02 for (_, end), (start, _) in pairwise(spans)) is side_by_side


def span(manifest: Path) -> tuple[float, float]:
    """When a stage began and when its result was described."""
    end = manifest.stat().st_mtime
    return end - json.loads(manifest.read_text())["run"]["seconds"], end


def test_workers_of_a_central_scheduler_claim_nothing(settings: luigi.configuration.LuigiConfigParser) -> None:
    """It would add up the memory of all machines."""
    before = settings.get("core", "local_scheduler")
    settings.set("core", "local_scheduler", "false")
    claims = AnchorMask(seq="any", frame=0).resources
    settings.set("core", "local_scheduler", before)
    assert claims == {}
