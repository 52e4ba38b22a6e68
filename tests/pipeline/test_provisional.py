"""What a sequence has while some of the frames that were asked for wait for scribbles."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.core.states import State
from tasks import ExportSequence, RefineSequence
from tasks.status import standing
from tests.conftest import Project, copy_of, new_project
from tests.pipeline.test_resume import move_a_stroke
from tests.tasks.test_export import make

FROM_5_AND_8 = [
    "anchor_masks/00005", "anchor_masks/00008", "anchors", "frames", "provisional",
    "refined/00000-00005", "refined/00005", "refined/00005-00008", "refined/00008", "refined/00008-00011",
    "tracks/00000-00005", "tracks/00005-00008", "tracks/00008-00011",
]  # fmt: skip
"""Of the plan 2, 5, 8, 11 it is the stretch between 5 and 8 alone; the others reach across 2 and 11."""


def stretches(project: Project) -> list[str]:
    return sorted(path.name for path in (project.root / "tracks").iterdir())


def masks(project: Project, folder: str) -> dict[str, bytes]:
    """The result's files without its manifest."""
    return {path.name: path.read_bytes() for path in (project.root / folder).iterdir() if path.suffix != ".json"}


@pytest.fixture(scope="module")
def waiting_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The toy clip after a run with scribbles on two of four anchors. Do not change it."""
    made = new_project(tmp_path_factory.mktemp("waiting"))
    made.scribble(5, 8)
    made.run(expect=20)
    assert made.ran() == FROM_5_AND_8
    return made


@pytest.fixture
def waiting(waiting_once: Project, tmp_path: Path) -> Project:
    """A copy of it."""
    return copy_of(waiting_once, tmp_path / "project")


def test_it_has_masks_for_every_frame_beside_the_place_of_the_result(waiting: Project) -> None:
    assert sorted(masks(waiting, "provisional")) == [*(f"{i:05d}.png" for i in range(12)), "frames.csv"]
    seen = np.array(Image.open(waiting.root / "provisional" / "00002.png"))
    assert set(np.unique(seen)) == {0, 1, 2}
    assert not (waiting.root / "masks").exists()
    manifest = json.loads((waiting.root / "provisional" / "manifest.json").read_text())
    assert manifest["stage"] == "provisional"
    asked = json.loads((waiting.root / "requests.json").read_text())
    assert [item["frame"] for item in asked["waiting"]] == [2, 11]
    waiting.run(expect=20)
    assert waiting.ran() == []


def test_an_export_takes_it_only_if_that_is_said(waiting: Project) -> None:
    with pytest.raises(InputError, match=r"found no finished sequence.*\(--provisional takes them\)"):
        make(waiting.task(ExportSequence, format="png"))
    make(waiting.task(ExportSequence, format="png", provisional=True))
    folder = waiting.root / "export" / "png"
    assert json.loads((folder / "export.json").read_text())["sequences"][0]["result"] == "provisional"
    exported = (folder / "train" / "masks" / "toy" / "00002.png").read_bytes()
    assert exported == (waiting.root / "provisional" / "00002.png").read_bytes()


def test_it_is_what_the_placement_given_makes_of_the_same_strokes(waiting: Project) -> None:
    before = masks(waiting, "provisional")
    waiting.run("RefineSequence", "--placement", "given")
    assert waiting.ran() == ["anchors", "masks"], "nothing is made twice"
    assert masks(waiting, "masks") == before
    assert not (waiting.root / "provisional").exists()


@pytest.mark.slow
def test_a_stroke_makes_its_anchor_and_the_two_stretches_beside_it(waiting: Project) -> None:
    move_a_stroke(waiting, 8)
    waiting.run(expect=20)
    assert waiting.ran() == [
        "anchor_masks/00008", "provisional", "refined/00005-00008", "refined/00008", "refined/00008-00011",
        "tracks/00005-00008", "tracks/00008-00011",
    ]  # fmt: skip


@pytest.mark.slow
def test_another_frame_divides_its_stretch_and_leaves_no_litter(waiting: Project) -> None:
    waiting.scribble(2, 5, 8)
    waiting.run(expect=20)
    assert waiting.ran() == [
        "anchor_masks/00002", "anchors", "provisional", "refined/00000-00002", "refined/00002", "refined/00002-00005",
        "tracks/00000-00002", "tracks/00002-00005",
    ]  # fmt: skip
    assert stretches(waiting) == ["00000-00002", "00002-00005", "00005-00008", "00008-00011"]


@pytest.mark.slow
def test_the_result_takes_what_is_there_and_the_place_of_what_was_provisional(
    waiting: Project, labelled_once: Project
) -> None:
    waiting.scribble(2, 5, 8, 11)
    waiting.run()
    made = waiting.ran()
    assert "tracks/00005-00008" not in made
    assert "tracks/00008-00011" in made, "it has two sides now"
    assert not (waiting.root / "provisional").exists()
    assert stretches(waiting) == stretches(labelled_once)
    assert masks(waiting, "masks") == masks(labelled_once, "masks")
    assert waiting.litter() == []


@pytest.mark.slow
def test_a_result_that_is_there_stays_as_it_is(finished: Project) -> None:
    before, folders = masks(finished, "masks"), stretches(finished)
    lis = [sys.executable, "-m", "tasks", "refine", "toy", "--requests", "5"]
    ended = subprocess.run(lis, cwd=finished.folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 20
    assert "toy: provisional, waiting for scribbles" in ended.stderr
    assert finished.ran() == ["anchors", "provisional"], "from the same strokes the same stretches"
    assert masks(finished, "masks") == before
    assert masks(finished, "provisional") == before
    finished.run()
    assert finished.ran() == ["anchors"]
    assert not (finished.root / "provisional").exists()
    finished.scribble(2, 8, 11)
    finished.run("RefineSequence", "--requests", "4", expect=20)  # asks for 3 and 6, no longer for 5
    assert masks(finished, "masks") == before
    assert stretches(finished) == [*folders[:2], "00002-00008", *folders[2:]], "the result rests on the others"


def test_strokes_that_are_drawn_while_it_is_made_wait_for_the_next_run(project: Project) -> None:
    project.scribble(5, 8)
    made = project.task(RefineSequence).provisional_result()
    before = [(segment.folder(), segment.track().segment) for segment in made.segments()]
    project.scribble(5, 8, 11)
    assert [(segment.folder(), segment.track().segment) for segment in made.segments()] == before
    assert project.task(RefineSequence).provisional_result().annotated == (5, 8, 11)


def test_without_a_scribble_there_is_nothing_to_make(project: Project) -> None:
    assert project.task(RefineSequence).provisional_result() is None
    project.scribble(2, 5, 8, 11)
    assert project.task(RefineSequence).provisional_result() is None


def test_a_failure_outweighs_waiting_and_leaves_what_was_provisional(waiting: Project) -> None:
    before = masks(waiting, "provisional")
    picture = waiting.frames / "00009.png"
    picture.write_bytes(picture.read_bytes()[:300])
    assert "00009.png" in waiting.run(expect=30)
    assert masks(waiting, "provisional") == before


@pytest.mark.slow
def test_it_is_called_provisional_and_counts_as_waiting(waiting: Project) -> None:
    found = standing(waiting.task())
    assert (found.state, found.waiting_for) == (State.PROVISIONAL, (2, 11))
    assert found.state.exit_code == 20
    assert found.reason == f"scribbles on 2 frames: 2, 11; provisional masks in {waiting.root}/provisional"
    assert standing(waiting.task(), failure="no room").state == State.FAILED

    lis = subprocess.run(
        [sys.executable, "-m", "tasks", "refine", "toy", "--requests", "3"],
        cwd=waiting.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert lis.returncode == 20
    assert "toy: provisional, waiting for scribbles" in lis.stderr
    assert "provisional masks of every frame: outputs/toy/provisional" in lis.stderr
    assert "the same with --placement given" in lis.stderr

    waiting.run("BulkRefine", "--list", "", "--dataset", "set", expect=20)
    summary = json.loads(next((waiting.folder / "outputs" / "bulk").glob("*_*/summary.json")).read_text())
    assert (summary["provisional"], summary["waiting"], summary["scribbles_owed"]) == (1, 0, 2)
    assert summary["doubt"] > 0, "of the provisional masks"
    assert "provisional masks" in summary["sequences"][0]["reason"]

    move_a_stroke(waiting, 8)
    assert standing(waiting.task()).state == State.WAITING, "these masks are not of these strokes"
