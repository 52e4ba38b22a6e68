"""What an earlier version finished is not made again."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.steps import doubt_model
from tasks import AnchorMask, RefineAnchor, RefineSequence, ReportSequence
from tasks.overview import overview
from tests.conftest import Project
from tests.pipeline.test_resume import AFTER_A_STROKE_ON_5, REFINED, move_a_stroke

Json = dict


def rewrite_key(folder: Path, change: Callable[[Json], Json]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["run"]["manifest_sha256"]
    manifest |= {"schema": 1, "key": change(manifest["key"])}
    path.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def content_of(folder: Path) -> str:
    return json.loads((folder / "manifest.json").read_text())["content"]


def with_spacing(key: Json) -> Json:
    """Version 0.1 recorded the spacing of clicks, whatever the engine made of it."""
    return {**key, "click_spacing_px": 40.0}


def as_version_0_1_left_it(project: Project) -> None:
    """Its keys, and no folders of refined anchors: the task of the result refined them itself."""
    root = project.root
    anchors = sorted((root / "anchor_masks").iterdir())
    for folder in anchors:
        rewrite_key(folder, with_spacing)
        shutil.rmtree(root / "refined" / folder.name)
    digests = json.loads((root / "frames" / "manifest.json").read_text())["key"]["frames"]
    stretches = sorted((root / "refined").iterdir())
    former = {
        "stage": "masks",
        "version": 2,
        "names": [name for name, _ in digests],
        "anchor_frames": {
            str(int(folder.name)): hashlib.sha256(digests[int(folder.name)][1].encode()).hexdigest()
            for folder in anchors
        },
        "anchor_masks": {str(int(folder.name)): content_of(folder) for folder in anchors},
        "segments": {f"refined/{folder.name}": content_of(folder) for folder in stretches},
        "refiner": "guided",
        "options": {},
        "weights": {},
        "guard": [0.7, 1.5],
    }
    rewrite_key(root / "masks", lambda _: former)


@pytest.fixture
def former(finished: Project) -> Project:
    """The labelled toy clip, its results in the form of version 0.1."""
    as_version_0_1_left_it(finished)
    return finished


def test_nothing_that_version_0_1_finished_is_made_again(former: Project) -> None:
    before = former.snapshot()
    former.run("ReportSequence")
    former.run("RefineSequence")
    assert former.ran() == []
    assert former.snapshot() == before


def test_a_changed_stroke_remakes_what_rests_on_it_and_the_refined_anchors_that_were_not_there(former: Project) -> None:
    move_a_stroke(former, 5)
    former.run()
    assert former.ran() == sorted([*AFTER_A_STROKE_ON_5, "refined/00002", "refined/00008", "refined/00011"])
    former.run()
    assert former.ran() == []


def test_doubt_is_told_anew_when_its_formulas_change_and_the_masks_stay(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same masks in report, overviews and exports have the same doubt."""

    def glance() -> str:
        overview(finished.task(RefineSequence))
        return (finished.root / ".glance.json").read_text()

    before = glance()
    assert finished.task(ReportSequence).complete() and glance() == before
    monkeypatch.setattr(doubt_model, "digest", lambda: "of other formulas")
    assert not finished.task(ReportSequence).complete() and glance() != before
    assert finished.task(RefineSequence).complete()


def without_strokes(key: Json) -> Json:
    """Refined anchors that were made before strokes held against the refiner."""
    return {name: value for name, value in key.items() if name != "strokes"}


def finished_at(folder: Path, when: str) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["run"]["manifest_sha256"]
    manifest["run"]["finished_at"] = when
    path.write_text(json.dumps({**manifest, "schema": 1}))


def test_a_refined_anchor_holds_from_before_strokes_did_unless_its_anchor_was_made_again(finished: Project) -> None:
    for index in (2, 5, 8, 11):
        rewrite_key(finished.root / "refined" / f"{index:05d}", without_strokes)
    assert finished.task(RefineSequence).complete()
    finished_at(finished.root / "anchor_masks" / "00005", "2999-01-01T00:00:00+0000")
    assert not finished.task(RefineAnchor, frame=5).complete(), "it came out the same, of other strokes perhaps"
    assert finished.task(RefineAnchor, frame=8).complete()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "made"),
    [("--guard-area", "1.4", REFINED), ("--refiner", "none", ["masks", *REFINED])],
)
def test_a_former_result_does_not_hold_for_other_options(
    former: Project, option: str, value: str, made: list[str]
) -> None:
    former.run("RefineSequence", option, value)
    assert former.ran() == sorted({"masks", *made})


@pytest.mark.slow
def test_an_anchor_mask_of_a_network_holds_that_had_a_spacing_it_never_used(project: Project) -> None:
    project.scribble(2, 5, 8, 11)
    project.run("AnchorMask", "--frame", "5", "--segmenter", "fbrs:lite")
    assert project.ran() == ["anchor_masks/00005", "frames"]

    def former(key: Json) -> Json:
        return with_spacing({**key, "options": {**key["options"], "spacing_px": 40.0}})

    def is_complete(**options: object) -> bool:
        return project.task(AnchorMask, frame=5, segmenter="fbrs:lite", **options).complete()

    assert is_complete(click_spacing_px=41.0), "it is no part of the key any more"
    rewrite_key(project.root / "anchor_masks" / "00005", former)
    assert is_complete()
    assert not is_complete(brs_mode="NoBRS")
    assert not is_complete(exact=True)
