"""Nights that are killed, and several at once: each has a folder and a summary of its own."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from stages.core.states import State
from stages.formats import night
from tasks.night import close_killed_nights
from tasks.status import standing
from tests.conftest import Project
from tests.pipeline.test_bulk import copy_sequence, write_list
from tests.pipeline.test_interrupts import wait_for, wait_until_none_works


def start_night(project: Project, *arguments: str) -> subprocess.Popen[str]:
    command = project.command("BulkRefine", "--list", "night.txt", *arguments)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=project.folder, start_new_session=True, **streams)


def status(project: Project, *words: str) -> dict[str, dict[str, Any]]:
    """What `lis status` says of each sequence."""
    command = [sys.executable, "-m", "tasks", "status", "--json", *words]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True)
    return {row["sequence"]: row for row in json.loads(done.stdout)}


def summaries(project: Project) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((project.folder / "outputs/bulk").glob("*_*/summary.json"))]


def fates(summary: dict[str, Any]) -> dict[str, str]:
    return {row["sequence"]: row["state"] for row in summary["sequences"]}


@pytest.mark.slow
def test_the_next_command_writes_the_summary_of_a_night_that_was_killed(finished: Project) -> None:
    copy_sequence(finished, "second", scribbled=True)
    copy_sequence(finished, "idle", scribbled=False)
    write_list(finished, "toy", "second", "idle", "nosuch")
    settings = finished.folder / "luigi.cfg"
    settings.write_text(settings.read_text().replace("requests = 7", "requests = 3"))
    second = finished.folder / "outputs" / "second"
    run = start_night(finished, "--chunk", "1")
    wait_for(second / "frames" / "manifest.json")
    (folder,) = night.nights_without_summary(finished.folder / "outputs")
    close_killed_nights(finished.folder / "outputs")
    assert not (folder / "summary.json").exists(), "it is at work"
    assert standing(Project(finished.folder, finished.clip, seq="second").task()).state == State.RUNNING
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=30)
    wait_until_none_works(finished)

    rows = status(finished)
    assert {name: row["state"] for name, row in rows.items()} == {"toy": "done", "second": "stopped", "idle": "new"}
    assert rows["second"]["why"].startswith("interrupted (process ")
    (summary,) = summaries(finished)
    assert summary["killed"]
    assert fates(summary) == {"toy": "done", "second": "stopped", "idle": "new", "nosuch": "failed"}
    assert summary["scribbles_owed"] == 4
    assert "This night was killed." in (folder / "index.html").read_text()
    latest = finished.folder / "outputs" / "bulk" / "latest"
    assert latest.resolve() == folder

    write_list(finished, "toy", "second", "idle")
    output = finished.run("BulkRefine", "--list", "night.txt", "--on-finish", "false", expect=20)
    assert "on_finish: `false` ended with code 1" in output
    killed, whole = summaries(finished)
    assert killed == summary, "once written, it stays"
    assert fates(whole) == {"toy": "done", "second": "done", "idle": "waiting"}
    assert not whole["killed"] and latest.resolve() != folder
    for link in re.findall(r'href="([^"]*/report/[^"]*)"', (latest / "index.html").read_text()):
        assert (latest / unquote(link)).is_file(), link
    assert len(re.findall('<img src="data:image/jpeg', (latest / "index.html").read_text())) == 2


def test_nights_at_once_do_not_overwrite_one_another(finished: Project) -> None:
    write_list(finished, "toy")
    told = finished.folder / "told"
    hook = f"{sys.executable} -c 'import sys; open(sys.argv[1], \"a\").write(sys.argv[2] + chr(10))' {told}"
    runs = [start_night(finished, "--on-finish", hook) for _ in range(3)]
    for run in runs:
        output, _ = run.communicate(timeout=120)
        assert run.returncode == 0, output
    assert [fates(summary) for summary in summaries(finished)] == [{"toy": "done"}] * 3
    written = sorted(str(path) for path in (finished.folder / "outputs" / "bulk").glob("*_*/summary.json"))
    assert sorted(told.read_text().splitlines()) == written, "each told of its own, once"
    latest = finished.folder / "outputs" / "bulk" / "latest"
    assert str(latest.resolve() / "summary.json") in written


def test_a_look_from_another_folder_writes_it_too(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As what is killed before its first round; the record says where the paths among its options begin."""
    outputs = finished.folder / "outputs"
    folder = night.begin_night(outputs, 1e9)
    sequences = [{"name": "toy", "seq": "toy", "dataset": "set", "refused": ""}]
    options = {"data_root": "data", "outputs_root": "outputs", "requests": "3", "segmenter": "grabcut"}
    options |= {"propagator": "flow", "refiner": "guided", "weights_root": "data/weights", "scribbles_root": ""}
    night.NightRecord(1e9, 7, "b", str(finished.folder), options, sequences).write(folder)
    monkeypatch.chdir(Path("/"))
    close_killed_nights(outputs)
    (summary,) = summaries(finished)
    assert fates(summary) == {"toy": "done"}
    assert summary["ended"] >= 1e9 and summary["killed"]


@pytest.mark.slow
def test_status_says_what_a_sequence_took_and_what_nobody_has_pictures_of(finished: Project) -> None:
    settings = finished.folder / "luigi.cfg"
    settings.write_text(settings.read_text().replace("requests = 7", "requests = 3"))
    row = status(finished)["toy"]
    assert row["doubt"]["mean"] < row["doubt"]["worst"] <= 1 and 0 <= row["doubt"]["frame"] < 12
    assert row["seconds"] > 0 and row["bytes"] > 10_000
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}$", row["changed"])
    finished.frames.rename(finished.frames.with_name("renamed"))
    assert set(status(finished)) == {"renamed"}
    rows = status(finished, "--all")
    assert rows["toy"]["state"] == "orphaned" and rows["toy"]["seconds"] == row["seconds"]
