"""Asking people for scribbles, and reading what they painted."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from stages.core.errors import InputError
from stages.core.plan import Plan
from stages.formats import files
from stages.formats.frames import read_frame
from stages.formats.manifest import Json
from stages.formats.pictures import encoded
from stages.formats.requests import (
    contradiction,
    is_declared_empty,
    note_read,
    note_requests,
    picture_to_paint_on,
)
from stages.formats.scribbles import ScribbleSet, merge, write_scribbles
from stages.formats.strokes import strokes_from_png


def ask(root: Path, terms: Json, plan: Plan, frames: Sequence[Path]) -> None:
    """Say which frames wait for scribbles, and lay out the pictures to paint on.

    Args:
        root: the sequence's folder of results.
        terms: what the requests hold under, see `stages.formats.requests.issued_anchors`.
        plan: the anchors.
        frames: the video's pictures, in order.
    """
    for index in plan.requested:
        picture = picture_to_paint_on(root, index)
        files.make_folder(picture.parent)
        files.replace(picture, encoded(Image.fromarray(read_frame(frames[index])), "PNG", compress_level=1))
    note_requests(root, terms, plan, [path.name for path in frames])


def read_painted(
    root: Path, scribble_file: Path, scribbles: ScribbleSet, painted: Mapping[int, Path], frames: Sequence[Path]
) -> list[int]:
    """Merge every painted picture that waits into the scribble set; its strokes replace the frame's former ones.

    Args:
        root: the sequence's folder of results.
        scribble_file: where the set is written; its stem is the set's name.
        scribbles: the set as it is.
        painted: frame index -> the picture.
        frames: the video's pictures, in order.

    Returns:
        The frame indices that were read.

    Raises:
        InputError: a picture of another size, without any stroke, for a frame that does not exist, or both painted and
            declared empty. Nothing is merged then.
    """
    for index, path in painted.items():
        if index >= len(frames):
            raise InputError(f"{path}: the video has the frames 0 to {len(frames) - 1}. Rename or delete the picture.")
        if other := contradiction(path):
            raise InputError(
                f"{path} and {other.name} contradict each other: a frame has strokes or holds nothing. "
                "Delete one of them."
            )
        lines = () if is_declared_empty(path) else strokes_from_png(path, frames[index])
        scribbles = merge(scribbles, index, lines)
    files.sweep_beside(scribble_file)
    write_scribbles(scribble_file, scribbles)
    note_read(root, scribble_file.stem, list(painted.values()))
    return sorted(painted)
