"""What waits comes into the set once, whenever a kill comes; what somebody else has changed is kept beside it."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.core.strokes import FrameScribbles, Line
from stages.formats import files
from stages.formats.draft_json import Draft, DraftKind, DraftState
from stages.formats.drafts import NEW, base_of, mask_of_draft, read_draft, read_drafts, write_draft
from stages.formats.files import Disk, sha256
from stages.formats.frozen import Live, Waiting, freeze
from stages.formats.given_masks import given_frames, write_given
from stages.formats.paintings import pending
from stages.formats.scribbles import ScribbleSet, merge, read_scribbles, write_scribbles
from stages.steps.ask import Reading
from stages.steps.drafts import Sifted, merged, sift
from stages.steps.promote import digest_of_set, promote

HEIGHT, WIDTH, COUNT = 24, 32, 6
OLD, NEWER, OTHER = (Line(1, ((0.25, y), (0.75, y))) for y in (0.25, 0.5, 0.75))
DRAWN = ScribbleSet("toy", COUNT, {0: FrameScribbles((OLD,)), 1: FrameScribbles((OLD,))})
READY = Draft("toy", "001", 0, lines=(NEWER,), state=DraftState.READY)
MASK = np.full((HEIGHT, WIDTH), 1, np.uint8)


def no_mask(index: int) -> str:
    raise AssertionError(index)


# --- telling drafts apart --------------------------------------------------------------------------------------------


def sifted(draft: Draft, scribbles: ScribbleSet = DRAWN, given: str = "") -> str:
    found = sift({draft.frame: draft}, scribbles, {draft.frame: given} if given else {}, no_mask)
    return next((kind for kind in ("waiting", "settled", "contrary") if getattr(found, kind)), "")


def test_drafts_are_merged_where_the_set_says_what_it_said() -> None:
    on_old = replace(READY, base=base_of(DRAWN, "", 0))
    assert sifted(on_old) == "waiting"
    assert sifted(replace(on_old, state=DraftState.DRAFT)) == sifted(replace(on_old, state=DraftState.CONFLICT)) == ""
    assert sifted(READY) == "contrary", "it was drawn on a frame that nothing was said of"
    assert sifted(replace(READY, frame=3)) == "waiting"
    assert sifted(on_old, merge(DRAWN, 0, [OTHER])) == "contrary"
    assert sifted(on_old, merge(DRAWN, 0, [NEWER])) == "settled", "a kill came before it was taken away"
    assert sifted(on_old, given="ab" * 32) == "contrary"
    assert sifted(replace(READY, base=base_of(DRAWN, "ab" * 32, 0)), given="ab" * 32) == "waiting"
    assert sifted(replace(on_old, lines=())) == "", "strokes without any are no word that nothing is there"
    assert sifted(replace(on_old, lines=(), kind=DraftKind.EMPTY)) == "waiting"
    assert sifted(replace(on_old, lines=(), absent=(2,))) == "waiting"
    with pytest.raises(InputError, match="a draft of frame 6"):
        sift({6: replace(READY, frame=6)}, DRAWN, {}, no_mask)
    assert sift({}, DRAWN, {}, no_mask) == Sifted({}, {}, {})


def test_a_draft_says_all_of_its_frame() -> None:
    before = replace(DRAWN, absent={0: (2,), 1: (4,)}, from_boxes={0: (1,)})
    now = merged(before, replace(READY, absent=(3,), from_boxes=(1,), corrects="ab" * 32), "cd" * 32)
    assert now.frame(0).lines == (NEWER,)
    assert (now.absent, now.from_boxes, now.corrects) == ({0: (3,), 1: (4,)}, {0: (1,)}, {0: "ab" * 32})
    assert merged(before, replace(READY, lines=(), kind=DraftKind.EMPTY)).frames[0].lines == ()


# --- merging ---------------------------------------------------------------------------------------------------------


class Place:
    """A sequence's folders, with a picture and three drafts that wait: strokes, a mask, strokes on a given mask."""

    def __init__(self, folder: Path):
        self.root, self.file = folder / "outputs", folder / "scribbles" / "toy" / "001.json"
        (self.root / "requests").mkdir(parents=True)
        (folder / "frames").mkdir()
        self.frames = [folder / "frames" / f"{index:05d}.png" for index in range(COUNT)]
        for path in self.frames:
            Image.new("RGB", (WIDTH, HEIGHT), (40, 90, 60)).save(path)
        write_scribbles(self.file, DRAWN)

    def fill(self) -> None:
        given = write_given(self.file, 4, MASK)
        self.draw(replace(READY, base=base_of(DRAWN, "", 0)))
        self.draw(replace(READY, frame=3, kind=DraftKind.MASK, lines=()), MASK)
        self.draw(replace(READY, frame=4, base=base_of(DRAWN, sha256(given), 4)))
        picture = np.array(Image.open(self.frames[2]))
        picture[10:13, 4:20] = (128, 0, 0)
        Image.fromarray(picture).save(self.root / "requests" / "00002.strokes.png")

    def draw(self, draft: Draft, mask: np.ndarray | None = None) -> Draft:
        return write_draft(self.file, draft, NEW, mask)

    def now(self) -> ScribbleSet:
        return read_scribbles(self.file, "toy", COUNT)

    def waiting(self) -> Waiting:
        given = {index: sha256(path) for index, path in given_frames(self.file).items()}
        now = self.now()
        found = sift(read_drafts(self.file), now, given, lambda index: sha256(mask_of_draft(self.file, index)))
        painted = pending(self.root, "001", {*now.annotated, *given}, self.frames)
        return Waiting(painted, found.waiting, found.settled, found.contrary)

    def run(self, meanwhile: Callable[[], object] = lambda: None) -> Reading:
        """As a run does it: with a copy."""
        files.delete_tree(self.root / ".frozen")
        now, given = self.now(), given_frames(self.file)
        bases = {index: base_of(now, sha256(given[index]) if index in given else "", index) or "" for index in given}
        live = Live(self.file, digest_of_set(self.file), bases, [*given.values()], self.waiting(), {}, {})
        copy = freeze(self.root, live, lambda: True)
        assert copy is not None
        meanwhile()
        found = promote(self.root, self.file, now, copy.waiting(), self.frames, frozen=copy)
        assert not copy.waiting()
        assert read_scribbles(copy.copy_of_set, "toy", COUNT) == found.scribbles
        return found

    def said(self) -> tuple[object, ...]:
        masks = {index: path.read_bytes() for index, path in given_frames(self.file).items()}
        return self.file.read_bytes(), masks, read_drafts(self.file), bool(self.waiting())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_everything_that_waits_comes_into_the_set(place: Place) -> None:
    place.fill()
    found = place.run()
    now = place.now()
    assert found.scribbles == now
    assert now.annotated == (0, 1, 2, 4)
    assert [now.frame(index).lines for index in (0, 1, 4)] == [(NEWER,), (OLD,), (NEWER,)]
    assert list(given_frames(place.file)) == [3], "who drew on a given mask has seen it"
    assert len(list((place.file.parent / "removed").rglob("00004-*.png"))) == 1, "and it is kept"
    assert (read_drafts(place.file), bool(place.waiting())) == ({}, False)
    assert "frame 0: object 1 (1 stroke), drawn by somebody" in found.said


