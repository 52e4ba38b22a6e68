"""`.digests.json`: digests of outside files, so that a finished run is recognised fast."""

import os
import time
from pathlib import Path
from typing import Final, NamedTuple

from stages.formats.files import make_folder, sha256, write_json
from stages.formats.json_files import read_json

SETTLED_AFTER_S: Final = 2.0
"""The coarsest clock among file systems in use (FAT): two changes within this time may bear one time of change."""


_BYTES_OF_AN_ENTRY: Final = 160


class Stamp(NamedTuple):
    """What tells, without reading it, that a file is the one seen before.

    Size and time of modification are not enough: programs that copy or restore set the time. The time of change is the
    kernel's own; the inode is another one where a file was put in the place of an older one.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> "Stamp":
        """The part of a `stat` that counts."""
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)

    def had_settled(self, now_ns: int) -> bool:
        """Whether a change after this moment must show in the stamp; one within the same tick of the clock may not."""
        return now_ns - self.ctime_ns > SETTLED_AFTER_S * 1e9


class DigestCache:
    """Digests of outside files, remembered by their stamps, so that a finished run is recognised fast.

    `touch`, or a copy on another machine, changes a file's stamp, not its digest: it costs one more reading and nothing
    else. What was read within moments of its last change is read again, until it has settled.
    """

    def __init__(self, path: Path):
        self._path = path
        self._changed = False
        self._known: dict[str, tuple[Stamp, str]] = {}
        try:
            known = read_json(path)
            self._known = {
                str(file): (Stamp(int(size), int(mtime), int(ctime), int(inode)), str(digest))
                for file, (size, mtime, ctime, inode, digest) in known.items()
            }
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            pass  # unreadable, or of a version that knew less of a file: everything is read again

    def knows(self, file: Path) -> bool:
        """Whether the file was read before and has not changed since."""
        known = self._known.get(str(file))
        return known is not None and known[0] == Stamp.of(file.stat())

    def digest(self, file: Path) -> str:
        """Hex SHA-256 of a file's bytes.

        Raises:
            OSError: the file cannot be read.
        """
        stamp = Stamp.of(file.stat())
        known = self._known.get(str(file))
        if known is not None and known[0] == stamp:
            return known[1]
        settled = stamp.had_settled(time.time_ns())
        digest = sha256(file)
        if settled:
            self._known[str(file)] = (stamp, digest)
            self._changed = True
        return digest

    def bytes_of_gone(self) -> int:
        """About how many bytes are spent on files that are not there any more."""
        return sum(len(file) + _BYTES_OF_AN_ENTRY for file in self._known if not Path(file).exists())

    def forget_gone(self) -> None:
        """Drop what is known of files that are not there any more, and save."""
        kept = {file: known for file, known in self._known.items() if Path(file).exists()}
        self._changed |= len(kept) < len(self._known)
        self._known = kept
        self.save()

    def save(self) -> None:
        """Write what was learnt; a disk that refuses costs time at the next run, no more."""
        if self._changed:
            try:
                make_folder(self._path.parent)
                write_json(self._path, {file: [*stamp, digest] for file, (stamp, digest) in self._known.items()})
                self._changed = False
            except OSError:
                pass
