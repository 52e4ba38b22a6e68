"""What an import notes of its source, in the manifest of the frames: which file, its content, which frames of it.

    key: {"source": "<sha256>", "short_side": 480, "reader": 2, "part": {"start": "10s", "every": 30}}
    run: {"source": "/films/walk.mp4", "source_size_wh": [1920, 1080], "source_frame_rate": 25.0, "frames": 240,
          "taken": {"first": 300, "every": 30, "of": 7500}, ...}

`part` is there only if not all was asked for. Earlier imports took everything, and did not note sizes.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.formats.files import sha256
from stages.formats.frames import has_pictures, pictures_in
from stages.formats.manifest import read_manifest
from stages.formats.names import check_name

_VIDEOS: Final = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".flv"),
        *(".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".ogv"),
    }
)
"""What files are called that are looked for in a folder; one that is given by itself may be called anything."""


@dataclass(frozen=True)
class RecordedSource:
    """Where frames came from."""

    path: Path
    """Where the source lay: a video, a picture with several pages, or a folder of pictures; absolute, but for imports
    of earlier versions, which wrote it as it was given."""
    digest: str
    """Of its content, see `source_digest`."""
    indices: range
    """The frames of it that were taken, by their place in it; as many as were imported."""
    size_wh: tuple[int, int] | None
    """Of its frames in pixels; None: not noted."""
    frame_rate: float | None
    """Imported frames a second of the source; None: not noted."""


def recorded_source(frames_folder: Path) -> RecordedSource | None:
    """Where the frames of a sequence came from; None if no import has put them there.

    Args:
        frames_folder: `data/<dataset>/JPEGImages/480p/<seq>`.
    """
    manifest = read_manifest(frames_folder)
    if manifest is None or manifest.stage != "import":
        return None
    run = manifest.run
    taken = run.get("taken", {"first": 0, "every": 1})
    first, every = int(taken["first"]), int(taken["every"])
    size_wh = run.get("source_size_wh")
    return RecordedSource(
        path=Path(run["source"]),
        digest=manifest.key["source"],
        indices=range(first, first + int(run["frames"]) * every, every),
        size_wh=(int(size_wh[0]), int(size_wh[1])) if size_wh else None,
        frame_rate=float(rate) / every if (rate := run.get("source_frame_rate")) else None,
    )


def sources_in(path: Path) -> tuple[list[Path], list[Path]]:
    """What an import of a path brings in: itself, or, of a folder that has no picture, the videos and folders in it.

    Returns:
        The sources, and the folders that are passed over, since no picture is in them.
    """
    if not path.is_dir() or has_pictures(path):
        return [path], []
    inside = [each for each in sorted(path.iterdir()) if not each.name.startswith(".")]
    folders = [each for each in inside if each.is_dir()]
    found = [each for each in inside if _is_video(each) or has_pictures(each)]
    return (found, [each for each in folders if each not in found]) if found else ([path], [])


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in _VIDEOS and path.is_file()


def names_of(sources: Sequence[Path]) -> list[str]:
    """The names of the sequences that sources become, if nobody gives one: those of files and folders.

    Raises:
        InputError: two have one name, or a name is unfit.
    """
    names = []
    for source in sources:
        called = source if source.name not in ("", "..") else source.resolve()
        names.append(check_name(called.name if source.is_dir() else called.stem))
        if (first := names.index(names[-1])) < len(names) - 1:
            raise InputError(
                f"found {sources[first]} and {source}, both called {names[-1]!r}, expected names that differ; bring in "
                "one of them by itself, with --seq"
            )
    return names


def source_digest(source: Path) -> str:
    """The sha256 of a source's content: of a file, or of the names and contents of a folder's pictures.

    Raises:
        InputError: it is neither.
        OSError: it cannot be read.
    """
    if source.is_dir():
        lines = [f"{path.name} {sha256(path)}" for path in pictures_in(source).paths]
        return hashlib.sha256(os.fsencode("\n".join(lines))).hexdigest()
    if source.is_file():
        return sha256(source)
    raise InputError(f"{source}: found neither a file nor a folder, expected a video or a folder of pictures")
