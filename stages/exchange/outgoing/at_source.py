"""Masks at the size of the source that was imported: enlarged, and refined where they end.

A soft mask says how sure a pixel is, the label map on which side of one half it lies, where refinement or a stroke has
put it. So joined they are enlarged, and filtered with the source's picture as guide, in a band around each boundary;
outside of it nothing changes. All ids of a frame, and the background, are one layer each, and the highest one wins: no
gap opens between objects that touch. What is thin, or has a few pixels, stays as the label map has it. What was
measured, and against what: docs/lab/exports.md.

A frame that a person gave is enlarged pixel by pixel: nothing is made up, and shrunk again it is what was given.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.core.errors import InputError
from stages.core.guided_filter import GuidedFilter, band_around
from stages.core.types import Frame, LabelMap, Probability
from stages.exchange.outgoing.soft import SoftFrame
from stages.formats.frames import Frames, pictures_in
from stages.formats.import_record import recorded_source, source_digest
from stages.formats.pictures import is_picture, read_pages
from stages.formats.videos import Video

_HALF: Final = np.float32(0.5)
_LEAST_SURE: Final = np.float32(0.15)
"""How far from one half soft masks are at least."""
_BAND: Final = 1.5
"""Pixels of the frames that a boundary may move by."""
_THIN_PX: Final = 3
"""What is narrower on the frames would be filtered away."""


# --- the masks -------------------------------------------------------------------------------------------------------


def at_source(labels: LabelMap, soft: SoftFrame, picture: Frame, *, is_given: bool = False) -> LabelMap:
    """A label map at the size of a larger picture of the same frame.

    Args:
        labels: (h, w) uint8 ids.
        soft: soft masks of the frame, (objects, h, w); an id without one is taken as the label map has it.
        picture: (H, W, 3) uint8 RGB.
        is_given: whether a person gave the label map as it is.

    Returns:
        (H, W) uint8; the labels themselves if they have that size.
    """
    height, width = picture.shape[:2]
    if labels.shape == (height, width):
        return labels
    if is_given:
        return enlarged_exactly(labels, (width, height))
    layers = _layers(labels, soft)
    ids = list(layers)
    large = [cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR) for layer in layers.values()]
    found = _highest(ids, large)
    factor = max(height / labels.shape[0], width / labels.shape[1])
    reach = max(1, round(_BAND * factor))
    thin = enlarged_exactly(_thin(labels, ids), (width, height)) > 0
    found[thin] = enlarged_exactly(labels, (width, height))[thin]
    band = np.zeros((height, width), dtype=bool)
    for object_id in ids:
        band |= band_around(found == object_id, reach)
    band &= ~thin
    if not band.any():
        return found
    radius = max(1, round(factor))
    box = _box(band, 2 * radius)
    guide = GuidedFilter(picture[box], radius)
    filtered = _highest(ids, [guide.filtered(layer[box]) for layer in large])
    found[box][band[box]] = filtered[band[box]]
    return found


def enlarged_exactly(labels: LabelMap, size_wh: tuple[int, int]) -> LabelMap:
    """A label map (h, w) uint8 at another size: each pixel has the id of the one that it lies in."""
    return np.asarray(cv2.resize(labels, size_wh, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def _layers(labels: LabelMap, soft: SoftFrame) -> dict[int, Probability]:
    """Id -> its soft mask (h, w), above one half just where the label map has the id; 0 is the background."""
    known = dict(zip(soft.object_ids, soft.probability, strict=True))
    if known:
        known[0] = 1 - soft.probability.max(axis=0)
    layers = {}
    for object_id in np.unique(labels).tolist():
        is_there = labels == object_id
        layer = known.get(object_id, is_there.astype(np.float32))
        sure = np.maximum(np.abs(layer - _HALF), _LEAST_SURE)
        layers[object_id] = _HALF + np.where(is_there, sure, -sure)
    return layers


def _thin(labels: LabelMap, ids: Sequence[int]) -> NDArray[np.uint8]:
    """(h, w) 1 where an id, or the background, is narrower than a square of `_THIN_PX`."""
    thin = np.zeros(labels.shape, np.uint8)
    for object_id in ids:
        is_there = (labels == object_id).astype(np.uint8)
        thin |= is_there & ~cv2.morphologyEx(is_there, cv2.MORPH_OPEN, np.ones((_THIN_PX, _THIN_PX), np.uint8))
    return thin


def _highest(ids: Sequence[int], layers: Sequence[Probability]) -> LabelMap:
    """The id of the highest layer at each pixel, the first of equal ones."""
    return np.array(ids, np.uint8)[np.argmax(np.stack(layers), axis=0)]


def _box(band: NDArray[np.bool_], margin_px: int) -> tuple[slice, slice]:
    left, top, width, height = cv2.boundingRect(band.astype(np.uint8))
    rows = slice(max(0, top - margin_px), top + height + margin_px)
    return rows, slice(max(0, left - margin_px), left + width + margin_px)


# --- the source ------------------------------------------------------------------------------------------------------


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
    record = recorded_source(frames_folder)
    if record is None:
        if given is not None:
            raise InputError(
                f"{frames_folder}: found frames that no import has put there, which are the source themselves, "
                f"expected ones that came from {given}; leave --source out"
            )
        return frames_folder
    path = given or record.path
    else_ = "say with --source where it lies, or export with --size frames"
    try:
        digest = source_digest(path)
    except (InputError, OSError):
        raise InputError(
            f"{path}: found nothing there that can be read, expected the source of {frames_folder.name}; it has moved: "
            f"{else_}"
        ) from None
    if digest != record.digest:
        raise InputError(
            f"{path}: found another content than {frames_folder.name} was imported from, expected that very source; "
            f"{else_}"
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
