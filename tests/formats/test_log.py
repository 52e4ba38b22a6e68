"""`log.txt`: one line an event."""

import re
from pathlib import Path

from stages.formats.log import write_log


def test_an_event_is_one_line_with_its_time(tmp_path: Path) -> None:
    write_log(tmp_path, "masks done in 0.1 s")
    write_log(tmp_path, "two lines:\nthis is the second")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line[20:] for line in lines] == ["masks done in 0.1 s", "two lines:"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line[:20]) for line in lines)
