"""`.digests.json`: digests of outside files, so that a finished run is recognised fast."""

import json
from pathlib import Path

from stages.formats.manifest import sha256, write_json


class DigestCache:
    """Digests of outside files, remembered by size and time of change, so that a finished run is recognised fast.

    `touch` changes a file's time, not its digest: it costs one more reading and nothing else.
    """

    def __init__(self, path: Path):
        self._path = path
        self._changed = False
        self._known: dict[str, tuple[int, int, str]] = {}
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            self._known = {
                str(file): (int(size), int(mtime), str(digest)) for file, (size, mtime, digest) in known.items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            pass  # unreadable: everything is read again

    def knows(self, file: Path) -> bool:
        """Whether the file was read before and has not changed since."""
        return self._known.get(str(file), ())[:2] == _seen(file)

    def digest(self, file: Path) -> str:
        """Hex SHA-256 of a file's bytes.

        Raises:
            OSError: the file cannot be read.
        """
        if not self.knows(file):
            self._changed = True
            self._known[str(file)] = (*_seen(file), sha256(file))
        return self._known[str(file)][2]

    def save(self) -> None:
        """Write what was learnt; a disk that refuses costs time at the next run, no more."""
        if self._changed:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_json(self._path, self._known)
                self._changed = False
            except OSError:
                pass


def _seen(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns
