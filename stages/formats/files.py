"""The one way onto the disk: everything that LIS writes goes through this module, and this module through `disk`.

Files are put together in memory and written as bytes, so that a disk that refuses is an ordinary OSError wherever it
happens. What others may read at any moment appears by one rename, after its content is on the disk for good. Tests put
another `disk` here that counts, refuses or kills; nobody else opens a file for writing.
"""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil

from stages.formats.links import followed

_TEMPORARY: Final = ".tmp-"
_DISCARDED: Final = ".old-"
_PIECE_BYTES: Final = 1 << 20
Bytes = bytes | bytearray | memoryview


class Disk:
    """The calls of the system that change what lies on a disk."""

    def open(self, path: Path, flags: int) -> int:
        """A descriptor of a file or, to make it durable, of a folder."""
        return os.open(path, flags, 0o666)

    def write(self, descriptor: int, content: Bytes) -> int:
        """How many bytes were taken."""
        return os.write(descriptor, content)

    def fsync(self, descriptor: int) -> None:
        """Returns when the content is on the disk for good."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """In one move; a file takes the place of another one, a folder that of an empty one."""
        source.rename(target)

    def mkdir(self, path: Path) -> None:
        """Make one folder."""
        path.mkdir()

    def symlink(self, path: Path, target: str) -> None:
        """Make a link."""
        path.symlink_to(target)

    def unlink(self, path: Path) -> None:
        """Delete a file or a link."""
        path.unlink()

    def rmdir(self, path: Path) -> None:
        """Delete an empty folder."""
        path.rmdir()


disk = Disk()


def write(path: Path, content: Bytes | str) -> None:
    """Write a file of a folder that is published later, or that nobody else reads; text is UTF-8.

    Raises:
        OSError: the disk refuses; half of the file may be there.
    """
    with opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        _write_all(descriptor, content)


def replace(path: Path, content: Bytes | str, only_if: Callable[[], bool] = lambda: True) -> bool:
    """Write a file by one rename: readers see the old one or the new one, after a power loss, too. A link is followed.

    Args:
        path: the file.
        content: all of it.
        only_if: asked at the last moment; if it says no, the old one stays.

    Returns:
        Whether the new one is there.

    Raises:
        OSError: the disk refuses; the old one is still there.
    """
    path = followed(path)
    temporary = beside(path)
    try:
        with opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
            _write_all(descriptor, content)
            disk.fsync(descriptor)
        if not only_if():
            delete(temporary)
            return False
        disk.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            delete(temporary)
        raise
    sync(path.parent)
    return True


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, by one rename."""
    replace(path, json_text(value))


def json_text(value: Any) -> str:
    """JSON for people and programs: sorted keys, equal values give equal bytes."""
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, in one call, so that lines of several processes do not mix; never behind half of one.

    An empty line may stand before it, where another process was just writing one.
    """
    with opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as descriptor:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # the disk was full, or the machine died
        _write_all(descriptor, "\n" * torn + line + "\n")


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor, closed at the end."""
    descriptor = disk.open(path, flags | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class GrowingFile:
    """What libraries that write piece by piece, and go back to complete a head, want to see of a file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, content: Bytes) -> int:
        """Write all of it where we are; returns the number of bytes."""
        _write_all(self._descriptor, content)
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere else; returns where we are."""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """Where we are."""
        return self.seek(0, os.SEEK_CUR)


@contextmanager
def growing(path: Path) -> Iterator[GrowingFile]:
    """A file too large to be put together in memory; see `write`."""
    with opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        yield GrowingFile(descriptor)


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes, whatever their number; see `write`."""
    with source.open("rb") as file, opened(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        while piece := file.read(_PIECE_BYTES):
            _write_all(descriptor, piece)


def copy_tree(source: Path, target: Path, skip: str = "") -> None:
    """Copy what is in a folder into another one, which may exist; names that match the pattern `skip` are left out."""
    make_folder(target)
    for path in sorted(source.iterdir()):
        if skip and path.match(skip):
            continue
        if path.is_dir():
            copy_tree(path, target / path.name, skip)
        else:
            copy(path, target / path.name)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, durably; it may exist."""
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        disk.mkdir(path)
    except FileExistsError:
        if not path.is_dir():
            raise
    sync(path.parent)


def point(link: Path, target: str) -> None:
    """Let a link, which may exist, lead to another name in its folder, in one move.

    Raises:
        OSError: the disk refuses, or knows no links.
    """
    temporary = beside(link)
    delete(temporary)
    try:
        disk.symlink(temporary, target)
        disk.rename(temporary, link)
    except BaseException:
        with suppress(OSError):
            delete(temporary)
        raise
    sync(link.parent)


def delete(path: Path) -> None:
    """Delete a file or a link; it may be gone."""
    with suppress(FileNotFoundError):
        disk.unlink(path)


def delete_tree(path: Path) -> None:
    """Delete a folder and what is in it; it, or a part of it, may be gone. Links are deleted, not followed."""
    with suppress(FileNotFoundError):
        with os.scandir(path) as entries:
            inside = list(entries)
        for entry in inside:
            if entry.is_dir(follow_symlinks=False):
                delete_tree(Path(entry.path))
            else:
                delete(Path(entry.path))
        disk.rmdir(path)


def delete_empty(folder: Path) -> None:
    """Delete a folder, and those in it, as far as there is no file in them."""
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):
                disk.rmdir(path)


