"""What people made for the frames of a sequence: it is set aside, never deleted, when other frames take their place."""

import errno
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from stages.formats import files
from stages.formats.manifest import MANIFEST

ASIDE: Final = "replaced-"
"""What the names of folders begin with that hold what was set aside; nothing reads them."""


@dataclass(frozen=True)
class Belongings:
    """Where people's work on a sequence lies; none of the folders has to exist."""

    scribbles: Path
    """Scribble sets, given masks, names of objects: data/<dataset>/Scribbles/<seq>."""
    annotations: Path
    """Ground truth: data/<dataset>/Annotations/480p/<seq>."""
    requests: Path
    """Pictures that were painted on, and those that wait for it: outputs/<seq>/requests."""

    def set_aside(self, frames: Path) -> Path | None:
        """Move everything into a folder of today below `scribbles`, with the import record of the frames it is for.

        Returns:
            That folder; None if there was nothing.

        Raises:
            OSError: something cannot be moved; what was moved already lies in that folder.
        """
        moves = [(path, path.name) for path in _inside(self.scribbles)]
        whole = ((self.annotations, "annotations"), (self.requests, "requests"))
        moves += [(folder, name) for folder, name in whole if _inside(folder)]
        if not moves:
            return None
        aside = _unused(self.scribbles / f"{ASIDE}{datetime.now():%Y%m%d-%H%M%S}")
        files.make_folder(aside)
        if (frames / MANIFEST).is_file():
            files.copy(frames / MANIFEST, aside / "import.json")
        for path, name in moves:
            _move(path, aside / name)
        return aside


def _inside(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith(ASIDE))


def _move(path: Path, target: Path) -> None:
    if path.is_symlink():  # what it leads to is not ours to move
        files.disk.symlink(target, str(path.resolve()))
        files.delete(path)
        return
    try:
        files.disk.rename(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        if path.is_dir():  # results often lie on another disk
            files.copy_tree(path, target)
            files.delete_tree(path)
        else:
            files.copy(path, target)
            files.delete(path)


def _unused(path: Path) -> Path:
    numbered = (path.with_name(f"{path.name}-{number}") for number in range(2, 1000))
    return next(each for each in (path, *numbered) if not each.exists())
