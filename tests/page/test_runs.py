"""Runs that the page starts: in which order, how they stop, and what is told of them."""

import fcntl
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from stages.formats import page_log, progress
from stages.formats.page_log import head_of, last_lines
from stages.formats.progress import Event
from tasks.page.commands import Command, What, refining, segmenting_anchors
from tasks.page.endings import in_words
from tasks.page.following import Follower, Watched
from tasks.page.runs import Runs, RunState, Told
from tasks.runtime import locks
from tasks.runtime.locks import BusyError
from tests.conftest import Project
from tests.page.asking import ProjectPage, sequences_of

WAITS = ("sh", "-c", 'echo "$*" >> order; until [ -e "$2-may-go" ]; do sleep 0.01; done', "lis")
"""In the place of `lis`: notes what it was asked for, and waits for a file."""


def shell(script: str, **more: float) -> Runs:
    return Runs(("sh", "-c", script, "lis"), **more)


def until(holds: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def ended(runs: Runs, project: Project) -> Told:
    until(lambda: runs.told(project.task()).state == RunState.IDLE)
    return runs.told(project.task())


@contextmanager
def locked_by(root: Path, process: str) -> Iterator[IO[str]]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / locks.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{process}\n")
        lock.flush()
        yield lock


# --- what is typed ---------------------------------------------------------------------------------------------------


def test_the_log_is_not_written_through_a_link(project: Project, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("of somebody else")
    project.root.mkdir(parents=True)
    (project.root / page_log.PAGE_LOG).symlink_to(victim)
    with pytest.raises(OSError, match=page_log.PAGE_LOG), page_log.begun(project.root, "lis refine toy"):
        pass
    assert victim.read_text() == "of somebody else"


def test_a_command_is_what_a_person_would_type(project: Project) -> None:
    roots = f"--data-root={project.folder}/data --weights-root={project.folder}/data/weights"
    roots += f" --outputs-root={project.folder}/outputs"
    engines = "--segmenter=grabcut --propagator=flow --refiner=guided"
    task = sequences_of(project).task("toy", requests="3", provisional="false")
    assert str(refining(task)) == f"lis refine toy {roots} --requests=3 {engines} --no-provisional"
    assert str(segmenting_anchors(task)) == f"lis anchors toy {roots} --requests=3 --segmenter=grabcut"


def test_a_dataset_is_named_where_the_name_alone_says_too_little(project: Project) -> None:
    assert "--dataset" not in str(refining(sequences_of(project).task("toy", "set")))
    project.frames.parents[2].with_name("other").symlink_to(project.frames.parents[2])
    task = sequences_of(project).task("toy", "set")
    assert "--dataset=set" in str(refining(task))


# --- the queue -------------------------------------------------------------------------------------------------------


def test_one_runs_at_a_time_and_people_come_before_the_background(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs, first = Runs(WAITS), Command(What.REFINE, project.task(), ("refine", "first"))
    other = project.task(outputs_root=str(tmp_path / "elsewhere"))
    runs.ask(first)
    until(lambda: head_of(project.root))
    runs.ask_in_background(Command(What.ANCHORS, other, ("anchors", "last")))
    for _ in range(2):
        runs.ask(Command(What.EXPORT, project.task(), ("export", "second")))
    assert runs.told(project.task()).state == RunState.RUNNING
    assert runs.told(other) == Told(
        RunState.QUEUED, What.ANCHORS, "lis anchors last", message="behind lis refine first"
    )
    for name in ("first", "second", "last"):
        Path(f"{name}-may-go").touch()
    until(lambda: (told := runs.told(other)).state == RunState.IDLE and told.exit_code == 0)
    assert Path("order").read_text().splitlines() == ["refine first", "export second", "anchors last"]
    assert ended(runs, project) == Told(RunState.IDLE, What.EXPORT, "lis export second", 0, "done")


def test_what_works_in_the_background_stops_for_a_run_of_people_and_is_not_told_as_interrupted(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = shell("trap 'touch heard' INT; " + WAITS[-2] + "; exit 130")
    runs.ask_in_background(Command(What.ANCHORS, project.task(), ("anchors", "first")))
    until(Path("order").exists)
    runs.ask_in_background(Command(What.ANCHORS, project.task(), ("anchors", "third")))
    assert runs.told(project.task()).command == "lis anchors first"
    runs.ask(Command(What.REFINE, project.task(), ("refine", "second")))
    told = runs.told(project.task())
    assert told == Told(RunState.QUEUED, What.REFINE, "lis refine second", message="behind lis anchors first")
    until(Path("heard").exists)
    Path("first-may-go").touch()
    seen = set()
    until(lambda: seen.add(told := runs.told(project.task())) or told.state == RunState.RUNNING)
    assert {told.command for told in seen} == {"lis refine second"} and {told.exit_code for told in seen} == {None}
    Path("second-may-go").touch()
    assert ended(runs, project).command == "lis refine second"
    assert Path("order").read_text().splitlines() == ["anchors first", "refine second"], "it makes the anchors, too"


def test_who_asks_again_while_it_works_has_drawn_meanwhile(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs, command = Runs(WAITS), Command(What.REFINE, project.task(), ("refine", "toy"))
    runs.ask(command)
    until(lambda: Path("order").exists())
    for _ in range(3):
        runs.ask(command)
    Path("toy-may-go").touch()
    until(lambda: Path("order").read_text() == "refine toy\n" * 2 and runs.told(project.task()).state == RunState.IDLE)


def test_the_background_yields_to_whoever_works_on_the_sequence(project: Project) -> None:
    runs, command = shell("true"), Command(What.ANCHORS, project.task(), ("anchors", "toy"))
    with locked_by(project.root, "process 7 on b"):
        runs.ask_in_background(command)
        with pytest.raises(BusyError, match="process 7 on b works on it"):
            runs.ask(command)
    assert runs.mine(project.root) is None
    runs.ask_in_background(command)
    assert ended(runs, project).exit_code == 0


def test_the_background_yields_also_to_who_has_come_while_it_waited(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs, other = Runs(WAITS), project.task(outputs_root=str(tmp_path / "elsewhere"))
    runs.ask(Command(What.REFINE, project.task(), ("refine", "first")))
    until(lambda: Path("order").exists())
    runs.ask_in_background(Command(What.ANCHORS, other, ("anchors", "other")))
    with locked_by(other.root, "process 7 on b"):
        Path("first-may-go").touch()
        until(lambda: runs.mine(other.root) is None)
    assert Path("order").read_text() == "refine first\n"


def test_what_cannot_be_started_is_told(project: Project) -> None:
    runs = shell("true")
    (project.root / page_log.PAGE_LOG).mkdir(parents=True)
    runs.ask(Command(What.REFINE, project.task(), ("refine", "toy")))
    told = ended(runs, project)
    assert told.exit_code == 1 and "page_run.log: Is a directory" in told.message


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script", ["echo begins; sleep 60", "trap '' INT; echo begins; sleep 60"], ids=["hears", "deaf"]
)
def test_a_run_is_stopped_with_all_its_processes(project: Project, script: str) -> None:
    runs = shell(script, patience_s=0.1)
    runs.ask(Command(What.REFINE, project.task(), ("refine", "toy")))
    until(lambda: "begins" in last_lines(project.root))
    runs.ask(Command(What.REFINE, project.task(), ("refine", "toy")))
    runs.stop(project.root)
    if "trap" in script:  # who hears may have ended by now
        assert runs.told(project.task()).state == RunState.STOPPING
    told = ended(runs, project)
    assert told.exit_code == 130 and told.message.startswith("stopped"), "what waits does not wait any more, either"
    head = head_of(project.root)
    assert head is not None
    until(lambda: subprocess.run(["pgrep", "-g", str(head.pid)], capture_output=True, check=False).returncode)


def test_a_run_that_a_former_server_has_started_is_known_and_stopped(project: Project) -> None:
    lock = project.root / locks.LOCK
    with page_log.begun(project.root, "lis refine toy") as log:
        words = page_log.announced(["sh", "-c", f"trap '' INT; exec flock {lock} sleep 60"])
        run = subprocess.Popen(words, stdout=log, start_new_session=True)
    until(lambda: head_of(project.root) and lock.exists())
    lock.write_text(f"process {run.pid} on {platform.node()}\n")
    until(lambda: locks.is_taken(project.root))
    runs, task = Runs(patience_s=0.2), project.task()
    assert runs.told(task) == Told(RunState.RUNNING, What.REFINE, "lis refine toy")
    runs.stop(project.root)
    assert runs.told(task).state == RunState.STOPPING
    assert run.wait(10) != 0
    progress.say_plan(project.root, "r", [], pid=run.pid, host=platform.node())
    progress.say_end(project.root, "r", 130)
    assert ended(runs, project).exit_code == 130


def test_a_run_of_a_terminal_is_told_and_left_alone(project: Project) -> None:
    with page_log.begun(project.root, "lis refine toy") as log:
        os.write(log, b"process 8 on b\n")
    with locked_by(project.root, "process 7 on b"):
        assert Runs().told(project.task()) == Told(RunState.RUNNING)
        with pytest.raises(BusyError, match="was not started here"):
            Runs().stop(project.root)


def test_exit_codes_are_said_in_words(project: Project) -> None:
    task, root = project.task(), project.root
    assert in_words(task, 20, 7) == "4 anchors wait: frames 2, 5, 8, 11"
    project.scribble(2, 5, 8)
    assert in_words(task, 20, 7) == "1 anchor waits: frame 11"
    with page_log.begun(root, "lis refine toy") as log:
        os.write(log, b"process 7 on b\nrequests: 'x' is not permitted\n\n")
    assert in_words(task, 40, 7) == in_words(task, 30, 7) == "requests: 'x' is not permitted"
    progress.say_plan(root, "r", [], pid=7, host="b")
    progress.say_event(root, "r", "anchor_masks/00008", Event.FAILED, message="no room")
    assert in_words(task, 30, 7) == "frame 8: no room"
    assert in_words(task, 30, 6) == "requests: 'x' is not permitted", "another run's failure"
    progress.say_event(root, "r", "tracks/00002-00005", Event.FAILED, message="no room")
    assert in_words(task, 30, 7) == "frames 2 to 5: no room"


def test_of_a_long_log_the_end_is_told(project: Project) -> None:
    with page_log.begun(project.root, "lis refine toy"):
        pass
    with (project.root / page_log.PAGE_LOG).open("ab") as log:
        log.write(b"".join(b"\xff line %d\n\n" % number for number in range(100_000)))
    lines = last_lines(project.root)
    assert len(lines) == 40 and lines[-1] == "\ufffd line 99999"


def test_whoever_watches_is_told_of_changes_and_of_nothing_else(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs, watched = shell("echo begins; until [ -e may-go ]; do sleep 0.01; done"), Watched("toy", "set", "001")
    follower, may_go = Follower(sequences_of(project), runs), Path("may-go")

    def told() -> list[dict[str, Any]]:
        return [news for _, news in follower.look([watched]) if news["event"] == "page_run"]

    follower.begin(watched)
    assert told() == []
    runs.ask(Command(What.REFINE, project.task(), ("refine", "toy")))
    until(lambda: "begins" in last_lines(project.root))
    [news] = told()
    assert (news["state"], news["log"][-1]) == ("running", "begins") and told() == []
    may_go.touch()
    ended(runs, project)
    [news] = told()
    assert (news["state"], news["exit"], news["command"]) == ("idle", 0, "lis refine toy") and told() == []


# --- as a page asks --------------------------------------------------------------------------------------------------


class TestRunning(ProjectPage):
    program = ("sh", "-c", 'echo "$*"; exit 40', "lis")

    @pytest.fixture(autouse=True)
    def _clip(self, project: Project) -> None:
        self.project = project

    def test_a_run_from_its_start_to_its_end(self) -> None:
        assert json.loads(self.ask("/api/seq/toy/run").body)["state"] == "idle"
        started = json.loads(self.ask("/api/seq/toy/run", "POST", {}).body)
        assert started["state"] == "running" and started["command"].startswith("lis refine toy ")
        until(lambda: json.loads(self.ask("/api/seq/toy/run").body)["state"] == "idle")
        told = json.loads(self.ask("/api/seq/toy/run").body)
        assert (told["what"], told["exit"]) == ("refine", 40) and told["message"].startswith("refine toy --data-root=")
        assert told["log"][0] == f"$ {told['command']}" and told["log"][-1] == told["message"]

    def test_what_a_run_would_make_is_told(self) -> None:
        self.project.scribble(2, 5, 8, 11)
        told = json.loads(self.ask("/api/seq/toy/ahead").body)
        assert told["stretches"] == [[0, 2], [2, 5], [5, 8], [8, 11]]
        track = next(each for each in told["tasks"] if each["task"] == "tracks/00005-00008")
        assert (track["stage"], track["frames"]) == ("tracks", 2) and track["seconds"] > 0
        assert told["seconds"] == pytest.approx(sum(each["seconds"] for each in told["tasks"]), abs=0.1)
        stages = [each["stage"] for each in told["tasks"]]
        assert stages.index("anchor_masks") < stages.index("tracks") < stages.index("provisional")
        assert "masks" not in stages, "it waits for people"
        self.project.scribble_file.write_text("{")
        assert "001.json" in self.error_of(self.ask("/api/seq/toy/ahead"), 400)

    def test_an_export_is_a_run_like_any_other(self) -> None:
        offered = json.loads(self.ask("/api/exports").body)
        coco = next(each for each in offered["formats"] if each["name"] == "coco")
        assert "pycocotools" in coco["summary"] and "segmentation" in coco["options"] and "shape" not in coco["options"]
        options = {each.pop("name"): each for each in offered["options"]}
        assert options["segmentation"]["choices"] == ["rle", "counts", "polygon"]
        assert (options["renumber"]["kind"], options["renumber"]["default"]) == ("flag", False)
        assert (options["band"]["kind"], options["band"]["default"]) == ("number", 3)
        assert not {"seq", "source", "data_root", "threads", "resolution_name"} & options.keys()
        asked = {"format": "labelstudio", "options": {"tasks_as": "annotations", "for_correction": 2, "report": True}}
        command = json.loads(self.ask("/api/seq/toy/export", "POST", asked).body)["command"]
        assert command.startswith("lis export toy --format=labelstudio --data-root=")
        assert command.endswith(" --as=annotations --for-correction=2 --report")
        until(lambda: json.loads(self.ask("/api/seq/toy/run").body)["exit"] == 40)

    def test_an_export_that_cannot_be_is_refused_at_once(self) -> None:
        for asked, words in (
            ({}, "found the format 'None'"),
            ({"format": "coco", "to": "/"}, "found the key 'to'"),
            ({"format": "coco", "options": []}, "options that are a list"),
            ({"format": "coco", "options": {"source": "/etc"}}, "found the option 'source'"),
            ({"format": "coco", "options": {"shape": "polygon"}}, "which does not heed it"),
            ({"format": "coco", "options": {"segmentation": "x"}}, "segmentation: 'x' is not permitted"),
            ({"format": "davis", "options": {"renumber": "yes"}}, "expected true or false"),
            ({"format": "coco", "options": {"band": [1]}}, "expected a short text or a number"),
        ):
            assert words in self.error_of(self.ask("/api/seq/toy/export", "POST", asked), 400)
        assert not (self.project.root / page_log.PAGE_LOG).exists()

    def test_a_set_that_is_named_is_run(self) -> None:
        self.project.scribble(5)
        self.project.scribble_file.rename(self.project.scribble_file.with_name("002.json"))
        started = json.loads(self.ask("/api/seq/toy/run?set=002", "POST", {}).body)
        assert "--scribbles=002" in started["command"]
        until(lambda: json.loads(self.ask("/api/seq/toy/run?set=002").body)["exit"] == 40)
        self.error_of(self.ask("/api/seq/toy/run?set=003", "POST", {}), 400)
        self.error_of(self.ask("/api/seq/toy/run?set=../x", "POST", {}), 400)
        self.error_of(self.ask("/api/seq/toy/run", "POST", {"x": 1}), 400)

    def test_a_set_that_cannot_be_read_starts_nothing(self) -> None:
        self.project.scribble_file.parent.mkdir(parents=True)
        self.project.scribble_file.write_text("{")
        for what in ("run", "anchors"):
            assert "001.json: found Invalid JSON" in self.error_of(self.ask(f"/api/seq/toy/{what}", "POST", {}), 400)
        assert json.loads(self.ask("/api/seq/toy/run").body)["state"] == "idle"
        assert json.loads(self.ask("/api/seq/toy/run", "DELETE").body)["exit"] is None

    def test_whoever_works_on_it_is_named(self) -> None:
        with locked_by(self.project.root, "process 7 on b"):
            assert "process 7 on b works on it" in self.error_of(self.ask("/api/seq/toy/run", "POST", {}), 409)
            assert "process 7 on b" in self.error_of(self.ask("/api/seq/toy/run", "DELETE"), 409)
            assert json.loads(self.ask("/api/seq/toy/anchors", "POST", {}).body)["state"] == "running"
        assert json.loads(self.ask("/api/seq/toy/run", "DELETE").body)["state"] == "idle"
        assert not (self.project.root / page_log.PAGE_LOG).exists()
