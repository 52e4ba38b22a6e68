"""Training as people start it."""

import json
import shutil
import signal
import subprocess
import time

import cv2
import numpy as np
import pytest

from stages.engines import registry as weights
from stages.engines.registry import build_network, misfits, read_checkpoint
from tests.conftest import LUIGI, REPOSITORY

SETS = "first:0.5,second:0.5"


@pytest.fixture
def sets(tmp_path):
    shutil.copy(REPOSITORY / "luigi.cfg", tmp_path)
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        for part in ("images", "masks"):
            (tmp_path / "sets" / name / part).mkdir(parents=True)
        (tmp_path / "sets" / name / "ABOUT.md").write_text("Licence: CC0\n")
        for index in range(24):
            mask = cv2.circle(np.zeros((120, 160), np.uint8), (60 + index, 60), 40, 1, -1)
            picture = cv2.resize(rng.integers(0, 100, (12, 16, 3)).astype(np.uint8), (160, 120))
            picture[mask > 0] = (200, 80, 40)
            cv2.imwrite(str(tmp_path / "sets" / name / "images" / f"{index:02d}.jpg"), picture)
            cv2.imwrite(str(tmp_path / "sets" / name / "masks" / f"{index:02d}.png"), mask)
    return tmp_path / "sets"


def command(sets, *arguments):
    train = [str(LUIGI), "--module", "tasks", "TrainNetwork", "--network", "fbrs_lite", "--train-root", str(sets)]
    return [*train, *arguments]


def run(sets, *arguments):
    return subprocess.run(command(sets, *arguments), cwd=sets.parent, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_killed_training_goes_on_and_publishes_weights_and_card(sets):
    arguments = ["--sets", SETS, "--steps", "102"]
    unfinished = sets.parent / "outputs" / "training" / "fbrs_lite" / "unfinished"
    process = subprocess.Popen(command(sets, *arguments), cwd=sets.parent)
    deadline = time.monotonic() + 600
    while not (unfinished / "checkpoint.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()

    started = time.monotonic()
    assert run(sets, *arguments).returncode == 0
    result = unfinished.with_name("result")
    assert not unfinished.exists()
    assert {path.name for path in result.iterdir()} == {
        "fbrs_lite.safetensors", "fbrs_lite.md", "curves.png", "sheet.png", "losses.csv", "validation.csv", "key.json",
        "manifest.json",
    }  # fmt: skip
    assert misfits(build_network("fbrs_lite"), read_checkpoint(result / "fbrs_lite.safetensors")) == []
    assert (result / "fbrs_lite.safetensors").stat().st_size < 8 * 2**20
    assert "| first | 50% |" in (result / "fbrs_lite.md").read_text() and "CC0" in (result / "fbrs_lite.md").read_text()
    assert json.loads((result / "manifest.json").read_text())["key"]["schedule"]["steps"] == 102
    assert time.monotonic() - started < 600

    before = (result / "manifest.json").stat().st_mtime_ns
    assert run(sets, *arguments).returncode == 0
    assert (result / "manifest.json").stat().st_mtime_ns == before


def test_a_set_that_is_not_there_is_said_without_a_stack_trace(sets):
    done = run(sets, "--sets", "third:1")
    assert done.returncode == 30
    assert "first, second" in done.stderr and "Traceback" not in done.stdout + done.stderr


def test_an_installed_file_is_registered_under_its_engine_alone(tmp_path, monkeypatch):
    registry = tmp_path / "weights.json"
    registry.write_text(
        '[\n  {"engine": "a:lite", "sha256": null, "licence": "x"},\n  {"engine": "b:lite", "sha256": "0b"}\n]\n'
    )
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "weights.py"))
    try:
        weights.register("a:lite", "12ab")
        assert registry.read_text().splitlines()[1:3] == [
            '  {"engine": "a:lite", "sha256": "12ab", "licence": "x"},',
            '  {"engine": "b:lite", "sha256": "0b"}',
        ]
    finally:
        monkeypatch.undo()
        weights.entries.cache_clear()
