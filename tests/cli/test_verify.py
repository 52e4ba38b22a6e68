"""`lis verify`: what rotted, what is gone, what does not belong there; and what it never touches."""

import fcntl
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stages.formats.files import sha256
from stages.formats.given_masks import keep_seen, seen_copy, write_given
from stages.formats.page_log import PAGE_LOG
from stages.formats.review_json import Approval, change_review, review_file
from stages.steps.verify import Fault, Finding, verify_inputs
from tasks.runtime.snapshot import Place, paths_of
from tasks.verify import Verdict, check, kept_of
from tests.cli.test_cli import run
from tests.conftest import Project, add_sequence_without_home


def flip(path: Path, position: int = -20) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def findings(project: Project, expect: Verdict, *, repairs: bool = False) -> list[tuple[str, str]]:
    """What the command finds, in this process."""
    kept = kept_of(Place(str(project.folder / "data"), str(project.folder / "outputs"), "", project.seq))
    told: list[Finding] = []
    checked = check(kept, repairs=repairs, looked=lambda _: None, found=told.append)
    assert (checked.verdict, checked.findings) == (expect, told)
    return [(each.fault, each.path.relative_to(project.root).as_posix()) for each in told]


def test_what_is_as_it_was_written_is_clean(finished: Project) -> None:
    (finished.root / PAGE_LOG).touch()
    before = sorted(path for path in finished.folder.rglob("*"))
    said = run(finished, "verify", "--all").stdout
    assert said.splitlines()[1:] == ["all of it is as it was written"]
    assert sorted(path for path in finished.folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["masks/00003.png", "tracks/00002-00005/tracks.h5"])
def test_a_flipped_bit_is_found_removed_by_repair_and_made_again_by_the_next_run(finished: Project, name: str) -> None:
    before = finished.snapshot()
    flip(finished.root / name)
    assert findings(finished, Verdict.DAMAGED) == [(Fault.ROT, name)]
    assert findings(finished, Verdict.REPAIRED, repairs=True) == [(Fault.ROT, name)]
    assert findings(finished, Verdict.CLEAN) == []
    finished.run("ReportSequence")
    assert Path(name).parts[0] in {made.split("/")[0] for made in finished.ran()}
    assert finished.snapshot() == before


