"""Publishing: the old folder, none, or the new one, and nothing else."""

import errno
import hashlib
import json
import os
import random
from pathlib import Path

import pytest

from stages.core.errors import StageError
from stages.formats import files
from stages.formats import manifest as manifest_module
from stages.formats.files import beside, publishing
from stages.formats.manifest import check_files, digests_of, publish, read_manifest
from stages.formats.schema import NewerVersionError
from stages.steps.verify import verify_folder
from tests.formats.published import names, put


def test_a_published_folder_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one")
    put(tmp_path / "stage", "two")
    assert (tmp_path / "stage" / "sub" / "a.txt").read_text() == "two"
    assert names(tmp_path) == ["stage"]


def test_a_manifest_says_what_was_published_and_how(tmp_path: Path) -> None:
    run = {"seconds": 1.5}
    with publishing(tmp_path / "below" / "stage") as temporary:
        (temporary / "b.txt").write_text("four")
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.txt").write_text("")
        publish(
            temporary,
            tmp_path / "below" / "stage",
            stage="test",
            key={"x": 1},
            weights={"net": "ab"},
            objects=[2, 1],
            run=run,
        )
    found = read_manifest(tmp_path / "below" / "stage")
    assert found is not None
    assert (found.stage, found.key, found.weights, found.objects, found.run) == (
        "test", {"x": 1}, {"net": "ab"}, [2, 1], run
    )  # fmt: skip
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in (("b.txt", "four"), ("sub/a.txt", ""))}
    assert found.files == {"count": 2, "bytes": 4, "sha256": digests}
    written = json.loads((tmp_path / "below" / "stage" / "manifest.json").read_text())
    assert written["schema"] == 2


def test_what_a_killed_run_of_the_same_number_left_is_not_published(tmp_path: Path) -> None:
    left = beside(tmp_path / "stage")
    left.mkdir()
    (left / "half").write_text("x")
    put(tmp_path / "stage", "one")
    assert names(tmp_path) == ["stage"]
    assert names(tmp_path / "stage") == ["manifest.json", "sub"]


def test_content_depends_on_the_files_and_not_on_the_key(tmp_path: Path) -> None:
    put(tmp_path / "a", "same", {"x": 1})
    put(tmp_path / "b", "same", {"x": 2})
    put(tmp_path / "c", "other", {"x": 1})
    a, b, c = (read_manifest(tmp_path / name) for name in "abc")
    assert a is not None and b is not None and c is not None
    assert a.content == b.content != c.content


def test_content_depends_on_the_names_and_on_the_objects(tmp_path: Path) -> None:
    contents = set()
    for number, (name, objects) in enumerate([("a", [1]), ("b", [1]), ("a", [1, 2])]):
        folder = tmp_path / str(number)
        with publishing(folder) as temporary:
            (temporary / name).write_text("same")
            publish(temporary, folder, stage="test", key={}, weights={}, objects=objects, run={})
        found = read_manifest(folder)
        assert found is not None
        contents.add(found.content)
    assert len(contents) == 3


def test_a_disk_that_refuses_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "stage", "one")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no room"):
        put(tmp_path / "stage", "two")
    assert (tmp_path / "stage" / "sub" / "a.txt").read_text() == "one"
    assert names(tmp_path) == ["stage"]


def test_a_rename_that_is_refused_is_told_and_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.EXDEV, "another device", str(target))

    with publishing(tmp_path / "stage") as temporary:
        (temporary / "a.txt").write_text("one")
        monkeypatch.setattr(Path, "rename", lambda self, target: refuse(self, target) if self == temporary else None)
        monkeypatch.setattr(files, "remove", lambda _: None)
        with pytest.raises(OSError, match="another device"):
            publish(temporary, tmp_path / "stage", stage="test", key={}, weights={}, objects=[], run={})


def test_the_content_of_version_0_1_is_todays(tmp_path: Path) -> None:
    """Results are recognised by it."""
    put(tmp_path / "stage", "one")
    found = read_manifest(tmp_path / "stage")
    assert found is not None
    assert found.content == "94ab35fa7b059b6b28553bc535a59dd29d5684eb93370b2c118953e662e7244b"


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no file"), publishing(tmp_path / "stage") as temporary:
        publish(temporary, tmp_path / "stage", stage="test", key={}, weights={}, objects=[], run={})


@pytest.mark.parametrize("damage", ["missing file", "cut manifest", "no manifest", "other schema"])
def test_a_damaged_folder_is_not_complete(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "stage"
    put(folder, "one")
    path = folder / "manifest.json"
    if damage == "missing file":
        (folder / "sub" / "a.txt").unlink()
    elif damage == "cut manifest":
        path.write_text(path.read_text()[:40])
    elif damage == "no manifest":
        path.unlink()
    else:
        path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 0}))
    assert read_manifest(folder) is None