def test_what_somebody_else_changed_is_kept_beside_it_and_told(place: Place) -> None:
    place.draw(READY)
    found = place.run()
    assert place.now() == DRAWN
    draft = read_draft(place.file, 0)
    assert draft is not None
    assert (draft.state, draft.lines) == (DraftState.CONFLICT, (NEWER,))
    assert any("frame 0: somebody else has changed it" in line for line in found.said)


def test_strokes_on_a_mask_that_is_gone_are_kept_and_fail_no_run(place: Place) -> None:
    corrects = place.draw(replace(READY, frame=3, corrects="ab" * 32))
    found = sift({3: corrects}, place.now(), {}, no_mask, lambda frame, digest: False)
    assert found.contrary == {3: corrects}
    waiting, noted = Waiting(contrary=found.contrary), digest_of_set(place.file)
    said = promote(place.root, place.file, place.now(), waiting, place.frames, noted=noted).said
    assert said == (
        "frame 3: the mask that its draft corrects is in no result any more; the draft is kept, decide in the page",
    )
    kept = read_draft(place.file, 3)
    assert kept is not None and (kept.state, kept.lines) == (DraftState.CONFLICT, (NEWER,))


def test_a_set_that_is_edited_meanwhile_stays_and_the_run_goes_on_with_its_own(place: Place) -> None:
    place.fill()
    edited = merge(DRAWN, 1, [OTHER])
    found = place.run(lambda: write_scribbles(place.file, edited))
    assert place.now() == edited
    assert found.scribbles.frame(1).lines == (OLD,)
    assert found.scribbles.frame(0).lines == (NEWER,)
    assert sorted(read_drafts(place.file)) == [0, 3, 4]
    place.run()
    assert place.now().frame(1).lines == (OTHER,)
    assert (place.now().frame(0).lines, read_drafts(place.file)) == ((NEWER,), {})


def test_what_is_drawn_while_a_draft_is_merged_stays_and_is_merged_by_the_next(place: Place) -> None:
    first = place.draw(replace(READY, base=base_of(DRAWN, "", 0)))
    place.run(lambda: write_draft(place.file, replace(first, lines=(OTHER,)), first.tag))
    assert place.now().frame(0).lines == (NEWER,)
    place.run()
    assert (place.now().frame(0).lines, read_drafts(place.file)) == ((OTHER,), {})


# --- kills -----------------------------------------------------------------------------------------------------------


class KillingDisk(Disk):
    """The process dies just before a change of the disk."""

    def __init__(self, survives: int):
        self.left = survives

    def _change(self) -> None:
        self.left -= 1
        if self.left < 0:
            os._exit(9)

    def rename(self, source: Path, target: Path) -> None:
        self._change()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._change()
        super().unlink(path)


def _run_until_killed(place: Place, survives: int) -> None:
    files.disk = KillingDisk(survives)
    place.run()


@pytest.fixture
def kills(tmp_path: Path) -> Iterator[tuple[Place, int]]:
    """A place for each moment at which a promotion can be killed, after it was."""

    def each() -> Iterator[tuple[Place, int]]:
        for survives in range(100):
            place = Place(tmp_path / str(survives))
            place.fill()
            child = multiprocessing.get_context("fork").Process(target=_run_until_killed, args=(place, survives))
            child.start()
            child.join()
            yield place, survives
            if child.exitcode == 0:
                return
            assert child.exitcode == 9

    return each()


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_no_stroke_and_merges_none_twice(
    kills: Iterator[tuple[Place, int]], tmp_path: Path
) -> None:
    whole = Place(tmp_path / "whole")
    whole.fill()
    whole.run()
    expected, survived = whole.said(), 0
    for place, survived in kills:
        place.run()
        assert place.said() == expected, f"killed after {survived} changes"
    assert survived > 10
