"""A run's view of a sequence: made once, and again as soon as a file that it was made from has changed."""

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError, LisError
from stages.core.strokes import Line
from stages.formats.draft_json import Draft, DraftState
from stages.formats.drafts import NEW, draft_file, set_state, write_draft
from stages.formats.files import sha256, write_json
from stages.formats.given_masks import write_given
from stages.formats.paintings import digests_of, note_read
from stages.formats.pictures import encoded
from stages.formats.requests import note_requests
from tasks import AnchorMask
from tasks.runtime import locks
from tasks.runtime.freezing import begin_anew, freeze, news
from tasks.runtime.runs import leave_all
from tasks.runtime.snapshot import GivenMask, Place, SequenceSnapshot, Terms, root_of, snapshot_of
from tests.conftest import Project

TERMS = Terms("001", "", 3, "eq1")


def place(project: Project, dataset: str = "") -> Place:
    return Place(str(project.folder / "data"), str(project.folder / "outputs"), dataset, project.seq)


def look(project: Project, terms: Terms | None = TERMS) -> SequenceSnapshot:
    return snapshot_of(place(project), terms)


def paint(project: Project, name: str) -> Path:
    path = project.root / "requests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a stroke")
    return path


def test_it_knows_the_pictures_the_scribbles_and_the_plan(project: Project) -> None:
    project.scribble(5, 8)
    now = look(project)
    assert (now.frame_count, now.frame_files[3]) == (12, project.frames / "00003.png")
    assert now.root == project.root
    assert now.scribble_file == project.scribble_file
    assert now.scribbles.annotated == (5, 8)
    assert (now.plan.anchors, now.plan.requested) == ((2, 5, 8, 11), (2, 11))
    assert now.video.size_wh == (128, 96)
    assert now.request_terms == {"scribbles": "001", "requests": 3, "placement": "eq1", "frame_count": 12}


def test_it_is_made_once_while_nothing_changes(project: Project) -> None:
    assert look(project) is look(project)
    assert look(project) is not look(project, Terms("001", "", 4, "eq1"))
    assert look(project, None) is look(project, None)


def test_a_stroke_makes_another_one_and_leaves_the_first_as_it_was(project: Project) -> None:
    before = look(project)
    assert before.scribbles.annotated == ()
    project.scribble(5)
    after = look(project)
    assert (before.scribbles.annotated, after.scribbles.annotated) == ((), (5,))
    os.utime(project.scribble_file, (1, 1))
    assert look(project) is not after


def test_a_picture_more_makes_another_one(project: Project) -> None:
    before, bare = look(project), look(project, None)
    assert before.plan.frame_count == 12
    shutil.copy(project.frames / "00011.png", project.frames / "00012.png")
    assert (before.plan.frame_count, look(project).plan.frame_count) == (12, 13)
    assert look(project, None) is not bare


def test_a_painted_picture_counts_as_annotated_until_it_was_read(project: Project) -> None:
    project.scribble(5, 8)
    look(project)
    painted = paint(project, "00002.strokes.png")
    now = look(project)
    assert now.painted == {2: (painted,)}
    assert (now.plan.anchors, now.plan.requested) == ((2, 5, 8, 11), (11,))
    project.scribble(2, 5, 8)
    note_read(project.root, "001", digests_of([painted]))
    assert look(project).painted == {}
    assert look(project).plan.requested == (11,)


def test_a_picture_of_a_frame_that_does_not_exist_is_no_anchor(project: Project) -> None:
    project.scribble(5)
    paint(project, "00099.strokes.png")
    assert list(look(project).painted) == [99]
    assert max(look(project).plan.anchors) == 11


def test_what_was_asked_for_does_not_move(project: Project) -> None:
    asked = look(project)
    project.root.mkdir(parents=True)
    note_requests(project.root, asked.request_terms, asked.plan, [path.name for path in asked.frame_files])
    project.scribble(6)
    assert look(project).plan.anchors == (2, 5, 6, 8, 11)
    assert look(project).plan.requested == (2, 5, 8, 11)
    (project.root / "requests.json").unlink()
    assert 6 in look(project).plan.anchors
    assert len(look(project).plan.anchors) == 4


def test_a_name_that_no_set_has_is_told_unless_a_new_one_is_meant(project: Project) -> None:
    project.scribble(5)
    for name in ("objects.json", "001.review.json"):
        project.scribble_file.with_name(name).write_text("{}")
    misspelt = Terms("002", "", 3, "eq1")
    with pytest.raises(InputError, match=r"002\.json: found no such scribble set, .* are there: 001; .*--new-set"):
        _ = look(project, misspelt).scribbles
    founded = look(project, misspelt._replace(new_set=True))
    assert founded.scribbles.annotated == ()
    project.root.mkdir(parents=True)
    note_requests(project.root, founded.request_terms, founded.plan, [path.name for path in founded.frame_files])
    assert look(project, misspelt).scribbles.annotated == (), "people were asked for it"
    project.scribble_file.unlink()
    assert look(project, Terms("003", "", 3, "eq1")).scribbles.annotated == (), "the first set needs no word"


