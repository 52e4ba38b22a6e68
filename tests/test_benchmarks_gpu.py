"""What the benchmark of a GPU says, tried without one."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from benchmarks import gpu


def test_two_things_at_once_keep_a_gpu_busy_as_long_as_one() -> None:
    assert gpu.covered([(5.0, 7.0), (0.0, 2.0), (1.0, 3.0), (1.0, 1.5)]) == 5


def test_masks_differ_where_another_side_of_a_half_is_taken() -> None:
    one = np.full((10, 10), 0.6, np.float32)
    other = one.copy()
    other[0, :2] = 0.4, 0.9
    assert gpu.difference([one, one], [other, one]) == {"differing_percent": 0.5, "largest_step": 0.3}


def test_arbitrary_weights_are_the_same_for_gpu_and_cpu() -> None:
    one, other = (
        gpu.arbitrary(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).requires_grad_(False)) for _ in range(2)
    )
    for name, values in one.state_dict().items():
        assert values.equal(other.state_dict()[name]), name


def test_it_says_what_fails_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gpu.json"
    words = "--device cpu --sizes 32 --seconds 0 --precisions float32 --engines nothing:here,pointrend:lite --together"
    monkeypatch.setattr(sys, "argv", ["gpu", *words.split(), "", "--json", str(file)])
    with pytest.raises(SystemExit, match="1"):
        gpu.main()
    failed, measured = json.loads(file.read_text())["rows"]
    assert failed["error"]
    assert measured["weights"] == "trained"
    assert measured["fps"] > 0
    assert measured["differing_percent"] == 0
    assert "pointrend:lite" in capsys.readouterr().out


def test_after_its_time_it_begins_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gpu.json"
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--budget", "-1", "--json", str(file)])
    with pytest.raises(SystemExit, match="0"):
        gpu.main()
    assert all(row["skipped"] for row in json.loads(file.read_text())["rows"])
