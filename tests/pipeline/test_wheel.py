"""The wheel by itself, in a folder without settings: nothing of the checkout is needed."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Clip, Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that holds the wheel of this checkout, and nothing else."""
    built, site = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")  # building leaves files beside the sources
    for name in ("tasks", "stages"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(built), str(source)], check=True)
    (wheel,) = built.glob("lis-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True)
    return site


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return tmp_path


def run(site: Path, folder: Path, *words: str, program: str = "luigi") -> subprocess.CompletedProcess[str]:
    start = {
        "luigi": ["-m", "luigi", "--module", "tasks"],
        "lis": ["-c", "import sys; from tasks.cli import main; sys.exit(main())"],
    }
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *start[program], *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_it_brings_tasks_and_stages_and_no_other_name(site: Path) -> None:
    names = {path.name for path in site.iterdir() if path.name != "bin"}
    assert names == {"tasks", "stages", *(path.name for path in site.glob("lis-*.dist-info"))}
    assert (site / "bin" / "lis").is_file()


def test_each_small_network_is_there_once(site: Path) -> None:
    files = sorted(path.name for path in site.rglob("*.safetensors"))
    assert files == sorted(path.name for path in (REPOSITORY / "stages").rglob("*.safetensors"))
    assert len(files) == len(set(files)) == 7


def test_a_failure_is_a_failure_in_an_empty_folder(site: Path, empty: Path) -> None:
    started = time.monotonic()
    done = run(site, empty, "RefineSequence", "--seq", "x")
    assert done.returncode == 30
    assert "lis import" in done.stderr and "8082" not in done.stderr and "Traceback" not in done.stderr
    assert time.monotonic() - started < 60  # without its settings, Luigi asks for a daemon for two minutes


def test_it_waits_labels_and_finishes_with_the_networks_in_the_package(site: Path, empty: Path) -> None:
    project = Project(empty, Clip())
    project.write_frames()
    words = ["RefineSequence", "--seq", "toy", "--requests", "1"]
    assert run(site, empty, *words).returncode == 20
    project.scribble(5, 11)
    done = run(site, empty, *words)
    assert done.returncode == 0, done.stderr
    made = json.loads((project.root / "anchor_masks" / "00005" / "manifest.json").read_text())
    assert list(made["weights"]) == ["fbrs_lite.safetensors"]
    assert not (empty / "data" / "weights").exists()
    status = run(site, empty, "status", "--json", program="lis")
    assert status.returncode == 0
    assert [row["sequence"] for row in json.loads(status.stdout)] == ["toy"]


def test_settings_in_the_working_folder_win(site: Path, empty: Path) -> None:
    (empty / "luigi.cfg").write_text("[lis]\nsegmenter = grabcat\n[retcode]\nunhandled_exception = 41\n")
    done = run(site, empty, "RefineSequence", "--seq", "x")
    assert done.returncode == 41 and "grabcut" in done.stderr


def test_the_demos_scribbles_are_in_the_package(site: Path, empty: Path) -> None:
    code = (
        "import json, stages.steps.demo as d; print(len(json.load(open(d.demo_scribbles()))['scribbles']), d.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=empty, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    frames, file = done.stdout.split()
    assert frames == "132" and Path(file).is_relative_to(site)