@pytest.mark.parametrize(("link", "words"), [("toy/001.json", "a loop of links"), ("toy", "a link to .*leads nowhere")])
def test_scribbles_behind_a_broken_link_are_not_taken_for_none(project: Project, link: str, words: str) -> None:
    project.scribble(5)
    path = project.scribble_file.parents[1] / link
    path.rename(project.folder / "away")
    path.symlink_to(path.name if "loop" in words else "unmounted")
    with pytest.raises(InputError, match=f"{link}: found {words}.*mend or remove the link"):
        _ = look(project).scribbles


@pytest.mark.parametrize("name", ["objects", "001.review"])
def test_what_lies_beside_the_sets_is_none(project: Project, name: str) -> None:
    with pytest.raises(InputError, match=f"found '{name}' as the name of a scribble set"):
        _ = look(project, Terms(name, "", 3, "eq1")).scribbles


@pytest.fixture
def run(project: Project) -> Iterator[Callable[[], None]]:
    """Begin a run: the sequence's lock is taken, and what people said is frozen."""

    def begin() -> None:
        leave_all()
        locks.claim(root_of(place(project)), shared=False)
        freeze(place(project), TERMS)

    yield begin
    leave_all()
    assert not (project.root / ".frozen").exists()


def test_what_is_painted_while_a_run_works_waits_for_the_next(project: Project, run: Callable[[], None]) -> None:
    """In its processes; whoever looks from outside sees it at once."""
    project.scribble(5)
    first = paint(project, "00002.strokes.png")
    os.utime(first, (1, 1))
    run()
    paint(project, "00008.strokes.png")
    project.scribble(5, 11)
    assert sorted(snapshot_of(place(project), TERMS, live=True).painted) == [2, 8]

    def seen_by_a_task() -> tuple[list[int], tuple[int, ...]]:
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            return pool.submit(_painted_and_drawn, project).result()

    assert seen_by_a_task() == ([2], (5,)) == _painted_and_drawn(project)
    first.write_text("another stroke")
    assert next(iter(look(project).painted[2])).read_text() == "a stroke"
    assert news(place(project), TERMS) == (
        "3 frames were scribbled on while this run worked (2, 8, 11); run the command again"
    )
    for path in (first, first.with_name("00008.strokes.png")):
        os.utime(path, (1, 1))
    run()
    assert seen_by_a_task() == ([2, 8], (5, 11))
    assert news(place(project), TERMS) == ""


def test_a_second_schedule_in_one_program_sees_what_was_said_in_between(
    project: Project, run: Callable[[], None]
) -> None:
    project.scribble(5)
    run()
    project.scribble(5, 8)
    assert look(project).annotated == (5,)
    begin_anew()
    freeze(place(project), TERMS)
    assert look(project).annotated == (5, 8)


def test_a_picture_that_is_half_saved_is_waited_for(project: Project, run: Callable[[], None]) -> None:
    project.scribble(5)
    picture = paint(project, "00002.strokes.png")
    content = encoded(Image.new("RGB", (128, 96)), "PNG")
    picture.write_bytes(content[:60])
    saving = threading.Timer(0.2, lambda: picture.write_bytes(content))
    saving.start()
    run()
    saving.join()
    assert look(project).painted[2][0].read_bytes() == content


def _painted_and_drawn(project: Project) -> tuple[list[int], tuple[int, ...]]:
    now = look(project)
    return sorted(now.painted), now.scribbles.annotated


def test_scribbles_may_lie_elsewhere(project: Project) -> None:
    elsewhere = project.folder / "drawn"
    now = look(project, Terms("002", str(elsewhere), 3, "eq1"))
    assert now.scribble_file == elsewhere / "toy" / "002.json"


@pytest.mark.parametrize("name", ["../001", "", ".hidden", "a/b"])
def test_a_scribble_set_cannot_leave_its_folder(project: Project, name: str) -> None:
    with pytest.raises(InputError, match="scribble set"):
        look(project, Terms(name, "", 3, "eq1"))


@pytest.mark.parametrize("name", ["bulk", "exports", "training"])
def test_a_sequence_cannot_have_the_name_of_other_results(project: Project, name: str) -> None:
    project.frames.rename(project.frames.with_name(name))
    project.seq = name
    with pytest.raises(InputError, match=f"cannot be called '{name}'"):
        root_of(place(project))


def test_a_name_in_two_datasets_has_a_folder_of_results_for_each(project: Project) -> None:
    shutil.copytree(project.frames, project.folder / "data" / "zoo" / "JPEGImages" / "480p" / "toy")
    with pytest.raises(LisError, match="several datasets"):
        root_of(place(project))
    assert root_of(place(project, "set")) == project.root
    assert root_of(place(project, "zoo")) == project.folder / "outputs" / "zoo" / "toy"


