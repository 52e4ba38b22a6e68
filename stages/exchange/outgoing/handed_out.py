"""Which masks went out to be corrected: one that comes back as it went out was corrected by nobody.

    masks.sha256     of an export for correction: a line a frame, `<sha256 of its label map>  <sequence>/<frame>`
                     of given masks (`<set>.masks/`): those of the result that came back with them, in a copy of it

The result may be another one by then: the first corrections that came back have changed the frames around them.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from stages.core.types import LabelMap
from stages.formats import files

HANDED_OUT: Final = "masks.sha256"


def write_handed_out(folder: Path, masks: Iterable[tuple[str, int, str]], former: Path) -> None:
    """Note what an export hands out, and what its former version did: people may still work on that.

    Args:
        folder: of the export, not published yet.
        masks: sequence, frame and digest of each.
        former: the folder of the export's former version; need not be there.
    """
    files.write(folder / HANDED_OUT, _with(masks, _lines(former)))


def note_handed_out(folder: Path, masks: Iterable[tuple[str, int, str]]) -> None:
    """Add masks to those that a folder says have gone out, by one rename; arguments as of `write_handed_out`."""
    files.replace(folder / HANDED_OUT, _with(masks, _lines(folder)))


def read_handed_out(exports: Iterable[Path], sequence: str) -> dict[int, frozenset[str]]:
    """What exports have handed out of a sequence.

    Args:
        exports: folders, of exports for correction and others, and of given masks.
        sequence: its name.

    Returns:
        Frame -> digests of its masks, see `digest_of`.
    """
    found: dict[int, set[str]] = {}
    for line in (line for folder in exports for line in _lines(folder)):
        digest, _, place = line.partition("  ")
        name, _, frame = place.rpartition("/")
        if name == sequence and frame.isdecimal():
            found.setdefault(int(frame), set()).add(digest)
    return {frame: frozenset(digests) for frame, digests in found.items()}


def digest_of(labels: LabelMap) -> str:
    """The sha256 of a label map, (H, W) uint8."""
    return hashlib.sha256(labels.tobytes()).hexdigest()


def _with(masks: Iterable[tuple[str, int, str]], known: Iterable[str]) -> str:
    lines = {*known, *(f"{digest}  {sequence}/{frame}" for sequence, frame, digest in masks)}
    return "".join(f"{line}\n" for line in sorted(lines))


def _lines(folder: Path) -> list[str]:
    try:
        return (folder / HANDED_OUT).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
