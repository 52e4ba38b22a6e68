"""In which rounds a night takes its sequences, and what is said of each in the morning."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import InputError, StageError
from stages.core.states import State
from stages.formats import progress
from stages.formats.night import Outcome
from tasks import BulkRefine, RefineSequence, ReportSequence
from tasks.bulk import PeoplesScribbles
from tasks.runtime import locks, looks, luigi_hooks, luigi_schedule
from tests.conftest import CHEAP, Clip, Project, write_settings
from tests.tasks.test_choice import listed
from tests.tasks.test_status import took

# --- a night ---------------------------------------------------------------------------------------------------------


class Night:
    """A night in this process, its schedule replaced: a round does to each sequence what `fate` says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, fate: dict[str, str], chunk: int = 10) -> None:
        self.folder = folder
        self.fate = fate
        self.rounds: list[list[str]] = []
        self.progress: list[int] = []
        names = listed(folder, "\n".join(fate))
        roots = {"data_root": str(folder / "data"), "outputs_root": str(folder / "outputs")}
        self.task = BulkRefine(list=names, chunk=chunk, requests=3, reports=False, **roots, **CHEAP)
        self.task.set_progress_percentage = self.progress.append
        monkeypatch.setattr(luigi_schedule, "schedule", self._round)
        monkeypatch.setattr(luigi_schedule, "may_schedule", lambda: None)
        for question in ("complete", "is_up_to_date"):
            monkeypatch.setattr(RefineSequence, question, self._is_complete(fate))

    @staticmethod
    def _is_complete(fate: dict[str, str]) -> Any:
        return lambda task: fate[task.seq] == "done"

    def _round(self, tasks: list[RefineSequence]) -> luigi_schedule.Failures:
        self.rounds.append([task.seq for task in tasks])
        failures: luigi_schedule.Failures = {}
        for task in tasks:
            if self.fate[task.seq] == "to do":
                self.publish(task.seq)
                self.fate[task.seq] = "done"
            elif self.fate[task.seq].startswith("fails"):
                failures[task.dataset, task.seq] = f"Frames: {self.fate[task.seq]}"
        return failures

    def publish(self, seq: str) -> None:
        """A result of one mask."""
        folder = Project(self.folder, Clip(), seq=seq).root / "masks"
        folder.mkdir(parents=True)
        (folder / "00000.png").write_text("a mask")
        manifest = {"schema": 1, "stage": "masks", "key": {}, "content": "", "weights": {}, "objects": []}
        files = {"count": 1, "bytes": 6, "sha256": {"00000.png": ""}}
        (folder / "manifest.json").write_text(json.dumps({**manifest, "files": files, "run": {"seconds": 2.5}}))

    def run(self) -> list[object]:
        """What it still owes in the end."""
        return list(self.task.run())

    @property
    def summary(self) -> dict[str, Any]:
        (path,) = (self.folder / "outputs" / "bulk").glob("*_*/summary.json")
        return json.loads(path.read_text())

    @property
    def outcomes(self) -> list[Outcome]:
        return [Outcome(**{**each, "doubt": None}) for each in self.summary["sequences"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five sequences of one picture; everything that is asked for is annotated, but for `idle`."""
    write_settings(tmp_path)
    for name in ("one", "two", "three", "idle", "old"):
        project = Project(tmp_path, Clip(), seq=name)
        project.frames.mkdir(parents=True)
        (project.frames / "00000.png").write_bytes(b"")
        if name != "idle":
            project.scribble_file.parent.mkdir(parents=True)
            content = {"scribbles": [[]], "sequence": name, "annotated_frames": [0]}
            project.scribble_file.write_text(json.dumps(content))
    return tmp_path


def test_rounds_take_a_chunk_each_and_leave_out_what_is_finished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(folder, monkeypatch, {"one": "to do", "old": "done", "two": "to do", "three": "to do"}, chunk=3)
    assert night.run() == []
    assert night.rounds == [["one", "two"], ["three"]]
    assert night.progress == [75, 100]
    assert 0 <= night.summary["seconds"] < 600
    assert night.outcomes == [
        Outcome("one", State.DONE, "", 2.5),
        Outcome("old", State.DONE, "", 0.0),
        Outcome("two", State.DONE, "", 2.5),
        Outcome("three", State.DONE, "", 2.5),
    ]


def test_what_is_finished_is_looked_at_in_other_processes_where_there_is_much(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "MANY", 2)
    seen_by: list[int] = looks.look_at(["one", "two", "three"], lambda _: os.getpid())
    assert os.getpid() not in seen_by
    night = Night(folder, monkeypatch, {"old": "done", "one": "to do", "two": "done", "three": "to do"}, chunk=1)
    night.run()
    assert night.rounds == [["one"], ["three"]]
    assert [(each.sequence, each.state) for each in night.outcomes] == [(name, State.DONE) for name in night.fate]


def test_what_a_killed_process_did_not_look_at_is_looked_at_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "MANY", 2)
    here = os.getpid()

    def look(_: str) -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return here

    assert looks.look_at(["one", "two", "three"], look) == [here] * 3


def test_a_round_of_finished_sequences_schedules_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(folder, monkeypatch, {"one": "done", "old": "done", "two": "to do"}, chunk=2)
    night.run()
    assert night.rounds == [["two"]]
    assert [outcome.state for outcome in night.outcomes] == [State.DONE] * 3


def test_waiting_makes_the_night_owe_scribbles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(folder, monkeypatch, {"one": "to do", "idle": "waits"})
    (owed,) = night.run()
    assert isinstance(owed, PeoplesScribbles)
    assert not owed.complete()
    assert Path(owed.summary).name == "summary.txt"
    assert Path(owed.summary).is_file()
    assert night.outcomes[1] == Outcome("idle", State.WAITING, "scribbles on 1 frame: 0", 0.0, owed=1)


@pytest.mark.parametrize("fate", ["fails: 00003.png is cut short", "stops"])
def test_a_failure_outweighs_waiting_and_names_the_summary(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fate: str
) -> None:
    night = Night(folder, monkeypatch, {"two": fate, "idle": "waits", "one": "to do"}, chunk=1)
    with pytest.raises(StageError, match=r"1 of 3 sequences failed, see .*summary\.txt:\ntwo ") as caught:
        night.run()
    assert night.rounds == [["two"], ["idle"], ["one"]], "the others are worked on all the same"
    assert "idle" not in str(caught.value)
    failed, waiting, done = night.outcomes
    assert (waiting.state, done.state) == (State.WAITING, State.DONE)
    if fate == "stops":
        assert failed == Outcome("two", State.STOPPED, "not everything ran; run the command again", 0.0)
    else:
        assert failed == Outcome("two", State.FAILED, f"Frames: {fate}", 0.0)


def test_a_sequence_that_is_nowhere_fails_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(folder, monkeypatch, {"nosuch": "is nowhere", "one": "to do"})
    with pytest.raises(StageError, match="1 of 2 sequences failed"):
        night.run()
    nosuch, one = night.outcomes
    assert (nosuch.state, one.state) == (State.FAILED, State.DONE)
    assert "'nosuch'" in nosuch.reason


def test_what_cannot_be_taken_is_listed_and_all_else_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is left out without a word, and a night that leaves one out is not green."""
    project = Project(folder, Clip(), seq="one")
    for name in (".hidden", "bulk", "one\ttwo", "M\u00fcller", "Mu\u0308ller"):
        project.frames.with_name(name).mkdir()
    night = Night(folder, monkeypatch, dict.fromkeys(("idle", "old", "one", "three", "two"), "done"))
    night.task = night.task.clone(list="", dataset="set")
    with pytest.raises(StageError, match="4 of 9 sequences failed"):
        night.run()
    refused = {outcome.sequence: outcome.reason for outcome in night.outcomes if outcome.state == State.FAILED}
    assert list(refused) == ["Mu\u0308ller", "M\u00fcller", "bulk", "one\\ttwo"]
    assert "other results" in refused["bulk"]
    assert "control character" in refused["one\\ttwo"]
    assert "Unicode" in refused["M\u00fcller"]


def test_a_name_of_two_datasets_runs_once_for_each(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder / "data" / "set", folder / "data" / "zoo")
    night = Night(folder, monkeypatch, {"one": "done"})
    night.task = night.task.clone(list=listed(folder, "set/one\nzoo/one\none"))
    with pytest.raises(StageError, match="1 of 3"):
        night.run()
    assert [(outcome.sequence, outcome.state) for outcome in night.outcomes] == [
        ("set/one", State.DONE),
        ("zoo/one", State.DONE),
        ("one", State.FAILED),
    ]
    assert "set, zoo" in night.outcomes[2].reason


def test_what_failed_on_another_night_is_no_failure_of_this_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(folder, Clip(), seq="idle")
    project.root.mkdir(parents=True)
    progress.say_event(project.root, "a", "frames", progress.Event.FAILED, message="Frames: last week")
    night = Night(folder, monkeypatch, {"idle": "waits"})
    assert len(night.run()) == 1


def test_only_what_this_night_made_is_counted(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sequence that was begun earlier, of which only a stage was still to be made."""
    night = Night(finished.folder, monkeypatch, {"toy": "stops"})

    def one_stage_more(_: object) -> dict[str, str]:
        took(finished.root / "anchors", 1.5)
        return {}

    for path in finished.root.rglob("manifest.json"):
        os.utime(path, (1, 1))
    monkeypatch.setattr(luigi_schedule, "schedule", one_stage_more)
    with pytest.raises(StageError):
        night.run()
    assert night.outcomes[0].seconds == 1.5


@pytest.mark.parametrize("killed", [False, True])
def test_after_a_round_nobody_is_kept_from_its_sequences(
    folder: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    night = Night(folder, monkeypatch, {"one": "stops"})
    root = Project(folder, Clip(), seq="one").root

    def work(_: object) -> dict[str, str]:
        locks.require(root, shared=False)
        if killed:
            raise KeyboardInterrupt
        return {}

    monkeypatch.setattr(luigi_schedule, "schedule", work)
    with pytest.raises(KeyboardInterrupt if killed else StageError):
        night.run()
    assert not locks.holds(root)


def test_every_night_ends_with_a_fresh_look(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(folder, monkeypatch, {"old": "done"})
    assert not night.task.complete()
    night.run()
    assert night.task.complete()
    assert night.rounds == []
    assert not BulkRefine(list="another").complete()


def test_a_night_requires_nothing_of_its_own_scheduler_and_every_sequence_of_a_central_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = Night(folder, monkeypatch, {"one": "to do", "two": "done"})
    assert list(night.task.requires()) == []
    monkeypatch.setattr(luigi_hooks, "has_central_scheduler", lambda: True)
    assert [(type(task), task.seq) for task in night.task.requires()] == [
        (RefineSequence, "one"),
        (RefineSequence, "two"),
    ]
    assert not night.task.complete()
    night.fate["one"] = "done"
    assert night.task.complete()


def test_with_a_central_scheduler_what_cannot_be_taken_fails_whatever_the_others_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = Night(folder, monkeypatch, {"one": "done", "no/where": "is nowhere"})
    monkeypatch.setattr(luigi_hooks, "has_central_scheduler", lambda: True)
    one, left_out = night.task.requires()
    assert isinstance(one, RefineSequence) and not night.task.complete()
    with pytest.raises(InputError, match=r"^no/where: found no dataset 'no'"):
        left_out.run()


def test_a_night_makes_reports_and_one_that_cannot_be_made_fails_its_sequence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = Night(folder, monkeypatch, {"one": "done", "two": "done"})
    night.task = night.task.clone(reports=True)
    night.publish("two")
    asked: list[type] = []
    monkeypatch.setattr(ReportSequence, "complete", lambda task: task.seq == "one")
    monkeypatch.setattr(luigi_schedule, "schedule", lambda tasks: asked.extend(map(type, tasks)) or {})
    with pytest.raises(StageError, match="1 of 2"):
        night.run()
    assert asked == [ReportSequence]
    one, two = night.outcomes
    assert one == Outcome("one", State.DONE)
    assert (two.state, two.reason) == (State.FAILED, "the masks are done, the report is not: run the command again")