DAMAGES: dict[str, tuple[Callable[[Path], object], list[tuple[str, str]]]] = {
    "a file is gone": (lambda root: (root / "masks/00003.png").unlink(), [("missing", "masks/00003.png")]),
    "a manifest rotted": (
        lambda root: flip(root / "masks/manifest.json", 60), [("unreadable", "masks/manifest.json")]
    ),
    "a manifest of a newer version": (
        lambda root: (root / "masks/manifest.json").write_text('{"schema": 99}'),
        [("unreadable", "masks/manifest.json")],
    ),
    "a file of somebody else's": (lambda root: (root / "masks/notes.txt").touch(), [("foreign", "masks/notes.txt")]),
    "a folder of somebody else's": (lambda root: (root / "mine").mkdir(), [("foreign", "mine")]),
    "no manifest": (lambda root: (root / "masks/manifest.json").unlink(), [("unpublished", "masks")]),
    "a killed run": (lambda root: (root / "tracks/.tmp-x-host-1").mkdir(), [("litter", "tracks/.tmp-x-host-1")]),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_kind_of_damage_has_its_word(finished: Project, damage: str) -> None:
    do, found = DAMAGES[damage]
    do(finished.root)
    is_damage = found[0][0] in ("missing", "unreadable")
    assert findings(finished, Verdict.DAMAGED if is_damage else Verdict.CLEAN) == found


def test_repair_touches_neither_inputs_nor_what_is_not_its_own(finished: Project) -> None:
    notes = finished.root / "masks" / "notes.txt"
    notes.write_text("mine")
    flip(finished.root / "masks" / "00003.png")
    flip(finished.frames / "00004.png")
    finished.scribble_file.write_text("{")
    before = {path: path.read_bytes() for path in (finished.folder / "data").rglob("*") if path.is_file()}
    told = json.loads(run(finished, "verify", "toy", "--repair", "--json", expect=30).stdout)[0]["findings"]
    assert [(each["fault"], Path(each["path"]).name) for each in told] == [
        ("rot", "00003.png"), ("foreign", "notes.txt"), ("input", "00004.png"), ("input", "001.json"),
    ]  # fmt: skip
    assert {path: path.read_bytes() for path in (finished.folder / "data").rglob("*") if path.is_file()} == before
    assert [path.name for path in (finished.root / "masks").iterdir()] == ["notes.txt"]


def test_masks_that_were_given_and_seen_are_inputs(project: Project) -> None:
    truth = project.clip.truth(3)
    good, small = (write_given(project.scribble_file, 3 + i, truth[i:]) for i in range(2))
    digest = sha256(good)
    project.scribble(5, corrects={"7": digest})
    seen = seen_copy(project.scribble_file, 7, digest)
    paths = paths_of(Place(str(project.folder / "data"), str(project.folder / "outputs"), "", project.seq))

    def unusable() -> list[Path]:
        return [found.path for found in verify_inputs(paths, project.root, lambda _: None)]

    assert unusable() == [seen, small]
    keep_seen(project.scribble_file, 7, good.read_bytes(), digest)
    small.rename(good)
    assert unusable() == [good]


def test_a_review_is_read_as_what_it_is(project: Project) -> None:
    review = review_file(project.scribble_file)
    approval = Approval("0" * 64, "anna", "2030-01-31T12:00:00Z")
    change_review(project.scribble_file, project.seq, lambda now: replace(now, anchors={0: approval}))
    paths = paths_of(Place(str(project.folder / "data"), str(project.folder / "outputs"), "", project.seq))
    assert [*verify_inputs(paths, project.root, lambda _: None)] == []
    review.write_text("{")
    assert [found.path for found in verify_inputs(paths, project.root, lambda _: None)] == [review]


def test_a_picture_that_rotted_without_a_trace_in_its_times_is_found(finished: Project) -> None:
    """The cache of digests cannot see it: contents are compared."""
    picture = finished.frames / "00004.png"
    (finished.root / ".digests.json").read_text()
    flip(picture)
    said = run(finished, "verify", "toy", expect=30).stdout
    assert "toy  input  data/set/JPEGImages/480p/toy/00004.png: is another picture" in said


def test_a_sequence_that_a_run_works_on_is_not_looked_at(finished: Project) -> None:
    flip(finished.root / "masks" / "00003.png")
    with (finished.root / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for words in ([], ["--repair"]):
            said = run(finished, "verify", "toy", *words, expect=30).stdout
            assert "a run works on it; not looked at" in said
    assert (finished.root / "masks" / "00003.png").exists()


def test_results_of_a_sequence_that_is_in_no_dataset_are_verified_too(finished: Project) -> None:
    flip(finished.root / "masks" / "00003.png")
    finished.frames.rename(finished.folder / "elsewhere")
    said = run(finished, "verify", "--all", expect=30).stdout
    assert "toy  rot  outputs/toy/masks/00003.png" in said


def test_a_sequence_that_has_no_place_is_named_and_keeps_no_other_from_being_verified(finished: Project) -> None:
    add_sequence_without_home(finished)
    flip(finished.root / "masks" / "00003.png")
    told = json.loads(run(finished, "verify", "--all", "--json", expect=30).stdout)
    assert [(each["name"], each["verdict"]) for each in told] == [
        ("toy", "damaged"), ("x", "clean"), ("x", "refused"),
    ]  # fmt: skip
    (finding,) = told[2]["findings"]
    assert finding["fault"] == "refused" and "rename the dataset" in finding["detail"]
    assert "1 not looked at, since no run can work on it: x" in run(finished, "verify", "--all", expect=30).stdout


def test_one_sequence_or_all_of_them(finished: Project) -> None:
    assert "--all" in run(finished, "verify", expect=2).stderr
    assert "--all" in run(finished, "verify", "toy", "--all", expect=2).stderr
