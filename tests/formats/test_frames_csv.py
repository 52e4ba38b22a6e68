"""`frames.csv`: what is known of every mask comes back as it was written, and a damaged table says where."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import StageError
from stages.core.states import Source
from stages.formats.frames_csv import FrameQuality, read_frames_csv, write_frames_csv

FORMER = "frame,object_id,score,agreement,source,accepted,reason,area_px"
HEAD = f"{FORMER},sureness,largest\n"
ROWS = (
    FrameQuality(0, 1, 1.0, math.nan, Source.ANCHOR, None, "", 12),
    FrameQuality(1, 1, 0.123456, 0.75, Source.BOTH, True, "", 0, sureness=0.5),
    FrameQuality(1, 7, 0.0, math.nan, Source.LOST, None, 'score 0.01, "too low";\nsaid twice', 0),
    FrameQuality(2, 7, 0.5, math.nan, Source.FORWARD, False, "IoU 0.61 below 0.70", 99999),
    FrameQuality(3, 7, 0.0, math.nan, Source.ABSENT, None, "", 0),
)


def test_frames_come_back_as_they_were(tmp_path: Path) -> None:
    write_frames_csv(tmp_path, ROWS)
    back = read_frames_csv(tmp_path)
    assert repr(back) == repr(list(ROWS))
    assert all(isinstance(row.source, Source) for row in back)


def test_columns_are_those_that_people_are_told(tmp_path: Path) -> None:
    write_frames_csv(tmp_path, ROWS[:2])
    rows = "0,1,1.000000,,anchor,,,12,,\n1,1,0.123456,0.750000,both,1,,0,0.500000,\n"
    assert (tmp_path / "frames.csv").read_bytes() == (HEAD + rows).encode()


def test_equal_values_give_equal_bytes_whatever_their_type(tmp_path: Path) -> None:
    plain = FrameQuality(3, 1, 0.25, 0.1, Source.BOTH, True, "", 5)
    typed = FrameQuality(
        np.int64(3), np.int32(1), np.float32(0.25), np.float32(0.1), Source.BOTH, np.True_, "", np.int64(5)
    )
    written = {}
    for name, row in {
        "plain": plain,
        "typed": typed,
        "zero": replace(plain, score=0.0),
        "negative": replace(plain, score=-0.0),
    }.items():
        write_frames_csv(tmp_path, [row])
        written[name] = (tmp_path / "frames.csv").read_bytes()
    assert written["plain"] == written["typed"]
    assert written["zero"] == written["negative"] != written["plain"]


def test_what_version_0_1_wrote_of_lost_and_absent_masks_is_read(tmp_path: Path) -> None:
    """It said of them twice what `source` says."""
    rows = "4,1,0.000000,,lost,,lost: forward: a cut,0\n5,1,0.000000,,absent,,absent,0\n6,1,0.5,,both,0,IoU 0.5,9\n"
    (tmp_path / "frames.csv").write_text(f"{FORMER}\n{rows}", encoding="utf-8")
    back = [(row.source, row.reason) for row in read_frames_csv(tmp_path)]
    assert back == [(Source.LOST, "forward: a cut"), (Source.ABSENT, ""), (Source.BOTH, "IoU 0.5")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0,1,one,,anchor,,,12,,", "row 1"),
        ("0,1,1.0,,anchor,,,12,,\n0,1,1.0,,elsewhere,,,12,,", "row 2.*elsewhere"),
        ("0,1,1.0,,anchor,2,,12,,", "row 1"),
        ("0,1,1.0", "row 1"),
        ("0,1,1.0,,anchor,,,12,0.5", "row 1"),
    ],
)
def test_a_damaged_table_says_where(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "frames.csv").write_text(f"{HEAD}{line}\n", encoding="utf-8")
    with pytest.raises(StageError, match=message):
        read_frames_csv(tmp_path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"frames\.csv"):
        read_frames_csv(tmp_path)