def test_results_of_a_run_are_no_reason_to_look_again(project: Project) -> None:
    project.root.mkdir(parents=True)
    before = look(project)
    write_json(project.root / ".digests.json", {})
    (project.root / "log.txt").write_text("a line\n")
    assert look(project) is before


# --- given masks -----------------------------------------------------------------------------------------------------


def give(project: Project, index: int, name: str = "001", value: int = 1) -> Path:
    labels = np.full((project.clip.height, project.clip.width), value, np.uint8)
    return write_given(project.scribble_file.with_name(f"{name}.json"), index, labels)


def test_a_given_mask_annotates_its_frame(project: Project) -> None:
    project.scribble(5)
    assert look(project).annotated == (5,)
    path = give(project, 8)
    now = look(project)
    assert (now.annotated, now.scribbles.annotated) == ((5, 8), (5,))
    assert now.given == {8: GivenMask(path, sha256(path))}
    assert (now.plan.anchors, now.plan.requested) == ((2, 5, 8, 11), (2, 11))
    give(project, 12)
    with pytest.raises(InputError, match=r"00012\.png: found a mask of a frame that does not exist, .* 0\.\.11"):
        _ = look(project).plan


def test_masks_found_a_set_and_are_one_of_those_that_are_there(project: Project) -> None:
    give(project, 5)
    assert look(project).scribbles.annotated == ()
    with pytest.raises(InputError, match=r"002\.json: found no such scribble set, .* are there: 001"):
        _ = look(project, Terms("002", "", 3, "eq1")).scribbles
    give(project, 8, "002")
    assert look(project, Terms("002", "", 3, "eq1")).annotated == (8,)


def test_what_is_given_while_a_run_works_waits_for_the_next(project: Project, run: Callable[[], None]) -> None:
    """In its processes: they see the masks that lay there when it began, as they were."""
    path = give(project, 5)
    former = sha256(path)
    run()
    task = project.task(AnchorMask, frame=5)
    give(project, 5, value=2)
    give(project, 8)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        seen, taken = pool.submit(_given, task, project.folder).result()
        assert (seen, taken) == ({5: former}, [1])
    leave_all()
    assert {index: mask.digest for index, mask in task.snapshot.given.items()} == {
        5: sha256(path), 8: sha256(path.with_name("00008.png"))
    }  # fmt: skip


def _given(task: AnchorMask, folder: Path) -> tuple[dict[int, str], list[int]]:
    (folder / "anchor").mkdir()
    return {index: mask.digest for index, mask in task.snapshot.given.items()}, task.work(folder / "anchor")


# --- drafts ----------------------------------------------------------------------------------------------------------


def draw(project: Project, index: int, state: DraftState = DraftState.READY, base: str | None = None) -> Draft:
    line = Line(1, ((0.25, 0.5), (0.75, 0.5)))
    draft = Draft("toy", "001", index, lines=(line,), state=state, base=base, author="anna")
    return write_draft(project.scribble_file, draft, NEW)


def test_a_draft_counts_as_annotated_as_soon_as_it_is_ready(project: Project) -> None:
    project.scribble(5, 8)
    drawn = draw(project, 2, DraftState.DRAFT)
    assert (look(project).plan.requested, bool(look(project).waiting)) == ((2, 11), False)
    ready = set_state(project.scribble_file, 2, DraftState.READY, drawn.tag)
    assert (look(project).plan.requested, look(project).waiting.drafts) == ((11,), {2: ready})
    contrary = draw(project, 8)
    now = look(project).waiting
    assert (now.drafts, now.contrary) == ({2: ready}, {8: contrary}), "it was drawn on a frame without strokes"
    blind = write_draft(project.scribble_file, replace(ready, frame=11, corrects="ab" * 32), NEW)
    now = look(project)
    assert (now.waiting.contrary, now.plan.requested) == ({8: contrary, 11: blind}, (11,)), "no such mask is seen"
    draw(project, 12)
    with pytest.raises(InputError, match=r"found a draft of frame 12 of 'toy', expected frames in 0\.\.11"):
        _ = look(project).plan


def test_of_a_draft_and_a_picture_what_was_saved_last_counts(project: Project) -> None:
    project.scribble(5)
    picture, drawn = paint(project, "00002.strokes.png"), draw(project, 2)
    os.utime(picture, (1, 1))
    now = look(project).waiting
    assert (now.drafts, now.contrary, [*now.painted]) == ({2: drawn}, {}, [2])
    os.utime(draft_file(project.scribble_file, 2), (0, 0))
    now = look(project).waiting
    assert (now.drafts, now.contrary, [*now.painted]) == ({}, {2: drawn}, [2])
