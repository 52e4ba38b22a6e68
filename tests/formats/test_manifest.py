"""Publishing: the old folder, none, or the new one, and nothing else."""

import json
from pathlib import Path

import pytest

from stages.core.errors import StageError
from stages.formats.manifest import publish, publishing, read_manifest, sweep


def put(folder: Path, text: str, key: dict[str, object] | None = None) -> None:
    with publishing(folder) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.txt").write_text(text)
        publish(temporary, folder, stage="test", key=key or {}, weights={}, objects=[1], run={})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_published_folder_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one")
    put(tmp_path / "stage", "two")
    assert (tmp_path / "stage" / "sub" / "a.txt").read_text() == "two"
    assert names(tmp_path) == ["stage"]


def test_content_depends_on_the_files_and_not_on_the_key(tmp_path: Path) -> None:
    put(tmp_path / "a", "same", {"x": 1})
    put(tmp_path / "b", "same", {"x": 2})
    put(tmp_path / "c", "other", {"x": 1})
    a, b, c = (read_manifest(tmp_path / name) for name in "abc")
    assert a is not None and b is not None and c is not None
    assert a.content == b.content != c.content


def test_a_failing_block_leaves_the_old_folder(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one")
    with pytest.raises(RuntimeError), publishing(tmp_path / "stage") as temporary:
        (temporary / "half").write_text("x")
        raise RuntimeError
    assert (tmp_path / "stage" / "sub" / "a.txt").read_text() == "one"
    assert names(tmp_path) == ["stage"]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no file"), publishing(tmp_path / "stage") as temporary:
        publish(temporary, tmp_path / "stage", stage="test", key={}, weights={}, objects=[], run={})


@pytest.mark.parametrize("damage", ["missing file", "cut manifest", "no manifest", "other schema"])
def test_a_damaged_folder_is_not_complete(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "stage"
    put(folder, "one")
    manifest = folder / "manifest.json"
    if damage == "missing file":
        (folder / "sub" / "a.txt").unlink()
    elif damage == "cut manifest":
        manifest.write_text(manifest.read_text()[:40])
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema": 0}))
    assert read_manifest(folder) is None


def test_sweep_deletes_leftovers_only(tmp_path: Path) -> None:
    put(tmp_path / "tracks" / "00000-00004", "one")
    (tmp_path / "tracks" / ".tmp-00004-00008-1").mkdir()
    (tmp_path / ".old-masks-1").mkdir()
    (tmp_path / ".digests.json").write_text("{}")
    sweep(tmp_path)
    assert names(tmp_path) == [".digests.json", "tracks"]
    assert names(tmp_path / "tracks") == ["00000-00004"]
