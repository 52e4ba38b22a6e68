"""What is not to be trained on: frames that are left out, and pixels of which nobody knows what they show.

Doubt is what `stages.steps.assess.judge` says of every object on every frame. Three rules for pixels, which may be
combined, each a function from label maps to label maps with `UNKNOWN` in them:

    unknown_objects D   an object whose doubt is above D: its pixels, and all within `band` pixels of them
    unknown_band N      all pixels within N pixels of a boundary between two ids
    unknown_soft P      pixels whose soft mask lies within P of one half, or where both directions of an object
                        disagree, whatever the label there is

The joined soft mask goes with the nearer anchor, so that near one it is sure also where the directions disagree.

What a person said is not doubted: frames with strokes or a given mask are never left out, and no object on them becomes
unknown as a whole. Strokes that were made from a box alone are a guess, and doubted like what was carried. The soft
mask of a frame with strokes is an engine's, and counts; a given one is 0 or 1, so that `unknown_soft` finds nothing
there. A band around boundaries is a wish about boundaries, and holds on all frames.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.core.states import Source
from stages.core.types import LabelMap
from stages.exchange.outgoing.format import UNKNOWN
from stages.exchange.outgoing.soft import SoftFrame
from stages.exchange.outgoing.terms import Terms
from stages.formats.report_data import JudgedFrame, worst_by_frame

AUTO_LIMIT: Final = 0.3
"""The doubt above which `auto` leaves frames out: a J below 0.7 is to be expected there (docs/lab/exports.md)."""
AUTO_KEPT: Final = 0.5
"""The share of an export's frames that `auto` keeps at least."""
_BY_A_PERSON: Final = frozenset({Source.ANCHOR, Source.GIVEN})


class Verdict(NamedTuple):
    """Whether a frame is exported."""

    doubt: float
    """Of its most doubtful object, in [0, 1]; 0 without objects."""
    is_kept: bool
    why: str
    """Why it is not; empty if it is kept."""


def check_terms(terms: Terms) -> None:
    """Refuse limits that have no meaning.

    Raises:
        InputError: one is out of its range.
    """
    for name, value in (("--max-doubt", terms.max_doubt), ("--unknown-objects", terms.unknown_objects)):
        if value not in (None, "auto") and not 0 <= float(value) <= 1:
            raise InputError(f"found {name} {value:g}, expected a doubt in [0, 1]; 0.3 is a usual one")
    if terms.unknown_soft is not None and not 0 < terms.unknown_soft < 0.5:
        raise InputError(
            f"found --unknown-soft {terms.unknown_soft:g}, expected how far from one half soft masks are unknown, "
            "above 0 and below 0.5; 0.2 is a usual one"
        )
    for name, pixels in (("--unknown-band", terms.unknown_band), ("--band", terms.band)):
        if pixels < 0:
            raise InputError(f"found {name} {pixels}, expected a number of pixels, 0 or more")


# Frames


def verdicts(judged: Sequence[JudgedFrame], frame_count: int, max_doubt: float | None) -> list[Verdict]:
    """Whether each frame of a sequence is exported.

    Args:
        judged: what `judge` returned.
        frame_count: length of the video.
        max_doubt: frames whose most doubtful object is above it are left out, unless a person said what all of their
            objects are; None keeps all.
    """
    worst = worst_by_frame(judged)
    by_a_person = {row.frame for row in judged if row.source in _BY_A_PERSON}
    never = by_a_person - {row.frame for row in judged if row.source == Source.BOX}
    return [_verdict(worst.get(index), index in never, max_doubt) for index in range(frame_count)]


def _verdict(worst: JudgedFrame | None, is_by_a_person: bool, max_doubt: float | None) -> Verdict:
    if worst is None:
        return Verdict(0.0, True, "")
    if max_doubt is None or is_by_a_person or worst.doubt <= max_doubt:
        return Verdict(worst.doubt, True, "")
    reason = f": {worst.why}" if worst.why else ""
    return Verdict(worst.doubt, False, f"object {worst.object_id}: doubt {worst.doubt:.3f} > {max_doubt:g}{reason}")


def auto_max_doubt(doubts: Iterable[float]) -> float:
    """The limit that `--max-doubt auto` stands for: `AUTO_LIMIT`, or a higher one where it would leave out too much.

    Args:
        doubts: of every frame of the export (`Verdict.doubt`); anchors count with the others.

    Returns:
        The smallest limit from `AUTO_LIMIT` on that keeps `AUTO_KEPT` of the frames.
    """
    ordered = sorted(doubts)
    if not ordered:
        return AUTO_LIMIT
    return max(AUTO_LIMIT, ordered[math.ceil(AUTO_KEPT * len(ordered)) - 1])


# Pixels


def with_unknown(
    labels: LabelMap, rows: Iterable[JudgedFrame], terms: Terms, soft: SoftFrame | None = None
) -> LabelMap:
    """A frame's label map with `UNKNOWN` where the terms say so; what is given stays as it is.

    Args:
        labels: (H, W) uint8 ids.
        rows: what `judge` says of the frame's objects.
        terms: of the export.
        soft: its soft masks; needed for `unknown_soft`, of the same size or smaller.
    """
    unknown = np.zeros(labels.shape, dtype=bool)
    if terms.unknown_objects is not None:
        unknown |= _doubtful_objects(labels, rows, terms.unknown_objects, terms.band)
    if terms.unknown_band:
        unknown |= _near_boundaries(labels, terms.unknown_band)
    if terms.unknown_soft is not None and soft is not None:
        height, width = labels.shape
        soft = soft.enlarged((width, height))
        unknown |= (np.abs(soft.probability - 0.5) <= terms.unknown_soft).any(axis=0)
        if soft.disagreement is not None:
            unknown |= soft.disagreement.any(axis=0)
    return np.where(unknown, np.uint8(UNKNOWN), labels)


def count_unknown(labels: LabelMap) -> int:
    """Pixels of which nobody knows what they show."""
    return int(np.count_nonzero(labels == UNKNOWN))


def _doubtful_objects(labels: LabelMap, rows: Iterable[JudgedFrame], limit: float, band_px: int) -> NDArray[np.bool_]:
    doubted = [row.object_id for row in rows if row.doubt > limit and row.source not in _BY_A_PERSON]
    return _within(np.isin(labels, doubted), band_px)


def _near_boundaries(labels: LabelMap, band_px: int) -> NDArray[np.bool_]:
    """Both sides of every boundary: the pixels that touch it, and those less than `band_px` from them."""
    touching = np.zeros(labels.shape, dtype=bool)
    across, along = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    touching[:, 1:] |= across
    touching[:, :-1] |= across
    touching[1:] |= along
    touching[:-1] |= along
    return _within(touching, band_px - 1)


def _within(region: NDArray[np.bool_], distance_px: int) -> NDArray[np.bool_]:
    """The pixels whose centres are at most so far from the centre of one of the region."""
    if distance_px <= 0 or not region.any():
        return region
    outside = (~region).astype(np.uint8)
    near: NDArray[np.bool_] = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= distance_px + 1e-3
    return near
