"""The way onto the disk: what refuses, what appears in one move, and that there is no other way."""

import errno
import os
import platform
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.formats import files
from stages.formats.files import publishing, remove, sweep, sweep_beside, write_json
from stages.formats.json_files import read_json
from stages.formats.pictures import load_picture
from stages.formats.scribbles import read_scribbles
from tests.formats.published import names, put


def test_publishing_keeps_no_file_open(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one")
    before = len(list(Path("/proc/self/fd").iterdir()))
    put(tmp_path / "stage", "two")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_failing_block_leaves_the_old_folder(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one")
    with pytest.raises(RuntimeError), publishing(tmp_path / "stage") as temporary:
        (temporary / "half").write_text("x")
        raise RuntimeError
    assert (tmp_path / "stage" / "sub" / "a.txt").read_text() == "one"
    assert names(tmp_path) == ["stage"]


def test_removing_is_done_by_one_rename_and_minds_nothing_that_is_not_there(tmp_path: Path) -> None:
    put(tmp_path / "stage", "one")
    remove(tmp_path / "stage")
    remove(tmp_path / "stage")
    assert names(tmp_path) == []


def test_beside_a_folder_only_what_dead_processes_of_this_host_left_is_swept(tmp_path: Path) -> None:
    folder, host = tmp_path / "shots", platform.node()
    dead = 2**22 + 1  # no process has such a number
    gone = [f".tmp-shots-{host}-{dead}", f".old-shots-{host}-{dead}"]
    kept = [
        f".tmp-shots-{host}-{os.getpid()}", f".tmp-shots-elsewhere-{dead}", f".tmp-shots2-{host}-{dead}",
        f".new-shots-{host}-{dead}", f".tmp-shots-{host}-{dead}x", f".tmp-shots-{host}-", "shots",
    ]  # fmt: skip
    for name in (*gone, *kept):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    sweep_beside(folder)
    assert names(tmp_path) == sorted(kept)


def test_json_is_sorted_and_a_failed_write_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    write_json(path, {"b": [1], "a": "é"})
    assert path.read_text() == '{\n "a": "\\u00e9",\n "b": [\n  1\n ]\n}\n'
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_bytes() == before
    assert names(tmp_path) == ["thing.json"]


def test_sweep_deletes_leftovers_only(tmp_path: Path) -> None:
    put(tmp_path / "tracks" / "00000-00004", "one")
    (tmp_path / "tracks" / ".tmp-00004-00008-1").mkdir()
    (tmp_path / ".old-masks-1" / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / ".tmp-requests.json-host-1").touch()
    (tmp_path / "tracks" / ".tmp-notes-host-1").touch()
    (tmp_path / ".digests.json").write_text("{}")
    sweep(tmp_path)
    assert names(tmp_path) == [".digests.json", "tracks"]
    assert names(tmp_path / "tracks") == ["00000-00004"]


class Refusing(files.Disk):
    """Refuses the calls of one name."""

    def __init__(self, call: str) -> None:
        setattr(self, call, self.refuse)

    def refuse(self, *_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_a_file_is_replaced_or_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    files.replace(tmp_path / "a", "old")
    monkeypatch.setattr(files, "disk", Refusing(call))
    with pytest.raises(OSError, match="no room"):
        files.replace(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_is_made_to_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    class Noting(files.Disk):
        def fsync(self, descriptor: int) -> None:
            called.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name[:6]}")
            super().fsync(descriptor)

        def rename(self, source: Path, target: Path) -> None:
            called.append(f"rename {target.name}")
            super().rename(source, target)

    monkeypatch.setattr(files, "disk", Noting())
    files.replace(tmp_path / "a", "new")
    assert called == ["fsync .tmp-a", "rename a", f"fsync {tmp_path.name[:6]}"]


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(files.Disk):
        def write(self, descriptor: int, content: files.Bytes) -> int:
            return super().write(descriptor, memoryview(content)[:3])

    monkeypatch.setattr(files, "disk", Slow())
    files.write(tmp_path / "a", "ten bytes!")
    with files.growing(tmp_path / "b") as file:
        file.write(b"0123456789")
        file.seek(2)
        file.write(b"__")
    assert (tmp_path / "a").read_text() == "ten bytes!"
    assert (tmp_path / "b").read_bytes() == b"01__456789"


def test_a_link_is_deleted_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "strokes.png").touch()
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "link").symlink_to(tmp_path / "precious")
    files.delete_tree(tmp_path / "stage")
    assert names(tmp_path) == ["precious"]
    assert names(tmp_path / "precious") == ["strokes.png"]


def test_a_tree_is_copied_without_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a" / "sub").mkdir(parents=True)
    (tmp_path / "a" / "sub" / "one").write_bytes(b"1")
    (tmp_path / "a" / "asked-1").touch()
    files.copy_tree(tmp_path / "a", tmp_path / "b", skip="asked-*")
    assert sorted(path.relative_to(tmp_path / "b").as_posix() for path in tmp_path.rglob("b/**/*")) == [
        "sub",
        "sub/one",
    ]


def test_what_is_put_in_the_place_of_a_link_lies_where_it_leads(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "masks").mkdir(parents=True)
    (elsewhere / "masks" / "old").touch()
    (elsewhere / "001.json").write_text("old")
    (tmp_path / "masks").symlink_to(elsewhere / "masks")
    (tmp_path / "001.json").symlink_to(elsewhere / "001.json")
    files.replace(tmp_path / "001.json", "new")
    with files.publishing(tmp_path / "masks") as temporary:
        assert temporary.parent == elsewhere
        (temporary / "new").touch()
        files.put_in_place(temporary, tmp_path / "masks")
    assert (elsewhere / "001.json").read_text() == "new"
    assert sorted(path.name for path in elsewhere.iterdir()) == ["001.json", "masks"]
    assert [path.name for path in (elsewhere / "masks").iterdir()] == ["new"]
    assert (tmp_path / "masks").is_symlink() and (tmp_path / "001.json").is_symlink()


def test_a_file_in_the_place_of_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a person's")
    with (
        pytest.raises(NotADirectoryError, match="report"),
        files.publishing(tmp_path / "report") as temporary,
    ):
        (temporary / "index.html").touch()
        files.put_in_place(temporary, tmp_path / "report")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report").read_text() == "a person's"


def test_a_text_with_a_name_that_is_not_utf8_is_written_escaped(tmp_path: Path) -> None:
    files.write(tmp_path / "table", "bild_\udcfc.png, Müller\n")
    assert (tmp_path / "table").read_text(encoding="utf-8") == "bild_\\udcfc.png, Müller\n"


def test_threads_that_write_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    texts = [letter * size for letter, size in zip("abcd", (10, 1 << 16, 1 << 20, 3), strict=True)]
    with ThreadPoolExecutor(4) as threads:
        for written in [threads.submit(files.replace, path, text) for text in texts * 10]:
            written.result()
            assert path.read_text() in texts
    assert names(tmp_path) == ["shared"]


ANOTHER_WAY = re.compile(
    r"(?<!files\.disk)\.(write_text|write_bytes|mkdir|rmdir|unlink|rename|touch|symlink_to|hardlink_to|tofile|to_csv)\("
    r"|\bshutil\.(copy|move|rmtree)|\bos\.(open|write|fsync|rename|replace|remove|unlink|mkdir|makedirs|rmdir)\("
    r"|\b(imwrite|save_file|np\.savez?|h5py\.File\((?!buffer).*\"w\")|\bopen\((?!file,).*\"[wax]b?\+?\""
)


def test_nobody_else_writes() -> None:
    """A grep, not a proof: what it finds is to go through `stages.formats.files`."""
    root = Path(files.__file__).parents[2]
    may = (Path(files.__file__), root / "tasks" / "runtime" / "machine.py")  # the other one tells the kernel something
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for folder in ("stages", "tasks")
        for path in sorted((root / folder).rglob("*.py"))
        if path not in may
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ANOTHER_WAY.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("read", [lambda path: read_scribbles(path, "toy", 1), read_json, load_picture])
def test_a_pipe_keeps_nobody_waiting(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((InputError, OSError), match="pipe, a socket or a device"):
        read(tmp_path / "pipe")
