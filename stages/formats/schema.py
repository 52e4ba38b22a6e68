"""Version numbers of files: what is newer than this version of LIS is refused, not guessed at."""

from pathlib import Path

from stages.core.errors import StageError


class NewerVersionError(StageError):
    """A newer version of LIS has written a file; everything else that is wrong with a file's version is damage."""


def check_schema(path: Path, found: object, newest: int) -> int:
    """The version that a file says it has.

    Args:
        path: the file.
        found: what it says; a number from 1 on.
        newest: the newest that this version of LIS knows.

    Raises:
        NewerVersionError: it is newer than that.
        StageError: it is no number from 1 on.
    """
    if not isinstance(found, int) or found < 1:
        raise StageError(f"{path}: found {found!r} as the version of its form, expected 1 to {newest}; make it again")
    if found > newest:
        raise NewerVersionError(
            f"{path}: found version {found} of its form, expected {newest} at most: a newer version of LIS has written "
            "it. Use that version, or another folder of results; nothing was changed"
        )
    return found
