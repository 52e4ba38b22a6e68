"""`quality.csv` comes back as it was written; `next_scribbles.json` is ranked and says why."""

import json
import math
from pathlib import Path

import pytest

from stages.core.errors import StageError
from stages.core.states import Source
from stages.formats.frames_csv import FrameQuality, write_frames_csv
from stages.formats.report_data import (
    JudgedFrame,
    Suggestion,
    read_quality_csv,
    read_suggested,
    worst_by_frame,
    write_quality_csv,
    write_suggestions,
)


def judged(frame: int, doubt: float, object_id: int = 1, why: str = "") -> JudgedFrame:
    agreement = math.nan if frame == 0 else 0.5
    source = Source.ANCHOR if frame == 0 else Source.BOTH
    return JudgedFrame(
        frame, object_id, 0.25, agreement, source, True, "", 40, f"{frame:05d}.jpg", frame, 0.125, doubt, why
    )


def test_quality_comes_back_as_it_was(tmp_path: Path) -> None:
    rows = [judged(0, 0.0), judged(1, 0.75, why="forward and backward overlap by 20%"), judged(1, 0.5, object_id=2)]
    write_quality_csv(tmp_path, rows)
    assert repr(read_quality_csv(tmp_path)) == repr(rows)


def test_a_table_without_doubt_is_no_quality_table(tmp_path: Path) -> None:
    write_frames_csv(tmp_path, [FrameQuality(0, 1, 1.0, math.nan, Source.ANCHOR, None, "", 12)])
    (tmp_path / "frames.csv").rename(tmp_path / "quality.csv")
    with pytest.raises(StageError, match="doubt"):
        read_quality_csv(tmp_path)


def test_the_worst_object_stands_for_its_frame() -> None:
    rows = [judged(5, 0.1), judged(5, 0.8, object_id=2), judged(5, 0.8, object_id=3), judged(6, 0.3)]
    assert {frame: row.object_id for frame, row in worst_by_frame(rows).items()} == {5: 2, 6: 1}


def test_suggestions_are_ranked_and_say_why(tmp_path: Path) -> None:
    rows = [judged(35, 0.8, why="forward and backward überlappen by 20%"), judged(35, 0.1, object_id=2)]
    suggestions = [Suggestion(35, 0.25, 30, None, (2, 1)), Suggestion(7, 0.1, None, 30, ())]
    names = [f"shot_{index}.jpg" for index in range(41)]
    write_suggestions(tmp_path, "gym", suggestions, rows, names)
    text = (tmp_path / "next_scribbles.json").read_text(encoding="utf-8")
    assert "überlappen" in text
    assert json.loads(text) == {
        "sequence": "gym",
        "suggestions": [
            {
                "rank": 1,
                "frame": 35,
                "name": "shot_35.jpg",
                "expected_gain": 0.25,
                "doubt": 0.8,
                "why": "forward and backward überlappen by 20%",
                "objects": [2, 1],
                "between_anchors": [30, None],
                "paint_on": "requests/00035.png",
            },
            {
                "rank": 2,
                "frame": 7,
                "name": "shot_7.jpg",
                "expected_gain": 0.1,
                "doubt": 0.0,
                "why": "",
                "objects": [],
                "between_anchors": [None, 30],
                "paint_on": "requests/00007.png",
            },
        ],
    }
    assert read_suggested(tmp_path) == (35, 7)
    (tmp_path / "next_scribbles.json").write_text("{")
    with pytest.raises(StageError, match=r"next_scribbles\.json: cannot be read"):
        read_suggested(tmp_path)
