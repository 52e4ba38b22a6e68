"""What is recomputed, and what is not."""

import json
import os
import shutil

import pytest

from tests.conftest import Project

ALL = [
    "anchor_masks/00002", "anchor_masks/00005", "anchor_masks/00008", "anchor_masks/00011", "anchors", "frames",
    "masks",
    "refined/00000-00002", "refined/00002-00005", "refined/00005-00008", "refined/00008-00011",
    "tracks/00000-00002", "tracks/00002-00005", "tracks/00005-00008", "tracks/00008-00011",
]  # fmt: skip


def test_first_run_makes_every_stage_and_the_second_nothing(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    project.run()
    assert project.ran() == ALL
    assert sorted(path.name for path in (project.root / "masks").glob("*.png")) == [f"{i:05d}.png" for i in range(12)]
    project.run()
    assert project.ran() == []


def test_touch_recomputes_nothing(finished: Project) -> None:
    for path in [*finished.frames.iterdir(), finished.scribble_file]:
        os.utime(path, (1, 1))
    finished.run()
    assert finished.ran() == []


def test_deleted_stage_folder_is_made_again_and_stops_there(finished: Project) -> None:
    before = finished.snapshot()
    shutil.rmtree(finished.root / "tracks" / "00002-00005")
    finished.run()
    assert finished.ran() == ["tracks/00002-00005"]
    assert finished.snapshot() == before


def test_deleted_mask_is_made_again(finished: Project) -> None:
    (finished.root / "masks" / "00003.png").unlink()
    finished.run()
    assert finished.ran() == ["masks"]
    assert (finished.root / "masks" / "00003.png").exists()


def test_changed_stroke_recomputes_one_anchor_and_its_two_stretches(finished: Project) -> None:
    content = json.loads(finished.scribble_file.read_text())
    content["scribbles"][5][0]["path"] = [[x, y + 0.12] for x, y in content["scribbles"][5][0]["path"][:6]]
    finished.scribble_file.write_text(json.dumps(content))
    finished.run()
    ran = finished.ran()
    assert ran[0] == "anchor_masks/00005"
    assert set(ran) <= {
        "anchor_masks/00005", "tracks/00002-00005", "tracks/00005-00008", "refined/00002-00005", "refined/00005-00008",
        "masks",
    }  # fmt: skip


def test_same_strokes_written_otherwise_recompute_nothing(finished: Project) -> None:
    content = json.loads(finished.scribble_file.read_text())
    for lines in content["scribbles"]:
        for line in lines:
            line["start_time"] = 77
    finished.scribble_file.write_text(json.dumps(content, indent=3))
    finished.run()
    assert finished.ran() == []


@pytest.mark.parametrize(
    ("option", "value", "stages"),
    [
        ("--refiner", "none", {"refined", "masks"}),
        ("--guard-iou", "0.2", {"refined", "masks"}),
    ],
)
def test_changed_parameter_recomputes_what_depends_on_it(
    finished: Project, option: str, value: str, stages: set[str]
) -> None:
    finished.run("RefineSequence", option, value)
    assert {name.split("/")[0] for name in finished.ran()} == stages


def test_unchanged_result_stops_the_ripple(finished: Project) -> None:
    """Threads are no part of the key, spacing is; where it changes no mask, nothing follows the anchor masks."""
    finished.run("RefineSequence", "--click-spacing-px", "41")
    ran = {name.split("/")[0] for name in finished.ran()}
    assert "anchor_masks" in ran
    assert ran <= {"anchor_masks", "tracks", "refined", "masks"}


def test_replaced_picture_recomputes_its_stretch(finished: Project) -> None:
    shutil.copy(finished.frames / "00009.png", finished.frames / "00010.png")
    finished.run()
    assert set(finished.ran()) <= {"frames", "tracks/00008-00011", "refined/00008-00011", "masks"}


def test_one_and_two_workers_give_identical_results(finished: Project) -> None:
    before = finished.snapshot()
    shutil.rmtree(finished.root)
    finished.run("RefineSequence", "--workers", "2")
    assert finished.snapshot() == before


def test_folders_of_stretches_that_no_longer_exist_are_swept(finished: Project) -> None:
    finished.scribble(2, 4, 5, 8, 11)
    finished.run()
    stretches = sorted(path.name for path in (finished.root / "tracks").iterdir())
    assert stretches == ["00000-00002", "00002-00004", "00005-00008", "00008-00011"]


@pytest.mark.parametrize(
    ("task", "arguments", "made"),
    [
        ("AnchorMask", ("--frame", "5"), ["anchor_masks/00005", "frames"]),
        (
            "TrackSegment",
            ("--start", "2", "--stop", "5"),
            ["anchor_masks/00002", "anchor_masks/00005", "frames", "tracks/00002-00005"],
        ),
        (
            "RefineSegment",
            ("--start", "8", "--stop", "11"),
            ["anchor_masks/00008", "anchor_masks/00011", "frames", "refined/00008-00011", "tracks/00008-00011"],
        ),
    ],
)
def test_each_stage_runs_alone(project: Project, task: str, arguments: tuple[str, ...], made: list[str]) -> None:
    project.scribble(2, 5, 8, 11)
    project.run(task, *arguments)
    assert project.ran() == made
