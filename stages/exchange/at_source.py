"""Masks at the size of the source that was imported: enlarged, and refined where they end."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from stages.core.errors import InputError
from stages.core.types import Frame, LabelMap
from stages.exchange.soft import SoftFrame
from stages.formats.frames import Frames, pictures_in
from stages.formats.import_record import source_digest
from stages.formats.manifest import read_manifest
from stages.formats.pictures import is_picture, read_pages
from stages.formats.videos import Video

# The source


def find_source(frames_folder: Path, given: Path | None = None) -> Path:
    """What a sequence's pictures were imported from: where the import found it, or where it lies now.

    Args:
        frames_folder: the sequence's pictures. Without a record of an import they are the source themselves.
        given: where a person says that the source lies now.

    Returns:
        A file or a folder that has the recorded content.

    Raises:
        InputError: it is not where it was and nobody says where it is, or it is another one by now.
    """
    record = read_manifest(frames_folder)
    if record is None:
        return given or frames_folder
    path = given or Path(record.run["source"])
    option = "--source" if given else f"the source of {frames_folder.name}"
    try:
        digest = source_digest(path)
    except (InputError, OSError) as error:
        why = getattr(error, "strerror", None) or "neither a file nor a folder of pictures"
        raise InputError(
            f"{path}: found {why}, expected {option}; it has moved: say where it lies with --source, or export with "
            "--size frames"
        ) from None
    if digest != record.key["source"]:
        raise InputError(
            f"{path}: found another content than {frames_folder.name} was imported from, expected the very same "
            "source; say where that lies with --source, or export with --size frames"
        )
    return path


def source_frames(path: Path, indices: Sequence[int]) -> Iterator[Frame]:
    """Pictures of a source, (H, W, 3) uint8 RGB, at its own size, decoded one by one.

    Args:
        path: a video, a picture with several pages, or a folder of pictures.
        indices: which, ascending, by their place in it.

    Raises:
        InputError: it cannot be read, or has fewer.
    """
    if path.is_dir():
        frames = Frames(pictures_in(path).paths)
        yield from (frames[index] for index in indices)
        return
    wanted = iter(indices)
    following = next(wanted, None)
    for number, picture in enumerate(_pictures(path)):
        if following is None:
            return
        if number == following:
            yield np.asarray(picture.convert("RGB"))
            following = next(wanted, None)
    if following is not None:
        raise InputError(f"{path}: found its end before frame {following}, expected as many frames as were imported")


def _pictures(path: Path) -> Iterator[Image.Image]:
    if is_picture(path):
        yield from read_pages(path)
    else:
        with Video(path) as video:
            yield from video.frames()


# The masks


def at_source(labels: LabelMap, soft: SoftFrame, picture: Frame) -> LabelMap:
    """A frame's label map at the size of the source.

    Args:
        labels: (h, w) uint8 ids, as the result has them.
        soft: the frame's soft masks, (objects, h, w).
        picture: (H, W, 3) uint8 RGB, of the source.

    Returns:
        (H, W) uint8 ids; the labels themselves if the source has their size.
    """
    height, width = picture.shape[:2]
    if labels.shape == (height, width):
        return labels
    best = np.zeros((height, width), dtype=np.uint8)
    highest = np.zeros((height, width), dtype=np.float32)
    for object_id in np.unique(labels).tolist():
        share = cv2.resize((labels == object_id).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        wins = share > highest
        best[wins], highest[wins] = object_id, share[wins]
    return best
