"""Drafts: what was confirmed is there, what somebody else wrote meanwhile is never overwritten, damage is told."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import InputError
from stages.core.strokes import FrameScribbles, Line
from stages.formats import drafts
from stages.formats.draft_json import Draft, DraftKind, DraftState
from stages.formats.drafts import (
    NEW,
    ChangedError,
    base_of,
    discard_draft,
    draft_file,
    mark_conflict,
    mask_of_draft,
    read_draft,
    read_drafts,
    set_state,
    settle_draft,
    write_draft,
)
from stages.formats.masks import read_mask
from stages.formats.schema import NewerVersionError
from stages.formats.scribbles import ScribbleSet

LINE = Line(1, ((0.123456, 0.5), (1.0, 0.0)), 0, 1400)
DRAFT = Draft("dog", "001", 12, lines=(LINE,), author="anna")
MASK = np.kron(np.array([[0, 1], [7, 254]]), np.ones((3, 4))).astype(np.uint8)


@pytest.fixture
def scribble_file(tmp_path: Path) -> Path:
    return tmp_path / "dog" / "001.json"


def test_what_is_drawn_comes_back(scribble_file: Path) -> None:
    assert (read_draft(scribble_file, 12), read_drafts(scribble_file)) == (None, {})
    first = write_draft(scribble_file, DRAFT, NEW)
    assert (first.revision, read_draft(scribble_file, 12)) == (1, first)
    overshot = replace(DRAFT, lines=(Line(2, ((1.0000001, 0.12345678),)),), absent=(3,), corrects="ab" * 32)
    second = write_draft(scribble_file, overshot, first.tag)
    assert (second.lines[0].path, second.revision, second.absent) == (((1.0, 0.123457),), 2, (3,))
    ready = set_state(scribble_file, 12, DraftState.READY, second.tag)
    assert read_drafts(scribble_file) == {12: ready}
    assert len({NEW, first.tag, second.tag, ready.tag}) == 4
    said = json.loads(draft_file(scribble_file, 12).read_text())
    assert (said["state"], said["revision"], said["mask"], said["set"]) == ("ready", 3, None, "001")
    discard_draft(scribble_file, 12, ready.tag)
    assert read_drafts(scribble_file) == {}


@pytest.mark.parametrize("name", ["001.drafts", "001.drafts/00012.json", "001.drafts/00012.png"])
def test_nothing_is_written_through_a_link(scribble_file: Path, tmp_path: Path, name: str) -> None:
    """It may have come with somebody's dataset, and lead to any file."""
    link, outside = scribble_file.parent / name, tmp_path / "outside"
    link.parent.mkdir(parents=True)
    outside.mkdir()
    link.symlink_to(outside / "victim" if link.suffix in (".json", ".png") else outside)
    with pytest.raises(InputError, match="found a link"):
        write_draft(scribble_file, replace(DRAFT, kind=DraftKind.MASK, lines=()), NEW, MASK)
    assert {path.name for path in outside.iterdir()} <= {".lock"} and link.is_symlink()


