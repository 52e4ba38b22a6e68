"""Exports as tasks: what is made, what is made again, and what is left as it was."""

import errno
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import luigi
import pytest
import rich_click as click
from luigi.parameter import ParameterException

from stages.core.errors import InputError, StageError
from stages.core.spans import Span
from stages.formats import files, requests, results
from stages.formats.manifest import MANIFEST, load_manifest
from stages.formats.review_json import Review, change_review
from stages.steps.clean import Why
from stages.steps.review import approve
from stages.steps.verify import verify_results
from tasks import ExportDataset, ExportSequence
from tasks.clean import clean
from tasks.cli import lis
from tasks.runtime import luigi_command, luigi_hooks, runs
from tasks.verify import Kept
from tests.conftest import Project


@pytest.fixture
def two(finished: Project) -> Project:
    """The labelled toy clip, once more under another name, and a third sequence that nobody has scribbled on."""
    for name in ("other", "new"):
        shutil.copytree(finished.frames, finished.frames.with_name(name))
    shutil.copytree(finished.root, finished.root.with_name("other"))
    scribbles = json.loads(finished.scribble_file.read_text())
    target = finished.scribble_file.parent.with_name("other") / "001.json"
    target.parent.mkdir()
    target.write_text(json.dumps({**scribbles, "sequence": "other"}))
    return finished


def _dataset(project: Project, **options: Any) -> ExportDataset:
    given = {"data_root": project.folder / "data", "outputs_root": project.folder / "outputs"}
    task = {"format": "coco", "name": "one", "dataset": "set", **options}
    luigi.task_register.Register.clear_instance_cache()
    made: ExportDataset = ExportDataset(**{name: str(path) for name, path in given.items()}, **task)
    return made


def make(task: Any) -> list[str]:
    """Run a task and what it requires, as a scheduler would; the names of what was published, in order."""
    published: list[str] = []
    try:
        queue = [*task.requires(), task]
        for each in queue:
            if not each.complete():
                each.run()
                published.append(each.name_of_result())
    finally:
        runs.leave_all()
    return published


def _tree(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not name.endswith(MANIFEST)}


def test_what_is_finished_is_exported_and_what_is_not_is_told(two: Project) -> None:
    target = two.folder / "outputs" / "exports" / "one"
    published = make(_dataset(two, split="0.5/0.5"))
    assert [name[:17] for name in published[:2]] == ["export_parts/coco"] * 2
    assert published[2:] == [str(target)]
    said = json.loads((target / "export.json").read_text())
    assert sorted(name for names in said["splits"].values() for name in names) == ["other", "toy"]
    assert set(said["splits"]) == {"train", "val"}
    assert "scribbles" in said["left_out"]["new"]
    assert not list((two.folder / "outputs" / "exports").glob(".tmp*"))
    digests = json.loads((target / MANIFEST).read_text())["files"]["sha256"]
    assert digests["images/toy/00003.png"] == files.sha256(two.frames / "00003.png")
    # Again: nothing, even where the parts are gone; and the same bytes if all of it is made anew.
    first = _tree(target)
    for name in ("toy", "other"):
        shutil.rmtree(two.root.with_name(name) / "export_parts")
    assert make(_dataset(two, split="0.5/0.5")) == []
    shutil.rmtree(target)
    assert len(make(_dataset(two, split="0.5/0.5"))) == 3
    assert _tree(target) == first


def test_what_does_not_exist_is_an_error_though_what_is_not_finished_is_left_out(two: Project) -> None:
    (two.folder / "list.txt").write_text("toy\nothre\nnew\n")
    for given in ({"list": str(two.folder / "list.txt")}, {"split": f"train={two.folder / 'list.txt'}", "dataset": ""}):
        with pytest.raises(InputError, match=r"found 'othre' \(no such sequence; did you mean 'other'\?\), expected"):
            make(_dataset(two, **given))
    (two.folder / "list.txt").write_text("toy\nnew\n")
    make(_dataset(two, list=str(two.folder / "list.txt"), format="csv"))
    assert [*json.loads((two.folder / "outputs/exports/one/export.json").read_text())["left_out"]] == ["new"]


