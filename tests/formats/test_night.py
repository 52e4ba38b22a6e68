"""`outputs/bulk/`: a folder of its own for each night, what came of it, and which one was the last."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stages.core.errors import StageError
from stages.core.states import State
from stages.formats import files, night
from stages.formats.glance import Doubt
from stages.formats.night import NightRecord, Outcome, Summary, counted, table

OUTCOMES = [
    Outcome("gym", State.DONE, "", 12.25, doubt=Doubt(0.1, 0.6, 57), report="gym/report/index.html", drawn_s=100),
    Outcome("bmx-trees", State.FAILED, "Frames: 00003.png is cut short\nmore of it", 0.5),
    Outcome("idle", State.WAITING, "scribbles on 2 frames: 3, 9", owed=2, drawn_s=900),
    Outcome("late", State.STOPPED, "not everything ran"),
    Outcome("old", State.DONE, doubt=Doubt(0.3, 0.4, 2)),
    Outcome("half", State.PROVISIONAL, "scribbles on 1 frame: 7", owed=1),
]
RECORD = NightRecord(100.0, 7, "b", "/work", {"requests": "3"}, [{"name": "gym", "seq": "gym", "dataset": ""}])


def end(folder: Path, ended: float, started: float = 0.0) -> None:
    Summary(OUTCOMES, started, ended).write(folder)
    night.point_latest_at(folder)


def test_a_night_is_summed_up_for_people_and_for_programs(tmp_path: Path) -> None:
    path = Summary(OUTCOMES, 100.0, 161.26).write(tmp_path)
    assert path == tmp_path / "summary.txt"
    assert path.read_text().splitlines() == [
        "6 of 6 sequences: 2 done, 1 waiting, 1 failed, 1 stopped, 1 provisional in 61 s",
        "stages computed for 13 s",
        "people owe scribbles on 3 frames",
        "mean doubt 0.20",
        "1.7 minutes of a person per finished video",
        "",
        "gym        done            12.2 s  doubt 0.10, worst 0.60",
        "bmx-trees  failed           0.5 s  Frames: 00003.png is cut short",
        "idle       waiting          0.0 s  scribbles on 2 frames: 3, 9",
        "late       stopped          0.0 s  not everything ran",
        "old        done             0.0 s  doubt 0.30, worst 0.40",
        "half       provisional      0.0 s  scribbles on 1 frame: 7",
    ]
    summary = json.loads((tmp_path / "summary.json").read_text())
    rows = summary.pop("sequences")
    counts = {"done": 2, "waiting": 1, "failed": 1, "stopped": 1, "provisional": 1}
    sums = {"seconds": 61.3, "computed_seconds": 12.8, "scribbles_owed": 3, "doubt": 0.2, "drawn_minutes": 1.7}
    assert summary == {"schema": 2, "started": 100.0, "ended": 161.26, "killed": False, **counts, **sums}
    assert rows[0] == {
        "sequence": "gym",
        "state": "done",
        "reason": "",
        "seconds": 12.25,
        "owed": 0,
        "doubt": {"mean": 0.1, "worst": 0.6, "frame": 57},
        "report": "gym/report/index.html",
        "drawn_s": 100,
    }


def test_a_night_that_was_killed_says_so(tmp_path: Path) -> None:
    assert "the night was killed" in Summary(OUTCOMES, 0, 9, killed=True).write(tmp_path).read_text()
    assert json.loads((tmp_path / "summary.json").read_text())["killed"]


def test_a_night_of_nothing_can_be_written(tmp_path: Path) -> None:
    assert Summary([], 0, 1).write(tmp_path).read_text().startswith("0 of 0 sequences")


def test_what_is_known_so_far_is_counted() -> None:
    assert counted(OUTCOMES[:1], 9) == "1 of 9 sequences: 1 done"
    assert table(OUTCOMES[1:2]) == "bmx-trees  failed           0.5 s  Frames: 00003.png is cut short"


def test_nights_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    began = time.mktime((2024, 2, 3, 4, 5, 6, 0, 0, -1))
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: night.begin_night(tmp_path, began), range(8)))
    names = sorted(folder.relative_to(tmp_path / "bulk").as_posix() for folder in folders)
    assert names[0] == "2024-02-03_040506"
    assert names[1:] == [f"2024-02-03_040506-{number}" for number in range(2, 9)]


def test_latest_leads_to_the_night_that_ended_last(tmp_path: Path) -> None:
    early, late = (night.begin_night(tmp_path, 1e9) for _ in range(2))
    link = tmp_path / "bulk" / "latest"
    end(late, ended=300)
    assert link.readlink() == Path(late.name), "relative, so that the folder of results can be moved"
    end(early, ended=200)
    assert link.resolve() == late
    end(early, ended=400)
    assert link.resolve() == early
    assert [path.name for path in link.parent.iterdir() if path.name.startswith(".")] == []


def test_latest_leads_away_from_what_is_gone_or_damaged(tmp_path: Path) -> None:
    gone, new = (night.begin_night(tmp_path, 1e9) for _ in range(2))
    end(gone, ended=900)
    (gone / "summary.json").write_text("{")
    end(new, ended=300)
    assert (tmp_path / "bulk" / "latest").resolve() == new


def test_where_a_disk_knows_no_links_a_file_says_which_night_was_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Linkless(files.Disk):
        def symlink(self, path: Path, target: str) -> None:
            raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(files, "disk", Linkless())
    folder = night.begin_night(tmp_path, 1e9)
    end(folder, ended=300)
    assert (tmp_path / "bulk" / "latest.txt").read_text() == f"{folder.name}\n"


def test_what_a_night_was_told_to_do_is_read_back(tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    assert NightRecord.read(tmp_path) == RECORD
    for content in ("", "{", "[]", "null", '{"schema": 9}', '{"schema": 1, "started": "x"}'):
        (tmp_path / "night.json").write_text(content)
        with pytest.raises(StageError, match=r"night\.json"):
            NightRecord.read(tmp_path)


def test_a_night_without_a_summary_is_at_work_or_was_killed(tmp_path: Path) -> None:
    over, open_night = (night.begin_night(tmp_path, 1e9) for _ in range(2))
    for folder in (over, open_night):
        RECORD.write(folder)
    end(over, ended=300)
    (tmp_path / "bulk" / "interactive-lazy").mkdir()
    assert night.nights_without_summary(tmp_path) == [open_night]


def test_a_command_finds_the_night_that_it_began_and_no_other(tmp_path: Path) -> None:
    mine, other = (night.begin_night(tmp_path, 1e9) for _ in range(2))
    RECORD.write(mine)
    NightRecord(100.0, 8, "b", "/work", {}, []).write(other)
    for folder in (mine, other):
        end(folder, ended=300)
    assert night.summary_of_command(tmp_path, 7, "b", 250)["summary"] == str(mine)
    assert night.summary_of_command(tmp_path, 7, "another", 250) == {}
    assert night.summary_of_command(tmp_path, 7, "b", 301) == {}, "an older process had the same number"


def test_summaries_of_the_first_version_are_read(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"seconds": 61.3, "done": 1, "sequences": [{"sequence": "gym"}]}')
    summary = night.read_summary(tmp_path)
    assert (summary["done"], summary["seconds"]) == (1, 61.3)
    assert summary["ended"] == (tmp_path / "summary.json").stat().st_mtime
    (tmp_path / "summary.json").write_text('{"schema": 3}')
    with pytest.raises(StageError, match="newer version"):
        night.read_summary(tmp_path)
