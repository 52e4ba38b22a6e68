"""What is recomputed, and what is not."""

import json
import os
import shutil

import pytest

from tests.conftest import Project

REFINED = [
    "refined/00000-00002", "refined/00002", "refined/00002-00005", "refined/00005", "refined/00005-00008",
    "refined/00008", "refined/00008-00011", "refined/00011",
]  # fmt: skip
ALL = [
    "anchor_masks/00002", "anchor_masks/00005", "anchor_masks/00008", "anchor_masks/00011", "anchors", "frames",
    "masks", *REFINED,
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


AFTER_A_STROKE_ON_5 = [
    "anchor_masks/00005", "masks", "refined/00002-00005", "refined/00005", "refined/00005-00008",
    "tracks/00002-00005", "tracks/00005-00008",
]  # fmt: skip


def move_a_stroke(project: Project, frame: int) -> None:
    """Draw the first line of a frame shorter and lower, so that its mask changes."""
    content = json.loads(project.scribble_file.read_text())
    line = content["scribbles"][frame][0]
    line["path"] = [[x, y + 0.12] for x, y in line["path"][:6]]
    project.scribble_file.write_text(json.dumps(content))


def test_changed_stroke_recomputes_one_anchor_and_its_two_stretches(finished: Project) -> None:
    move_a_stroke(finished, 5)
    finished.run()
    assert finished.ran() == AFTER_A_STROKE_ON_5


def test_same_strokes_written_otherwise_recompute_nothing(finished: Project) -> None:
    content = json.loads(finished.scribble_file.read_text())
    for lines in content["scribbles"]:
        for line in lines:
            line["start_time"] = 77
    finished.scribble_file.write_text(json.dumps(content, indent=3))
    finished.run()
    assert finished.ran() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "made"),
    [
        ("--refiner", "none", ["masks", *REFINED]),
        ("--guard-iou", "0.2", REFINED),  # no mask of the toy clip is rejected, so the results are the same
    ],
)
def test_changed_parameter_recomputes_what_depends_on_it(
    finished: Project, option: str, value: str, made: list[str]
) -> None:
    finished.run("RefineSequence", option, value)
    assert finished.ran() == made


def test_unchanged_result_stops_the_ripple(finished: Project) -> None:
    """A stroke drawn the other way round is another stroke, but the same mask: nothing follows but to look whether it
    holds."""
    content = json.loads(finished.scribble_file.read_text())
    content["scribbles"][5][0]["path"].reverse()
    finished.scribble_file.write_text(json.dumps(content))
    before = finished.snapshot()
    finished.run()
    assert finished.ran() == ["anchor_masks/00005", "refined/00005"]
    after = finished.snapshot()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"anchor_masks/00005/manifest.json", "refined/00005/manifest.json"}


def test_what_an_engine_does_not_use_is_not_in_its_key(finished: Project) -> None:
    """GrabCut takes strokes as they are."""
    finished.run("RefineSequence", "--click-spacing-px", "41")
    assert finished.ran() == []


@pytest.mark.slow
def test_replaced_picture_recomputes_its_stretch(finished: Project) -> None:
    shutil.copy(finished.frames / "00009.png", finished.frames / "00010.png")
    finished.run()
    assert finished.ran() == ["frames", "masks", "refined/00008-00011", "tracks/00008-00011"]


def test_one_and_two_workers_give_identical_results(finished: Project) -> None:
    before = finished.snapshot()
    shutil.rmtree(finished.root)
    finished.run("RefineSequence", "--workers", "2")
    assert finished.snapshot() == before


def test_folders_of_stretches_that_no_longer_exist_are_swept(finished: Project) -> None:
    finished.scribble(2, 4, 5, 8, 11)
    finished.run()
    assert finished.ran() == [
        "anchor_masks/00004", "anchors", "masks", "refined/00002-00004", "refined/00004", "tracks/00002-00004"
    ]  # fmt: skip
    stretches = ["00000-00002", "00002-00004", "00005-00008", "00008-00011"]
    assert sorted(path.name for path in (finished.root / "tracks").iterdir()) == stretches
    anchors = ["00002", "00004", "00005", "00008", "00011"]
    assert sorted(path.name for path in (finished.root / "refined").iterdir()) == sorted([*stretches, *anchors])
    planned = json.loads((finished.root / "anchors" / "anchors.json").read_text())
    assert (planned["anchors"], [each["name"] for each in planned["segments"]]) == ([2, 4, 5, 8, 11], stretches)


def test_an_anchor_that_is_none_any_more_is_swept(finished: Project) -> None:
    finished.scribble(2, 5, 11)
    finished.run("RefineSequence", "--placement", "given")
    assert finished.ran() == ["anchors", "masks", "refined/00005-00011", "tracks/00005-00011"]
    assert sorted(path.name for path in (finished.root / "anchor_masks").iterdir()) == ["00002", "00005", "00011"]
    assert "00008" not in {path.name for path in (finished.root / "refined").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "arguments", "made"),
    [
        ("AnchorMask", ("--frame", "5"), ["anchor_masks/00005", "frames"]),
        (
            "TrackSegment",
            ("--start", "2", "--stop", "5"),
            ["anchor_masks/00002", "anchor_masks/00005", "frames", "tracks/00002-00005"],
        ),
        ("RefineAnchor", ("--frame", "5"), ["anchor_masks/00005", "frames", "refined/00005"]),
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tracks/00002-00005/tracks.h5", "refined/00002-00005/masks/00003.png"])
def test_nothing_is_built_on_what_rotted(finished: Project, name: str) -> None:
    """The file has its name, its size and its manifest; only its content is another one."""
    before = finished.snapshot()
    path = finished.root / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    following = {"tracks": "refined/00002-00005", "refined": "masks"}[name.partition("/")[0]]
    shutil.rmtree(finished.root / following)
    output = finished.run(expect=30)
    assert f"{name}: found another content than was published" in output
    assert "Traceback" not in output
    shutil.rmtree(path.parents[1] if name.endswith(".png") else path.parent)  # as `lis verify --repair` does
    finished.run("ReportSequence")
    assert finished.snapshot() == before