def test_an_interrupted_export_goes_on_and_leaves_the_old_one(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    target = two.folder / "outputs" / "exports" / "one"
    make(_dataset(two, pictures="none"))
    old = _tree(target)
    task = _dataset(two, segmentation="counts", pictures="none")
    make(task.requires()[0])  # and then the machine was switched off

    class Full(files.Disk):
        def open(self, path: Path, flags: int) -> int:
            if path.name == "export.json" or path.name.startswith(".tmp-export.json"):
                raise OSError(errno.ENOSPC, "no space left", str(path))
            return super().open(path, flags)

    with monkeypatch.context() as patched:
        patched.setattr(files, "disk", Full())
        with pytest.raises(StageError, match="no room"):
            make(_dataset(two, segmentation="counts", pictures="none"))
    assert _tree(target) == old
    assert make(_dataset(two, segmentation="counts", pictures="none")) == [str(target)]
    assert "counts" in json.loads((target / "export.json").read_text())["terms"]["segmentation"]


def test_a_new_name_makes_a_part_again_and_no_mask(two: Project) -> None:
    make(_dataset(two))
    before = (two.root / "masks" / MANIFEST).stat().st_mtime_ns
    named = {"schema": 1, "sequence": "toy", "objects": [{"id": 1, "name": "Rex", "class": "dog"}, {"id": 2}]}
    (two.scribble_file.parent / "objects.json").write_text(json.dumps(named))
    published = make(_dataset(two))
    assert len(published) == 3  # the list of classes is in every part
    classes = json.loads((two.folder / "outputs/exports/one/export.json").read_text())["classes"]
    assert [(each["id"], each["name"]) for each in classes] == [(1, "dog"), (2, "object")]
    assert (two.root / "masks" / MANIFEST).stat().st_mtime_ns == before
    assert two.task().complete()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "found no --name, expected one for an export of several sequences"),
        (["--all"], "found no --name"),
        (["toy", "--list", "a.txt"], "found --list without --name"),
        (["toy", "--split", "0.8/0.2"], "found --split without --name"),
        (["toy", "--for-correction", "0"], "0 is not in the range"),
        (["toy", "--pictures", "take"], "is not one of"),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        lis.main(["export", "--format", "coco", *words], standalone_mode=False)


@pytest.mark.parametrize("limit", ["abc", "1.5", "-0.1", "nan"])
def test_a_limit_of_doubt_is_a_number(limit: str) -> None:
    command = ["ExportDataset", "--format", "coco", "--name", "x", "--max-doubt", limit]
    with pytest.raises(ParameterException, match=r"max_doubt: .* expected a number from 0 to 1, or auto"):
        luigi_command.task_of(["--module", "tasks", *command])


@pytest.mark.parametrize("option", ["--unknown-soft", "--tolerance", "--unknown-band"])
def test_what_no_option_can_be_is_refused_before_anything_is_looked_at(option: str) -> None:
    value = "0.6" if option == "--unknown-soft" else "-1"
    with pytest.raises(ParameterException, match=r"is not permitted|not in permitted range"):
        luigi_command.task_of(
            ["--module", "tasks", "ExportDataset", "--format", "coco", "--name", "x", f"{option}={value}"]
        )


def test_a_class_that_no_sequence_has_is_told_once_for_all_of_them(two: Project) -> None:
    task = _dataset(two, format="mots", pictures="none", mots_class="objct")
    with pytest.raises(InputError, match=r"found the class 'objct' for --mots-class, .* did you mean 'object'"):
        task.requires()


def test_parts_of_a_finished_export_can_be_cleaned_away(two: Project) -> None:
    make(_dataset(two))
    make(_dataset(two, name="two", segmentation="counts").requires()[1])
    kept = Kept("toy", two.root, None)
    roots = str(two.folder / "data"), str(two.folder / "outputs")
    found = [one for one in clean(kept, *roots, really=True).removable if one.why is Why.EXPORTED]
    assert [one.path.parent.name for one in found] == ["export_parts"]
    assert len([*(two.root / "export_parts").iterdir()]) == 1
    assert make(_dataset(two)) == []
    assert [*verify_results(two.root, lambda _: None)] == []


