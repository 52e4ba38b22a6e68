"""Digests of outside files are remembered by what cannot be set, in a file that may be lost or damaged."""

import hashlib
import os
from pathlib import Path

import pytest

from stages.formats import digests
from stages.formats.digests import DigestCache


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def keep_time(file: Path, like: os.stat_result) -> None:
    os.utime(file, ns=(like.st_atime_ns, like.st_mtime_ns))


def write_in_place(file: Path, text: str) -> None:
    """Another content of the same time, as a program writes it that cares for times."""
    before = file.stat()
    file.write_text(text)
    keep_time(file, before)


def put_in_place(file: Path, text: str) -> None:
    """Another file of the same time under the name."""
    before, other = file.stat(), file.with_name("other")
    other.write_text(text)
    keep_time(other, before)
    other.replace(file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "picture.png"
    file.write_text("one")
    return file


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of these tests count as settled at once; on the disks that they run on, clocks are fine enough."""
    monkeypatch.setattr(digests, "SETTLED_AFTER_S", -1)


def remembered(path: Path, file: Path) -> DigestCache:
    """A cache that has read the file, as the next run finds it."""
    cache = DigestCache(path)
    cache.digest(file)
    cache.save()
    return DigestCache(path)


def test_a_digest_is_that_of_the_files_bytes(file: Path, tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "cache.json")
    assert not cache.knows(file)
    assert cache.digest(file) == sha("one")


@pytest.mark.usefixtures("settled")
def test_what_was_read_is_not_read_again(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = remembered(tmp_path / "new" / "folder" / "cache.json", file)
    assert cache.knows(file)
    monkeypatch.setattr(digests, "sha256", lambda path: pytest.fail(f"{path} was read again"))
    assert cache.digest(file) == sha("one")


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", [write_in_place, put_in_place])
def test_another_file_of_equal_size_and_time_is_seen(file: Path, tmp_path: Path, change) -> None:
    cache = remembered(tmp_path / "cache.json", file)
    before = file.stat()
    change(file, "two")
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert not cache.knows(file)
    assert cache.digest(file) == sha("two")


@pytest.mark.usefixtures("settled")
def test_another_time_or_another_size_is_another_file(file: Path, tmp_path: Path) -> None:
    cache = remembered(tmp_path / "cache.json", file)
    os.utime(file, (1, 1))
    assert not cache.knows(file)
    assert cache.digest(file) == sha("one")
    file.write_text("three")
    assert cache.digest(file) == sha("three")


def test_a_file_that_was_just_written_is_read_again_until_its_time_tells(file: Path, tmp_path: Path) -> None:
    cache = remembered(tmp_path / "cache.json", file)
    assert not cache.knows(file), "it may have been written once more within the same tick of the clock"


@pytest.mark.usefixtures("settled")
def test_only_what_was_learnt_is_written(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    cache = DigestCache(path)
    cache.save()
    assert not path.exists(), "nothing was learnt"
    cache.digest(file)
    cache.save()
    path.unlink()
    cache.digest(file)
    cache.save()
    assert not path.exists(), "nothing new was learnt"

    assert not path.exists(), "nothing new was learnt"


@pytest.mark.usefixtures("settled")
def test_what_several_runs_learn_adds_up(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_text("other")
    for each in (file, other):
        cache = DigestCache(tmp_path / "cache.json")
        cache.digest(each)
        cache.save()
    assert all(DigestCache(tmp_path / "cache.json").knows(each) for each in (file, other))


def test_a_disk_that_refuses_costs_time_and_no_error(file: Path, tmp_path: Path) -> None:
    (tmp_path / "no folder").write_text("")
    cache = DigestCache(tmp_path / "no folder" / "cache.json")
    cache.digest(file)
    cache.save()
    assert (tmp_path / "no folder").read_text() == ""


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        "[" * 9999,
        '{"a": 3}',
        '{"a": [1, 2]}',
        '{"a": [5, 1700000000000000000, "of an earlier version"]}',
        '{"a": [Infinity, 1, 2, 3, "y"]}',
        "\udcff",
    ],
)
def test_a_damaged_cache_is_an_empty_one(file: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "cache.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    cache = DigestCache(path)
    assert not cache.knows(file)
    assert cache.digest(file) == sha("one")


def test_a_file_that_is_gone_is_the_callers_to_tell(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        DigestCache(tmp_path / "cache.json").digest(tmp_path / "nowhere")
