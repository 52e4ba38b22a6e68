"""`[lis] on_finish`: called once with the summary's path; whatever becomes of it is one line."""

import logging
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

from tasks.runtime import on_finish
from tasks.runtime.on_finish import call_on_finish


def python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(logging.getLogger("lis"), "warning", lambda text, *values: lines.append(text % values))
    return lines


def test_it_gets_the_summary_as_its_last_word_and_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import os, sys; open('told', 'w').write(repr([sys.argv[1:], os.environ['LIS_SUMMARY']]))"
    call_on_finish(f"{python(code)} 'two words'", Path("outputs/a b/summary.json"))
    path = str(tmp_path / "outputs" / "a b" / "summary.json")
    assert (tmp_path / "told").read_text() == repr([["two words", path], path])
    assert said == []


def test_nothing_is_called_if_nobody_wants_to_be_told(said: list[str]) -> None:
    for nothing in ("", "  "):
        call_on_finish(nothing, Path("summary.json"))
    assert said == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (python("raise SystemExit(3)"), "ended with code 3"),
        ("/nowhere/mail", "cannot be started: .*No such file"),
        ("mail 'unbalanced", "cannot be started: No closing quotation"),
        ("/", "cannot be started: .*Permission denied"),
    ],
)
def test_a_failure_is_one_line(said: list[str], command: str, why: str) -> None:
    call_on_finish(command, Path("summary.json"))
    (line,) = said
    assert line.startswith("on_finish: `") and "nothing else is changed" in line
    assert re.search(why, line)


def test_what_hangs_is_ended_with_all_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(on_finish, "_PATIENCE_S", 1.0)
    child = f"import time; time.sleep(2); open({str(tmp_path / 'alive')!r}, 'w')"
    began = time.monotonic()
    call_on_finish(python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"), Path("s"))
    assert time.monotonic() - began < 2.5
    assert "was ended after 1 s" in said[0]
    time.sleep(max(0, began + 3.5 - time.monotonic()))
    assert not (tmp_path / "alive").exists()