def test_an_export_that_the_disk_has_no_room_for_is_refused_before_it_begins(
    two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_mib", lambda path: 0.001)
    with pytest.raises(StageError, match=r"found room for 0\.0 MiB, expected about"):
        make(_dataset(two))
    assert not (two.root / "export_parts").exists()


def test_a_sequence_alone_lies_with_its_results(two: Project, caplog: pytest.LogCaptureFixture) -> None:
    told_in = ("README.txt", "export.json")
    task = two.task(ExportSequence, format="png", for_correction=2)
    with caplog.at_level("INFO", luigi_hooks.logger.name):
        published = make(task)
    for line in (
        "classes: 1 object, in the order of their names; one that is added later renumbers those behind it",
        "for correction: `lis import-masks toy CORRECTED` takes back what the tool saved, a file or a folder",
    ):
        for told in (caplog.text, *((two.root / "export/png-for-correction" / name).read_text() for name in told_in)):
            assert line in told
    assert published[-1] == "export/png-for-correction"
    masks = sorted(path.stem for path in (two.root / "export/png-for-correction/train/masks/toy").iterdir())
    assert len(masks) == 2
    for stem in masks:
        picture = two.root / f"export/png-for-correction/train/images/toy/{stem}.png"
        assert not picture.is_symlink()
        assert picture.read_bytes() == (two.frames / f"{stem}.png").read_bytes()


def test_what_nobody_wants_to_draw_on_is_not_handed_out(two: Project) -> None:
    def handed_out() -> set[int]:
        make(two.task(ExportSequence, format="png", for_correction=2))
        masks = (two.root / "export/png-for-correction/train/masks/toy").iterdir()
        return {int(path.stem) for path in masks}

    first = handed_out()
    luigi.task_register.Register.clear_instance_cache()
    requests.decline(two.root, two.task().snapshot.request_terms, [min(first)])
    luigi.task_register.Register.clear_instance_cache()
    assert len(handed_out()) == 2
    assert min(first) not in handed_out()


def test_nothing_to_export_is_an_error_that_says_why(two: Project) -> None:
    with pytest.raises(InputError, match=r"found no finished sequence to export: new \(.*scribbles"):
        make(_dataset(two, seq="new", dataset=""))
    with pytest.raises(InputError, match=r"expected \.jpg"):
        make(_dataset(two, format="davis"))
    with pytest.raises(InputError, match="--for-correction with the format coco"):
        make(_dataset(two, for_correction=3))


def test_a_sequence_keeps_its_split_when_another_one_of_its_name_joins(two: Project) -> None:
    def split_of(name: str) -> str:
        said = json.loads((two.folder / "outputs/exports/one/export.json").read_text())
        return {each["name"]: each["split"] for each in said["sequences"]}[name]

    options = {"dataset": "", "all": True, "format": "csv", "split": "0.5/0.5"}
    make(_dataset(two, **options))
    before = {name: split_of(name) for name in ("toy", "other")}
    for name in ("toy", "other"):
        paths = two.folder / "data" / "again"
        shutil.copytree(two.frames.with_name(name), paths / "JPEGImages" / "480p" / name)
        shutil.copytree(two.scribble_file.parent.with_name(name), paths / "Scribbles" / name)
        shutil.copytree(two.root.with_name(name), two.folder / "outputs" / "again" / name)
        (two.folder / "outputs" / "again" / name / "dataset.json").unlink(missing_ok=True)
    make(_dataset(two, **options))
    assert {name: split_of(f"set_{name}") for name in ("toy", "other")} == before


def test_a_sequence_that_was_left_out_comes_back_to_its_split(two: Project) -> None:
    data, outputs = two.folder / "data" / "set", two.folder / "outputs"
    for name in ("a", "b", "c"):
        shutil.copytree(two.frames, two.frames.with_name(name))
        shutil.copytree(two.scribble_file.parent, data / "Scribbles" / name)
        shutil.copytree(two.root, outputs / name)
        scribbles = data / "Scribbles" / name / two.scribble_file.name
        scribbles.write_text(json.dumps({**json.loads(scribbles.read_text()), "sequence": name}))

    def splits_of(*names: str) -> dict[str, str]:
        (two.folder / "list.txt").write_text("".join(f"{name}\n" for name in names))
        make(_dataset(two, list=str(two.folder / "list.txt"), format="csv", split="0.5/0.5"))
        said = json.loads((outputs / "exports/one/export.json").read_text())
        return {each["name"]: each["split"] for each in said["sequences"]}

    before = splits_of("a", "b", "toy", "other")
    gone = next(name for name, split in before.items() if split == "val")
    stayed = [name for name in before if name != gone]
    assert splits_of(*stayed) == {name: before[name] for name in stayed}
    assert splits_of(*stayed, "c")["c"] == "val"  # the place that is free
    assert splits_of(*stayed, "c", gone)[gone] == "val"


def test_a_source_that_nothing_would_be_read_from_is_refused(two: Project, caplog: pytest.LogCaptureFixture) -> None:
    source = str(two.folder / "films")
    with pytest.raises(InputError, match="found --source without --size source, expected both"):
        make(_dataset(two, source=source))
    with pytest.raises(InputError, match=f"found --source {source} for toy, expected a sequence that `lis import`"):
        make(_dataset(two, source=source, size="source", seq="toy", dataset="set"))
    with caplog.at_level("INFO", luigi_hooks.logger.name):
        make(_dataset(two, size="source", format="png"))
    assert "--size source: as their pictures are, which no import has put there: other, toy" in caplog.text


def test_classes_that_a_data_set_fixes_keep_their_numbers(two: Project) -> None:
    listed = {"schema": 1, "classes": [{"id": 4, "name": "object"}, {"id": 9, "name": "dog"}]}
    (two.folder / "data/set/classes.json").write_text(json.dumps(listed))
    make(_dataset(two))
    folder = two.folder / "outputs/exports/one"
    annotations = json.loads((folder / "annotations/instances_train.json").read_text())
    assert [each["id"] for each in annotations["categories"]] == [4, 9]
    assert {each["category_id"] for each in annotations["annotations"]} == {4}
    (two.folder / "data/set/classes.json").write_text(json.dumps({**listed, "classes": listed["classes"][1:]}))
    with pytest.raises(InputError, match="found no class for object 1 of 'other'"):
        make(_dataset(two))


def _command(project: Project, *words: str) -> list[str]:
    return [sys.executable, "-m", "tasks", "export", "--format", "coco", "--pictures", "copy", *words]


@pytest.mark.slow
def test_workers_and_a_kill_make_no_difference(two: Project) -> None:
    exports = two.folder / "outputs" / "exports"
    (two.folder / "list.txt").write_text("toy\nother\n")
    killed = subprocess.Popen(_command(two, "--list", "list.txt", "--name", "1"), cwd=two.folder)
    while killed.poll() is None and not [*two.root.with_name("other").glob(f"export_parts/[!.]*/{MANIFEST}")]:
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    part = next(two.root.with_name("other").glob(f"export_parts/[!.]*/{MANIFEST}"))
    made = part.stat().st_mtime_ns
    for workers in ("1", "2"):
        words = ("--list", "list.txt", "--name", workers, "--workers", workers)
        subprocess.run(_command(two, *words), cwd=two.folder, check=True, capture_output=True, timeout=240)
        if workers == "1":
            assert part.stat().st_mtime_ns == made
            for parts in [*two.folder.glob("outputs/*/export_parts")]:
                shutil.rmtree(parts)
    assert _tree(exports / "1") == _tree(exports / "2")
    assert two.litter() == []
    again = subprocess.run(_command(two, *words), cwd=two.folder, check=True, capture_output=True, text=True)
    assert "nothing to do" in again.stderr


def test_only_reviewed_frames_are_exported_and_again_when_others_are(two: Project) -> None:
    with pytest.raises(InputError, match="found no frame of other; toy that anybody has approved as it is now"):
        make(_dataset(two, format="csv", only_reviewed=True))
    masks = results.mask_digests(two.root / "masks", load_manifest(two.root / "masks"))

    def say(*spans: Span) -> None:
        change_review(two.scribble_file, "toy", lambda _: Review(approve({}, masks, spans, "anna")))

    def rows() -> list[str]:
        lines = (two.folder / "outputs/exports/one/frames.csv").read_text().splitlines()
        return [line for line in lines if ",anna," in line]

    say((3, 5), (9, 9))
    assert len(make(_dataset(two, format="csv", only_reviewed=True))) == 3 and len(rows()) == 4
    assert make(_dataset(two, format="csv", only_reviewed=True)) == []
    say((3, 4))
    published = make(_dataset(two, format="csv", only_reviewed=True))
    assert len(published) == 2 and len(rows()) == 2, "the other sequence's part stays"
    everything = make(_dataset(two, format="csv"))
    say((0, 11))
    assert everything and make(_dataset(two, format="csv")) == [], "who wants all frames does not ask for reviews"


@pytest.mark.parametrize("form", ["labelme", "png"])
def test_what_somebody_drew_in_an_export_is_not_replaced(two: Project, form: str) -> None:
    first = _dataset(two, format=form, dataset="", seq="toy")
    make(first)
    drawn = next(path for path in first.target().rglob("00003.*") if not path.is_symlink())
    drawn.write_bytes(drawn.read_bytes() + b" ")
    for other in ({"format": form, "max_doubt": "0.9"}, {"format": "csv"}):
        with pytest.raises(InputError, match=f"{drawn.name}: found it changed since it was exported"):
            make(_dataset(two, dataset="", seq="toy", **other))
    shutil.move(first.target(), two.folder / "mine")
    assert make(_dataset(two, format=form, dataset="", seq="toy"))[-1] == str(first.target())


def test_what_somebody_drew_in_an_export_for_correction_is_not_replaced(two: Project) -> None:
    make(two.task(ExportSequence, format="labelme", for_correction=2))
    folder = two.root / "export" / "labelme-for-correction"
    drawn = next((folder / "toy").glob("*.json"))
    before = drawn.read_bytes()
    drawn.write_bytes(before + b" ")
    again = {"format": "labelme", "for_correction": 3}
    with pytest.raises(InputError, match=r"\.json: found it changed since it was exported.* move .* away"):
        make(two.task(ExportSequence, **again))
    drawn.write_bytes(before)
    new = folder / "toy" / "new.json"
    new.write_text("{}")
    with pytest.raises(InputError, match=r"new\.json: found it changed"):
        make(two.task(ExportSequence, **again))
    new.unlink()
    assert len((folder / "masks.sha256").read_text().splitlines()) == 2
    assert make(two.task(ExportSequence, **again))[-1] == "export/labelme-for-correction"
    assert len((folder / "masks.sha256").read_text().splitlines()) == 3, "the two that went out before are among them"
