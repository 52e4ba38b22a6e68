"""Reviews: what was approved comes back, nobody's approval is written over, damage and newer versions are told."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.formats.review_json import (
    NEW,
    Approval,
    Review,
    ReviewChangedError,
    Run,
    change_review,
    in_runs,
    read_review,
    review_file,
)
from stages.formats.scribble_sets import sets_in

AT = "2030-01-31T12:00:00Z"


def approval(number: int, by: str = "anna", at: str = AT) -> Approval:
    return Approval(f"{number:064x}", by, at)


@pytest.fixture
def scribble_file(tmp_path: Path) -> Path:
    return tmp_path / "dog" / "001.json"


def test_what_was_approved_comes_back(scribble_file: Path) -> None:
    path = review_file(scribble_file)
    assert read_review(path, "dog") == Review()
    said = Review({0: approval(1), 1: approval(2), 2: approval(3, "Ängström"), 7: approval(4)}, {12: approval(5)})
    written = change_review(scribble_file, "dog", lambda _: said, NEW)
    assert read_review(path, "dog") == written and (written.result, written.anchors) == (said.result, said.anchors)
    entries = json.loads(path.read_text())["result"]
    assert [(each["first"], len(each["sha256"])) for each in entries] == [(0, 2), (2, 1), (7, 1)]
    assert in_runs(said.result) == [Run(0, 1, "anna", AT), Run(2, 2, "Ängström", AT), Run(7, 7, "anna", AT)]
    assert sets_in(scribble_file.parent) == [], "a review is no scribble set"


def test_who_has_not_seen_the_present_version_changes_nothing(scribble_file: Path) -> None:
    first = change_review(scribble_file, "dog", lambda _: Review({0: approval(1)}), NEW)
    second = change_review(scribble_file, "dog", lambda now: replace(now, anchors={3: approval(2)}), first.tag)
    for seen in (NEW, first.tag):
        with pytest.raises(ReviewChangedError, match="another version"):
            change_review(scribble_file, "dog", lambda _: Review(), seen)
    assert read_review(review_file(scribble_file), "dog") == second


def test_of_many_who_approve_at_once_nobody_is_lost(scribble_file: Path) -> None:
    with ProcessPoolExecutor(4, multiprocessing.get_context("fork")) as pool:
        list(pool.map(_approve_some, [scribble_file] * 4, range(4)))
    assert len(read_review(review_file(scribble_file), "dog").result) == 40


def _approve_some(scribble_file: Path, who: int) -> None:
    for frame in range(10 * who, 10 * who + 10):
        change_review(
            scribble_file,
            "dog",
            lambda now, frame=frame: replace(now, result={**now.result, frame: approval(frame, str(who))}),
        )


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("{", "expected JSON"),
        ('{"schema": 2, "sequence": "dog", "brought": "by others"}', "found schema 2, expected 1; update"),
        ('{"schema": 1, "sequence": "cat"}', "found a review of 'cat'"),
        ('{"schema": 1, "sequence": "dog", "results": []}', "did you mean 'result'"),
        ('{"schema": 1, "sequence": "dog", "result": [{"first": -1}]}', "found -1 as 'first' in result"),
        ('{"schema": 1, "sequence": "dog", "result": [ENTRY, ENTRY]}', "frame 3 approved twice"),
        (
            '{"schema": 1, "sequence": "dog", "anchors": [{"first": 3, "by": "a", "at": "AT", "sha256": ["x"]}]}',
            "sha256",
        ),
        (
            '{"schema": 1, "sequence": "dog", "anchors": [{"first": 3, "by": "\\ud800", "at": "AT", "sha256": []}]}',
            "by",
        ),
    ],
)
def test_what_cannot_be_is_told(scribble_file: Path, said: str, complaint: str) -> None:
    path = review_file(scribble_file)
    path.parent.mkdir()
    entry = json.dumps({"first": 3, "by": "anna", "at": AT, "sha256": ["0" * 64]})
    path.write_text(said.replace("ENTRY", entry).replace("AT", AT))
    for act in (lambda: read_review(path, "dog"), lambda: change_review(scribble_file, "dog", lambda _: Review())):
        before = path.read_bytes()
        with pytest.raises(InputError, match=complaint):
            act()
        assert path.read_bytes() == before


def test_a_name_that_could_not_be_read_again_is_not_written(scribble_file: Path) -> None:
    for name in ("a\nb", "\udc80", "x" * 201):
        with pytest.raises(InputError, match="'by'"):
            change_review(scribble_file, "dog", lambda _, name=name: Review({0: approval(1, name)}))
    assert not review_file(scribble_file).exists()


def test_approvals_of_five_thousand_frames_come_back_as_they_were(scribble_file: Path) -> None:
    every = {index: approval(index, "anna" if index % 2 else "ben") for index in range(5000)}
    change_review(scribble_file, "dog", lambda _: Review(every))
    assert read_review(review_file(scribble_file), "dog").result == every