def sync(path: Path) -> None:
    """Return when a file's content, or a folder's list of names, is on the disk for good."""
    with opened(path, os.O_RDONLY) as descriptor:
        disk.fsync(descriptor)


# --- folders that appear and disappear in one move -----------------------------------------------------------------


def beside(path: Path, prefix: str = _TEMPORARY) -> Path:
    """A name in the same folder that nobody else uses, on this host or another one, and that `sweep` knows."""
    is_alone = threading.current_thread() is threading.main_thread()
    thread = "" if is_alone else f".{threading.get_native_id()}"
    return path.parent / f"{prefix}{path.name}-{platform.node()}-{os.getpid()}{thread}"


@contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """Give a temporary sibling of `folder`, or of where its link leads, to write into; gone if the block fails.

    The block ends with `put_in_place`, so that a kill at any moment leaves the old folder, no folder, or the new one.
    """
    place = followed(folder)
    make_folder(place.parent)
    if place != folder:
        sweep_beside(place)  # no `sweep` comes there
    temporary = beside(place)
    delete_tree(temporary)
    disk.mkdir(temporary)
    try:
        yield temporary
    finally:
        with suppress(OSError):
            delete_tree(temporary)


def put_in_place(temporary: Path, folder: Path) -> None:
    """Make everything under a temporary folder durable, and put it in the place of `folder`.

    Raises:
        OSError: the disk refused; nothing was published.
    """
    folder = followed(folder)
    sync_below(temporary)
    # The old folder goes first: a kill in between costs one recomputation, and leaves no litter behind a success.
    remove(folder)
    while not _renamed(temporary, folder):
        remove(folder)  # a worker that was taken for dead has just published the same
    sync(folder.parent)


def sync_below(folder: Path) -> None:
    """Make everything in a folder durable, and itself."""
    for name in files_below(folder):
        if not (folder / name).is_symlink():  # what it leads to is somebody else's
            sync(folder / name)
    for name, _, _ in os.walk(folder):
        sync(Path(name))


def files_below(folder: Path) -> Iterator[str]:
    """The files below a folder, links among them, by their paths in it with `/`; in order, whatever their number."""
    with os.scandir(folder) as entries:
        inside = sorted((entry.name, entry.is_dir(follow_symlinks=False), entry.is_file()) for entry in entries)
    for name, is_folder, is_file in inside:
        if is_folder:
            yield from (f"{name}/{below}" for below in files_below(folder / name))
        elif is_file:
            yield name


def remove(folder: Path) -> None:
    """Delete a folder, or the one that its link leads to, so that no half-deleted one is ever seen under its name."""
    folder = followed(folder)
    if folder.is_file():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))  # somebody else's
    discarded = beside(folder, _DISCARDED)
    try:
        disk.rename(folder, discarded)
    except FileNotFoundError:
        return  # nothing there, or another process was faster
    delete_tree(discarded)


def is_litter(path: Path) -> bool:
    """Whether a name is that of a temporary sibling: a run writes it now, or was killed while it did."""
    return path.name.startswith((_TEMPORARY, _DISCARDED))


def sweep(folder: Path) -> None:
    """Delete what killed runs left under a sequence's folder; call it with the sequence's lock held."""
    for level in ("*", "*/*"):
        for path in folder.glob(level):
            if is_litter(path):
                _sweep_away(path)


def sweep_beside(path: Path) -> None:
    """Delete what killed runs left beside a file or folder, on this host: of others we cannot know who lives."""
    _sweep_of(path.parent, re.escape(path.name))


def sweep_in(folder: Path) -> None:
    """The same of all files in a folder that other sequences may share, where `sweep` does not come."""
    _sweep_of(folder, ".+")


def _sweep_of(folder: Path, names: str) -> None:
    prefixes, host = f"(?:{re.escape(_TEMPORARY)}|{re.escape(_DISCARDED)})", re.escape(platform.node())
    for leftover in folder.glob(".*"):
        found = re.fullmatch(rf"{prefixes}{names}-{host}-(\d+)(?:\.\d+)?", leftover.name)
        if found and not psutil.pid_exists(int(found[1])):
            _sweep_away(leftover)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_mib(path: Path) -> float:
    """Room on the disk that a file or folder is on, or would be on."""
    return shutil.disk_usage(existing(path)).free / 2**20


def existing(path: Path) -> Path:
    """A file or folder itself, or the nearest one above it that is there."""
    return next(each for each in [path.absolute(), *path.absolute().parents] if each.exists())


def takes_files(folder: Path) -> bool:
    """Whether files can be made in a folder, which may have to be made itself."""
    nearest = existing(folder)
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def stat_of_file(path: Path) -> os.stat_result:
    """The stat of what can be read to its end.

    Raises:
        OSError: nothing is there; or a pipe, a socket or a device, which might keep its reader waiting for ever.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):  # who opens a folder is told so
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, and no file", str(path))
    return found


def _sweep_away(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            delete_tree(path)
        else:
            delete(path)


def _write_all(descriptor: int, content: Bytes | str) -> None:
    # A file's name that is not UTF-8 must not keep a table or a page that tells of it from being written.
    text = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    rest = memoryview(text).cast("B")
    while len(rest):
        rest = rest[disk.write(descriptor, rest) :]


def _renamed(source: Path, target: Path) -> bool:
    """Rename a folder, unless there is another one under the new name."""
    try:
        disk.rename(source, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True
