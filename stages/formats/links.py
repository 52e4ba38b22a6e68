"""Links that people made below the roots: they are followed, and a broken one is named."""

import errno
import os
from pathlib import Path


def broken_link(path: Path) -> str:
    """What is wrong with a link, in words; empty if the path leads to something, or is no link."""
    if not path.is_symlink():
        return ""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a loop of links"
        return f"a link to {path.readlink()}, which leads nowhere ({error.strerror})"
    return ""


def followed(path: Path) -> Path:
    """Where a path leads to, if it is a link itself: what takes its place is put there, and the link stays."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path
