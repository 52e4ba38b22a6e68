"""Folders of masks, a picture a frame, or documents, as other programs and people leave them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.exchange.outgoing.own_files import EXPORT_JSON, SHEET

_PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp"})
_MOST_FILES: Final = 1_000_000


def pictures_in(source: Path) -> list[Path]:
    """The pictures of a folder, sorted: PNGs if there are any, else whatever lies there; a file stands for itself.

    Those in the folder itself if there are some, else those in the folders below it. Hidden ones are passed over, and
    so is the sheet of an export.

    Raises:
        InputError: there is no such file or folder, or it cannot be listed.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise InputError(f"{source}: found no such file or folder, expected masks; check the path")
    try:
        found = [path for path in sorted(source.iterdir()) if _is_picture(path, source)]
        if not found:
            found = [path for path in sorted(source.rglob("*")) if _is_picture(path, source)]
    except OSError as error:
        raise InputError(f"{source}: the folder cannot be listed: {error.strerror or error}; allow it") from None
    if len(found) > _MOST_FILES:
        raise InputError(f"{source}: found {len(found):,} pictures, expected {_MOST_FILES:,} at most; check the path")
    return [path for path in found if path.suffix.lower() == ".png"] or found


def has_pngs(folder: Path) -> bool:
    """Whether a folder holds PNGs, hidden ones left out."""
    try:
        return any(path.suffix.lower() == ".png" and _is_picture(path, folder) for path in folder.iterdir())
    except OSError:
        return False


def documents_in(source: Path, pattern: str, fits: Callable[[Path], bool] = lambda _: True) -> list[Path]:
    """The files of a folder that fit, or, if there are none, those of the folders in it, sorted; no hidden ones.

    An export has a folder for each sequence, and people name either. A file stands for itself.
    """
    if not source.is_dir():
        return [source]
    for deep in (pattern, f"*/{pattern}"):
        named = [path for path in sorted(source.glob(deep)) if path.is_file() and not _is_hidden(path, source)]
        if found := [path for path in named if fits(path)]:
            return found
    return []


def _is_picture(path: Path, source: Path) -> bool:
    if path.name == SHEET and path.with_name(EXPORT_JSON).exists():
        return False
    return not _is_hidden(path, source) and path.suffix.lower() in _PICTURES and path.is_file()


def _is_hidden(path: Path, source: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(source).parts)
