"""Digests of outside files are remembered by size and time, in a file that may be lost or damaged."""

import hashlib
import os
from pathlib import Path

import pytest

from stages.formats.digests import DigestCache


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def rewrite(file: Path, text: str) -> None:
    """Another content of the same time."""
    stat = file.stat()
    file.write_text(text)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "picture.png"
    file.write_text("one")
    return file


def test_a_digest_is_that_of_the_files_bytes(file: Path, tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "cache.json")
    assert not cache.knows(file)
    assert cache.digest(file) == sha("one")
    assert cache.knows(file)


def test_what_was_read_is_not_read_again_while_size_and_time_stay(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "cache.json"
    cache = DigestCache(path)
    cache.digest(file)
    cache.save()
    rewrite(file, "two")
    assert DigestCache(path).knows(file)
    assert DigestCache(path).digest(file) == sha("one"), "the price of not reading it again"


def test_another_time_or_another_size_is_another_file(file: Path, tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "cache.json")
    cache.digest(file)
    file.write_text("two")
    os.utime(file, (1, 1))
    assert not cache.knows(file)
    assert cache.digest(file) == sha("two")
    rewrite(file, "three")
    assert not cache.knows(file)
    assert cache.digest(file) == sha("three")


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


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": 3}', '{"a": [1, 2]}', '{"a": ["x", 1, "y"]}', "\udcff"])
def test_a_damaged_cache_is_an_empty_one(file: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "cache.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    cache = DigestCache(path)
    assert not cache.knows(file)
    assert cache.digest(file) == sha("one")


def test_a_file_that_is_gone_is_the_callers_to_tell(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        DigestCache(tmp_path / "cache.json").digest(tmp_path / "nowhere")
