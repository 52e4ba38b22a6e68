"""`log.txt`: one line an event; the last failure stands until the next run begins."""

import re
from pathlib import Path

from stages.formats.log import BEGINS, FAILED, last_failure, write_log


def test_an_event_is_one_line_with_its_time(tmp_path: Path) -> None:
    write_log(tmp_path, "masks done in 0.1 s")
    write_log(tmp_path, "two lines:\nthis is the second")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line[20:] for line in lines] == ["masks done in 0.1 s", "two lines:"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line[:20]) for line in lines)


def test_without_a_log_nothing_failed(tmp_path: Path) -> None:
    assert last_failure(tmp_path) is None
    assert not (tmp_path / "log.txt").exists()


def test_a_failure_stands_until_the_next_run_begins(tmp_path: Path) -> None:
    write_log(tmp_path, BEGINS)
    assert last_failure(tmp_path) is None
    write_log(tmp_path, f"{FAILED}Frames: the first")
    write_log(tmp_path, f"{FAILED}Frames: 00003.png is cut short")
    write_log(tmp_path, "anchors done in 0.1 s")
    assert last_failure(tmp_path) == "Frames: 00003.png is cut short"
    write_log(tmp_path, BEGINS)
    write_log(tmp_path, "it is not a failure that failed: is said")
    assert last_failure(tmp_path) is None


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    write_log(tmp_path, f"{FAILED}Frames: long ago")
    for _ in range(400):
        write_log(tmp_path, "waiting for scribbles on 7 frames: 16, 33, 49, 66, 82, 99, 131")
    assert last_failure(tmp_path) is None
    write_log(tmp_path, f"{FAILED}Frames: now")
    assert last_failure(tmp_path) == "Frames: now"


def test_a_log_with_strange_bytes_is_read(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"\xff\xfe\nno time\n")
    write_log(tmp_path, f"{FAILED}Frames: größer")
    assert last_failure(tmp_path) == "Frames: größer"
