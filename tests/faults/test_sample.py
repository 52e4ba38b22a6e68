"""A sample of the faults, some minutes in all; `make faults` tries all of them."""

import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

SAMPLES = {
    "exhaust": ("--every", "24"),
    "rot": ("--every", "13"),
    "rerun": ("--count", "15"),
    "kills": ("--count", "25"),
    "power": (),
    "room": ("--count", "3"),
    "held": ("--count", "3"),
    "two": ("--count", "3"),
    "clock": ("--count", "2"),
    "fuzz": ("--count", "800"),
}


@pytest.mark.slow
@pytest.mark.parametrize("part", SAMPLES)
def test_nothing_is_lost_wrong_or_left_behind(part: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", part, "--seconds", "90", *SAMPLES[part]],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    if "NOT TRIED" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.stdout.splitlines()[-1].endswith("cases, 0 with something wrong")
