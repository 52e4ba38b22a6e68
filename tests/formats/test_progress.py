"""`.progress.jsonl`: what a run says of itself, and what can be made of it when parts of it are gone."""

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from stages.formats import progress
from stages.formats.progress import PROGRESS, Event, last_failure, read_progress


def lines(root: Path) -> list[dict]:
    return [json.loads(line) for line in (root / PROGRESS).read_text().splitlines() if line]


def speak(root: Path) -> None:
    progress.say_plan(root, "r", ["frames", "tracks/00010-00030"], pid=7, host="b")
    progress.say_event(root, "r", "frames", Event.START, frames=40)
    progress.say_event(root, "r", "frames", Event.DONE)
    progress.say_event(root, "r", "tracks/00010-00030", Event.START, frames=19)
    progress.say_event(root, "r", "tracks/00010-00030", Event.PART, part=0.4, frames=19)


def test_a_run_is_written_as_its_page_says(tmp_path: Path) -> None:
    speak(tmp_path)
    progress.say_end(tmp_path, "r", 20)
    first, *events, last = lines(tmp_path)
    assert first == {"run": "r", "pid": 7, "host": "b", "planned": ["frames", "tracks/00010-00030"]}
    assert all(1.7e9 < event.pop("t") < 1e11 for event in events)
    track = {"run": "r", "task": "tracks/00010-00030", "frames": 19}
    assert events == [
        {"run": "r", "task": "frames", "state": "start", "frames": 40},
        {"run": "r", "task": "frames", "state": "done"},
        {**track, "state": "start"},
        {**track, "state": "part", "part": 0.4},
    ]
    assert last == {"run": "r", "exit": 20}


def test_what_was_said_is_read_back(tmp_path: Path) -> None:
    assert read_progress(tmp_path) == []
    speak(tmp_path)
    (run,) = read_progress(tmp_path)
    assert (run.pid, run.host, run.planned, run.exit_code) == (7, "b", ("frames", "tracks/00010-00030"), None)
    assert [task.task for task in run.in_state(Event.START, Event.PART)] == ["tracks/00010-00030"]
    assert run.share_done == pytest.approx(0.7)
    progress.say_end(tmp_path, "r", 0)
    assert read_progress(tmp_path)[0].exit_code == 0


def test_every_line_is_shorter_than_what_one_write_keeps_together(tmp_path: Path) -> None:
    planned = [f"refined/{index:07d}-{index + 1:07d}" for index in range(500)]
    progress.say_plan(tmp_path, "r" * 12, planned, pid=7, host="h" * 64)
    progress.say_event(tmp_path, "r" * 12, planned[0], Event.FAILED, message="\U0001f600" * 5000)
    assert max(len(line) for line in (tmp_path / PROGRESS).read_bytes().splitlines()) < 4096
    (run,) = read_progress(tmp_path)
    assert run.planned == tuple(planned)
    assert run.host == "h" * 64


def test_a_torn_line_and_damage_cost_nothing_but_themselves(tmp_path: Path) -> None:
    speak(tmp_path)
    whole = (tmp_path / PROGRESS).read_bytes()
    (tmp_path / PROGRESS).write_bytes(whole[:-20])
    progress.say_event(tmp_path, "r", "tracks/00010-00030", Event.FAILED, message="no room")
    assert last_failure(read_progress(tmp_path)) == "no room", "the next line does not end the torn one"
    strange = [
        b"\xff\xfe",
        b"[1]",
        b"null",
        b"{}",
        b'{"run": 1, "task": []}',
        b'{"run": "r", "exit": "x"}',
        b"[" * 100000,
    ]
    (tmp_path / PROGRESS).write_bytes(b"\n".join([*strange, whole]))
    assert "r" in [run.run for run in read_progress(tmp_path)]


def test_whatever_byte_is_wrong_it_is_read(tmp_path: Path) -> None:
    speak(tmp_path)
    whole = (tmp_path / PROGRESS).read_bytes()
    for at in range(len(whole)):
        for bit in (0, 4, 7):
            (tmp_path / PROGRESS).write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            for run in read_progress(tmp_path):
                assert 0 <= run.share_done <= 1


def test_a_failure_stands_until_the_task_is_done_after_all(tmp_path: Path) -> None:
    speak(tmp_path)
    assert last_failure(read_progress(tmp_path)) == ""
    progress.say_event(tmp_path, "r", "tracks/00010-00030", Event.FAILED, message="the first")
    progress.say_event(tmp_path, "r", "masks", Event.FAILED, message="the second")
    assert last_failure(read_progress(tmp_path)) == "the second"
    progress.say_event(tmp_path, "r", "masks", Event.DONE)
    assert last_failure(read_progress(tmp_path)) == "the first"
    progress.say_event(tmp_path, "another", "tracks/00010-00030", Event.DONE)
    assert last_failure(read_progress(tmp_path)) == "", "another worker of the same night has made it"
    progress.begin_anew(tmp_path)
    assert read_progress(tmp_path) == []


def test_nothing_that_the_disk_refuses_stops_a_run(tmp_path: Path) -> None:
    progress.say_end(tmp_path / "gone", "r", 0)
    (tmp_path / PROGRESS).mkdir()
    progress.say_end(tmp_path, "r", 0)
    assert read_progress(tmp_path) == []


def _say_many(root: Path, run: str) -> None:
    for number in range(200):
        progress.say_event(root, run, f"{number}", Event.FAILED, message=run * 300)


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2) as pool:
        for future in [pool.submit(_say_many, tmp_path, run) for run in "ab"]:
            future.result()
    assert sorted((line["run"], int(line["task"])) for line in lines(tmp_path)) == [
        (run, number) for run in "ab" for number in range(200)
    ]