def test_a_folder_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one")
    path = tmp_path / "stage" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 3, "more": "than we know"}))
    with pytest.raises(StageError, match=r"manifest\.json: found version 3 .* newer version of LIS"):
        read_manifest(tmp_path / "stage")


def test_a_manifest_that_changes_is_read_again(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one", {"x": 1})
    first = read_manifest(tmp_path / "stage")
    put(tmp_path / "stage", "one", {"x": 2})
    second = read_manifest(tmp_path / "stage")
    assert first is not None and second is not None
    assert (first.key, second.key) == ({"x": 1}, {"x": 2})


def test_a_manifest_with_a_byte_cut_off_or_changed_says_nothing_else_than_before(tmp_path: Path) -> None:
    """Every length and every byte: it reads as no manifest, or as the one that was written, or as a newer version's."""
    put(tmp_path / "stage", "one", {"x": 1.5})
    path = tmp_path / "stage" / "manifest.json"
    whole, written = path.read_bytes(), read_manifest(tmp_path / "stage")
    rng = random.Random(0)
    damaged = [whole[:length] for length in range(len(whole) - 1)]
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= rng.randrange(1, 256)
        damaged.append(bytes(flipped))
    read = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            found = read_manifest(tmp_path / "stage")
        except NewerVersionError:
            continue
        assert found in (None, written)
        read += found is not None
    assert read < len(damaged) / 100


def test_a_manifest_without_a_digest_of_itself_is_read_if_it_is_of_the_version_that_had_none(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one", {"x": 1})
    path = tmp_path / "stage" / "manifest.json"
    fields = json.loads(path.read_text())
    del fields["run"]["manifest_sha256"]
    path.write_text(json.dumps({**fields, "schema": 1}))
    found = read_manifest(tmp_path / "stage")
    assert found is not None and found.key == {"x": 1}
    path.write_text(json.dumps(fields))
    assert read_manifest(tmp_path / "stage") is None


@pytest.mark.parametrize("field", ["stage", "key", "content", "weights", "objects", "files", "run"])
def test_a_manifest_of_version_1_has_the_kinds_that_belong_there(tmp_path: Path, field: str) -> None:
    put(tmp_path / "stage", "one")
    path = tmp_path / "stage" / "manifest.json"
    fields = json.loads(path.read_text())
    del fields["run"]["manifest_sha256"]
    path.write_text(json.dumps({**fields, "schema": 1, field: 7}))
    assert read_manifest(tmp_path / "stage") is None


def test_files_are_those_that_were_published_or_named(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one")
    manifest = read_manifest(tmp_path / "stage")
    assert manifest is not None
    check_files(tmp_path / "stage", manifest)
    (tmp_path / "stage" / "sub" / "a.txt").write_text("two")
    with pytest.raises(StageError, match=r"sub/a\.txt: found another content"):
        check_files(tmp_path / "stage", manifest)
    (tmp_path / "stage" / "sub" / "a.txt").unlink()
    with pytest.raises(StageError, match=r"sub/a\.txt: found another content than was published, or none"):
        check_files(tmp_path / "stage", manifest)


def test_a_folder_of_very_many_files_has_a_list_of_them_beside_its_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_module, "MOST_NAMED", 3)
    folder = tmp_path / "many"
    with publishing(folder) as temporary:
        (temporary / "below").mkdir()
        for number in range(5):
            (temporary / f"below/{number}").write_bytes(bytes([number]))
        publish(temporary, folder, stage="test", key={}, weights={}, objects=[], run={})
    found = read_manifest(folder)
    assert found is not None
    assert list(found.digests) == ["files.sha256"]
    assert found.files["count"] == 5
    assert [name for name, _ in digests_of(folder, found)] == ["files.sha256", *(f"below/{n}" for n in range(5))]
    assert [*verify_folder(folder, lambda _: None)] == []
    (folder / "below/3").write_bytes(b"other")
    assert [each.fault for each in verify_folder(folder, lambda _: None)] == ["rot"]


def test_a_digest_that_is_known_is_not_computed_again(tmp_path: Path) -> None:
    with publishing(tmp_path / "stage") as temporary:
        (temporary / "a").symlink_to(tmp_path / "far")
        (tmp_path / "far").write_text("picture")
        publish(
            *(temporary, tmp_path / "stage"),
            stage="test",
            key={},
            weights={},
            objects=[],
            run={},
            known=lambda path: "as the frames say" if path.is_symlink() else None,
        )
    found = read_manifest(tmp_path / "stage")
    assert found is not None
    assert found.digests == {"a": "as the frames say"}