def test_another_mask_is_another_version_whatever_the_clock_says(
    scribble_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody discards a mask and paints anew while the clock stands: who has seen the first has not seen that."""
    monkeypatch.setattr(drafts, "datetime", Standing)
    mask = replace(DRAFT, kind=DraftKind.MASK, lines=())
    first = write_draft(scribble_file, mask, NEW, MASK)
    discard_draft(scribble_file, 12, first.tag)
    second = write_draft(scribble_file, mask, NEW, MASK[::-1])
    with pytest.raises(ChangedError):
        write_draft(scribble_file, DRAFT, first.tag)
    settle_draft(scribble_file, first, None)
    assert read_draft(scribble_file, 12) == second
    assert np.array_equal(read_mask(mask_of_draft(scribble_file, 12)), MASK[::-1])


class Standing(datetime):
    """It is always the same moment."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Standing":
        return cls(2030, 1, 31, tzinfo=tz)


def test_a_mask_is_kept_to_the_pixel_until_the_draft_is_something_else(scribble_file: Path) -> None:
    mask = replace(DRAFT, kind=DraftKind.MASK, lines=())
    with pytest.raises(InputError, match=r"00012\.png: found no mask"):
        write_draft(scribble_file, mask, NEW)
    first = write_draft(scribble_file, mask, NEW, MASK)
    second = set_state(scribble_file, 12, DraftState.READY, first.tag)
    assert np.array_equal(read_mask(mask_of_draft(scribble_file, 12)), MASK)
    write_draft(scribble_file, DRAFT, second.tag)
    assert not mask_of_draft(scribble_file, 12).exists()


def test_who_has_not_seen_the_present_version_changes_nothing(scribble_file: Path) -> None:
    with pytest.raises(ChangedError, match="found no draft"):
        write_draft(scribble_file, DRAFT, "1-0123456789abcdef")
    first = write_draft(scribble_file, DRAFT, NEW)
    second = write_draft(scribble_file, replace(DRAFT, lines=(LINE, LINE)), first.tag)
    for seen in (NEW, first.tag):
        with pytest.raises(ChangedError, match="found version 2") as refused:
            write_draft(scribble_file, replace(DRAFT, author="ben"), seen)
        assert refused.value.present == second
        for change in (discard_draft, lambda file, frame, tag: set_state(file, frame, DraftState.READY, tag)):
            with pytest.raises(ChangedError):
                change(scribble_file, 12, seen)
    assert read_draft(scribble_file, 12) == second


def test_of_many_who_write_at_once_each_version_has_one_winner(scribble_file: Path) -> None:
    write_draft(scribble_file, replace(DRAFT, lines=()), NEW)
    with ProcessPoolExecutor(4, multiprocessing.get_context("fork")) as pool:
        won = sum(pool.map(_add_lines, [scribble_file] * 4, range(4)))
    draft = read_draft(scribble_file, 12)
    assert draft is not None
    assert won == 40 == len(draft.lines) == draft.revision - 1


def _add_lines(scribble_file: Path, writer: int) -> int:
    won = 0
    while won < 10:
        present = read_draft(scribble_file, 12)
        assert present is not None
        line = Line(writer, ((won / 10, 0.5),))
        try:
            write_draft(scribble_file, replace(present, lines=(*present.lines, line)), present.tag)
        except ChangedError:
            continue
        won += 1
    return won


def test_a_promoted_draft_goes_and_a_newer_one_stays_on_the_new_set(scribble_file: Path) -> None:
    promoted = write_draft(scribble_file, replace(DRAFT, state=DraftState.READY), NEW)
    settle_draft(scribble_file, promoted, "ef" * 32)
    assert read_draft(scribble_file, 12) is None
    promoted = write_draft(scribble_file, DRAFT, NEW)
    newer = write_draft(scribble_file, replace(DRAFT, lines=(LINE, LINE)), promoted.tag)
    settle_draft(scribble_file, promoted, "ef" * 32)
    kept = read_draft(scribble_file, 12)
    assert kept is not None
    assert (kept, kept.tag) == (replace(newer, base="ef" * 32), newer.tag), "who draws on need not know"
    drawn_on = write_draft(scribble_file, DRAFT, newer.tag)
    assert drawn_on.base == "ef" * 32
    discard_draft(scribble_file, 12, drawn_on.tag)
    anew = write_draft(scribble_file, DRAFT, NEW)
    settle_draft(scribble_file, replace(promoted, revision=4), "ef" * 32)
    assert read_draft(scribble_file, 12) == anew, "begun anew: the set's answer is not what was drawn on"


def test_a_conflict_stays_until_a_person_decides(scribble_file: Path) -> None:
    ready = write_draft(scribble_file, replace(DRAFT, state=DraftState.READY), NEW)
    mark_conflict(scribble_file, replace(ready, revision=7))
    assert read_draft(scribble_file, 12) == ready
    mark_conflict(scribble_file, ready)
    conflict = read_draft(scribble_file, 12)
    assert conflict is not None
    assert conflict == replace(ready, state=DraftState.CONFLICT, revision=2)
    mine = write_draft(scribble_file, replace(ready, base="cd" * 32), conflict.tag)
    assert (mine.state, mine.base) == (DraftState.READY, "cd" * 32)


def test_what_the_set_says_of_a_frame_is_one_digest() -> None:
    empty = ScribbleSet("dog", 20)
    drawn = replace(empty, frames={12: FrameScribbles((LINE,))})
    said = [
        base_of(empty, "", 12),
        base_of(replace(empty, frames={12: FrameScribbles(())}), "", 12),
        base_of(drawn, "", 12),
        base_of(empty, "ab" * 32, 12),
        base_of(drawn, "ab" * 32, 12),
        base_of(replace(drawn, corrects={12: "ab" * 32}), "", 12),
        base_of(replace(drawn, absent={12: (3,)}), "", 12),
    ]
    assert (said[0], said[2], len({*said})) == (None, drawn.strokes_digest(12), len(said))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lines": [{"path": [[2, 0]], "object_id": 1}]}, r"at lines\.0\.path\.0\.0"),
        ({"lines": [{"path": [], "object_id": 1}]}, "at lines.0.path"),
        ({"kind": "empty"}, "found lines in a draft of the kind empty"),
        ({"absent": [1]}, "strokes of object 1, which is called absent"),
        ({"frame": 13}, "found a draft of frame 13 for the set 001, expected one of frame 12"),
        ({"set": "../x"}, "for the set ../x"),
        ({"state": "done"}, "at state"),
        ({"frame": -1}, "at frame"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(scribble_file: Path, change: dict[str, object], words: str) -> None:
    write_draft(scribble_file, DRAFT, NEW)
    path = draft_file(scribble_file, 12)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=words):
        read_drafts(scribble_file)


def test_damage_and_newer_versions_are_told(scribble_file: Path) -> None:
    write_draft(scribble_file, DRAFT, NEW)
    path = draft_file(scribble_file, 12)
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 2}))
    with pytest.raises(NewerVersionError):
        read_draft(scribble_file, 12)
    path.write_text("{")
    with pytest.raises(InputError, match="expected a draft"):
        read_draft(scribble_file, 12)
