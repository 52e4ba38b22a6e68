"""`lis clean`: room is made, and nothing is lost by it."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from stages.steps.clean import SOFT_MASKS
from tests.cli.test_cli import run
from tests.conftest import Project, add_sequence_without_home


def cleaned(project: Project, *words: str) -> dict[str, Any]:
    (one,) = json.loads(run(project, "clean", "toy", "--json", *words).stdout)
    return one


def files(project: Project) -> set[str]:
    return {path.relative_to(project.folder).as_posix() for path in project.folder.rglob("*") if path.is_file()}


def soft_masks(project: Project) -> set[str]:
    return {name for name in files(project) if Path(name).name in SOFT_MASKS}


@pytest.mark.slow
def test_what_a_finished_sequence_needs_no_more_is_shown_then_deleted_and_it_stays_finished(finished: Project) -> None:
    before, soft = files(finished), soft_masks(finished)
    size = sum((finished.folder / name).stat().st_size for name in soft)
    assert len(soft) == 11  # eight of soft masks, and of three stretches with two directions where these disagree
    assert cleaned(finished)["bytes"] == size
    assert files(finished) == before
    assert cleaned(finished, "--yes")["bytes"] == size
    assert files(finished) == before - soft
    finished.run("ReportSequence")
    assert finished.ran() == []
    assert "all of it is as it was written" in run(finished, "verify", "toy").stdout
    assert cleaned(finished)["bytes"] == 0


@pytest.mark.slow
def test_what_needs_soft_masks_has_them_made_again_and_no_more_of_them(finished: Project) -> None:
    finished.run()
    whole = finished.snapshot()
    cleaned(finished, "--yes")
    # Another stroke: its anchor, the two stretches beside it, and what those read.
    lines = [finished.clip.lines(index) if index in (2, 5, 8, 11) else [] for index in range(12)]
    lines[5][0]["path"] = lines[5][0]["path"][:12]
    finished.scribble_file.write_text(
        json.dumps({"scribbles": lines, "sequence": "toy", "annotated_frames": [2, 5, 8, 11]})
    )
    finished.run()
    made = finished.ran()
    assert {"anchor_masks/00005", "tracks/00002-00005", "tracks/00005-00008"} <= {*made}
    assert not {"tracks/00000-00002", "tracks/00008-00011", "anchor_masks/00011"} & {*made}
    finished.scribble(2, 5, 8, 11)
    finished.run()
    again = finished.snapshot()
    missing = {name for name in whole if name not in again}
    assert missing == {
        "tracks/00000-00002/tracks.h5", "tracks/00008-00011/tracks.h5",
        "tracks/00008-00011/disagreement.h5", "anchor_masks/00011/probabilities.h5",
    }  # fmt: skip
    assert {name: content for name, content in again.items() if name.endswith((".png", ".csv"))} == {
        name: content for name, content in whole.items() if name.endswith((".png", ".csv"))
    }


@pytest.mark.slow
def test_another_refiner_has_every_soft_mask_made_again(finished: Project) -> None:
    soft = soft_masks(finished)
    cleaned(finished, "--yes")
    finished.run("RefineSequence", "--refiner", "none", "--workers", "2")
    assert soft_masks(finished) == soft


def test_what_is_not_finished_keeps_its_soft_masks_and_loses_its_litter(finished: Project) -> None:
    (finished.root / "masks" / "00003.png").unlink()
    (finished.root / "tracks" / ".tmp-00000-00002-host-1").mkdir()
    (finished.root / "tracks" / ".tmp-00000-00002-host-1" / "half").write_bytes(b"12345")
    one = cleaned(finished, "--yes")
    assert [(each["why"], each["bytes"]) for each in one["removable"]] == [("leftovers of killed runs", 5)]
    assert len(soft_masks(finished)) == 11
    assert finished.litter() == []


def test_digests_of_files_that_are_gone_are_dropped(finished: Project) -> None:
    cache = finished.root / ".digests.json"
    known = {"/gone.png": [1, 1, 1, 1, "ab"], str(finished.frames / "00000.png"): [1, 1, 1, 1, "cd"]}
    cache.write_text(json.dumps(known))
    cleaned(finished, "--yes")
    assert "/gone.png" not in json.loads(cache.read_text())


def test_a_sequence_that_a_run_works_on_is_left_alone(finished: Project) -> None:
    before = files(finished)
    with (finished.root / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cleaned(finished, "--yes")["busy"] is True
        assert cleaned(finished)["busy"] is True
    assert files(finished) == before


def test_a_sequence_that_has_no_place_keeps_nobody_from_making_room(finished: Project) -> None:
    add_sequence_without_home(finished)
    (finished.root / "frames" / "manifest.json").write_text('{"schema": 99}')
    before, soft = files(finished), soft_masks(finished)
    said = run(finished, "clean", "--all", expect=30).stdout
    assert "x  refused: " in said and "rename the dataset" in said
    assert files(finished) == before, soft
