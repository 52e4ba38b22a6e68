"""The masks of a frame, stage by stage, and label maps as raw bytes: a canvas must not be the place where ids live."""

import gzip
import re
import zlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from stages.core.errors import InputError
from stages.core.palette import IGNORE
from stages.core.plan import Plan, segment_name
from stages.core.types import LabelMap
from stages.formats import anchor_masks, results, tracks

_LIMITS: Final = re.compile(r"(\d{5,})(?:-(\d{5,}))?")
_ANY_GZIP: Final = 31
"""`wbits` of zlib for a gzip stream."""


class MaskStage(StrEnum):
    """Which of a frame's masks is meant."""

    ANCHOR = "anchor"
    """What was made from the strokes of an anchor."""
    COARSE = "coarse"
    """Before refinement, on anchors and between them."""
    REFINED = "refined"
    """After it."""
    RESULT = "result"
    PROVISIONAL = "provisional"


def mask_files(root: Path, stage: MaskStage, index: int, name: str) -> Iterator[Path]:
    """Where a frame's mask of a stage may lie, the best place first: of stretches, strokes have divided the wide ones.

    Args:
        root: the sequence's folder of results.
        stage: the stage.
        index: the frame's.
        name: of the frame's picture.
    """
    anchor = anchor_masks.mask_file(root / results.of_frame(results.ANCHOR_MASKS, index))
    match stage:
        case MaskStage.RESULT:
            yield results.result_file(root / results.MASKS, name)
        case MaskStage.PROVISIONAL:
            yield results.result_file(root / results.PROVISIONAL, name)
        case MaskStage.ANCHOR:
            yield anchor
        case MaskStage.COARSE:
            yield anchor
            for folder in _stretches_over(root / results.TRACKS, index):
                yield tracks.mask_file(folder, index)
        case MaskStage.REFINED:
            file = Path(results.MASKS) / f"{index:05d}.png"
            yield root / results.of_frame(results.REFINED, index) / file
            for folder in _stretches_over(root / results.REFINED, index):
                yield folder / file


def frames_made(stage: Path, plan: Plan) -> list[tuple[int, int]]:
    """Which frames a stage has masks of: the first and the last of each stretch, and anchors that have their own."""
    outer = {0, plan.frame_count - 1} - {*plan.anchors}
    return [
        (start, stop) if start == stop else (start + (start not in outer), stop - (stop not in outer))
        for start, stop in _limits_in(stage)
    ]


def _limits_in(stage: Path) -> list[tuple[int, int]]:
    """The anchors around each stretch that is there, or an anchor that has a folder of its own, twice."""
    try:
        named = [_LIMITS.fullmatch(path.name) for path in stage.iterdir()]
    except OSError:
        return []
    return sorted((int(limits[1]), int(limits[2] or limits[1])) for limits in named if limits)


def _stretches_over(stage: Path, index: int) -> list[Path]:
    """The folders of the stretches that may own a frame, the narrowest first."""
    over = [(start, stop) for start, stop in _limits_in(stage) if start < stop and start <= index <= stop]
    return [stage / segment_name(*each) for each in sorted(over, key=lambda each: (each[1] - each[0], each))]


def packed(labels: LabelMap) -> bytes:
    """A label map (H, W) uint8 as its ids row by row, in a gzip stream; equal ones give equal bytes."""
    return gzip.compress(np.ascontiguousarray(labels).tobytes(), compresslevel=1, mtime=0)


def unpacked(content: bytes | bytearray, size_wh: tuple[int, int]) -> LabelMap:
    """The label map (H, W) uint8 that `packed` has packed; no more is unpacked than a mask of this size holds.

    Raises:
        InputError: it is something else, or of another size, or has the id 255.
    """
    width, height = size_wh
    pixels = width * height
    stream = zlib.decompressobj(_ANY_GZIP)
    try:
        ids = stream.decompress(content, pixels + 1)
    except zlib.error as error:
        raise InputError(f"found a mask that is no gzip stream ({error}), expected ids row by row, as gzip") from None
    if len(ids) != pixels or not stream.eof or stream.unused_data:
        found = f"{len(ids):,}" if len(ids) <= pixels else f"more than {pixels:,}"
        raise InputError(f"found a mask of {found} bytes, expected one byte a pixel of {width}x{height}, and no more")
    labels = np.frombuffer(ids, np.uint8).reshape(height, width)
    if labels.max() == IGNORE:
        raise InputError(f"found the id {IGNORE} in a mask, expected object ids in 0..{IGNORE - 1}")
    return labels
