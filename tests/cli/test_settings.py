"""What is wrong with a configuration file is said in one line, whatever command meets it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LUIGI, REPOSITORY

LIS = str(LUIGI.with_name("lis"))
A_TASK = ("--module", "tasks", "RefineSequence", "--seq", "x")


def said(folder: Path, *command: str, **environment: str) -> str:
    """The one line."""
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        check=False,
    )
    assert done.returncode == 40, done.stderr
    (line,) = (each for each in done.stderr.splitlines() if "UserWarning" not in each and not each.startswith("  "))
    return line


@pytest.mark.parametrize("command", [(LIS, "status"), (str(LUIGI), *A_TASK)], ids=["lis", "luigi"])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("[lis]\noutputs_root = /disk/100%\n", ["outputs_root = /disk/100%", "is written %%"]),
        ("[worker]\nkeep_alive = maybe\n", ["keep_alive", "maybe"]),
        ("[resources]\nmemory_mib = lots\n", ["memory_mib = lots in [resources]", "whole number"]),
        ("[resources]\nmemory_mib = -1\n", ["memory_mib = -1 in [resources]", "whole number"]),
    ],
)
def test_a_value_that_cannot_be_is_named(tmp_path: Path, command: tuple[str], settings: str, words: list[str]) -> None:
    (tmp_path / "luigi.cfg").write_text(settings)
    line = said(tmp_path, *command)
    assert all(word in line for word in ["luigi.cfg", *words]), line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no ini\n", ["luigi.cfg", "no section headers"]),
        (b"[lis]\noutputs_root = /\xfc\n", ["luigi.cfg", "not UTF-8"]),
        (b"\xef\xbb\xbf[lis]\nrequests = 3\n", ["luigi.cfg", "byte order mark", "save it as UTF-8 without"]),
        (None, ["luigi.cfg", "Is a directory"]),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, words: list[str]) -> None:
    """By `lis`; `luigi` reads it before it comes to us."""
    path = tmp_path / "luigi.cfg"
    path.mkdir() if content is None else path.write_bytes(content)
    line = said(tmp_path, sys.executable, "-m", "tasks", "status")
    assert all(word in line for word in words), line


def test_a_file_that_is_named_but_not_there_is_not_passed_over(tmp_path: Path) -> None:
    line = said(tmp_path, str(LUIGI), *A_TASK, LUIGI_CONFIG_PATH="/nowhere/luigi.cfg")
    assert "LUIGI_CONFIG_PATH=/nowhere/luigi.cfg" in line
