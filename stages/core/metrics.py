"""Region similarity J and boundary accuracy F of indexed masks, as DAVIS defines them.

Source: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016, and
the published evaluation code, whose results these functions reproduce exactly. One object on one frame:
`region_similarity`, `boundary_accuracy`; a video: `score_sequence`; mean, recall and decay: `statistics`.

Masks hold object ids, 0 is background. The value 255 is refused rather than ignored: in some data sets it marks
pixels that do not count, in others it is the object of a binary mask, and DAVIS scores a 0/255 mask as a total miss.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from math import ceil, hypot
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.core.errors import InputError
from stages.core.overlap import iou
from stages.core.palette import IGNORE

BinaryMask = NDArray[np.bool_]
"""One object: (H, W) bool."""
IndexedMask = NDArray[Any]
"""All objects: (H, W) of any integer type (or bool: one object, id 1), object ids, 0 is background."""
Scores = NDArray[np.float64]

Protocol = Literal["interactive", "semi-supervised"]
"""Which frames count: all of them, or all but the first (whose mask is given) and the last (often not annotated)."""

_TOLERANCE = 0.008  # of the picture's diagonal
_DECAY_BINS = 4


class Statistics(NamedTuple):
    """What DAVIS reports of one measure over one object's frames."""

    mean: float
    recall: float
    """The share of frames above 0.5."""
    decay: float
    """Mean of the first quarter of the frames minus mean of the last: positive where masks get worse with time."""


@dataclass(frozen=True)
class SequenceScores:
    """J and F of every object on every frame of a video."""

    object_ids: tuple[int, ...]
    region: Scores
    """J: (frames, objects) float64 in [0, 1]."""
    boundary: Scores
    """F: (frames, objects) float64 in [0, 1]."""

    @property
    def j_and_f(self) -> Scores:
        """The mean of J and F: (frames, objects) float64 in [0, 1]."""
        return (self.region + self.boundary) / 2

    def under(self, protocol: Protocol) -> "SequenceScores":
        """The frames that count under a protocol.

        Raises:
            InputError: no frame is left.
        """
        frames = slice(None) if protocol == "interactive" else slice(1, -1)
        kept = replace(self, region=self.region[frames], boundary=self.boundary[frames])
        if not len(kept.region):
            raise InputError(
                f"{len(self.region)} scored frame(s) leave nothing to count under the {protocol} protocol, which needs "
                f"{1 if protocol == 'interactive' else 3} or more: use a longer video or the other protocol."
            )
        return kept


def region_similarity(prediction: BinaryMask, truth: BinaryMask) -> float:
    """J: intersection over union of two masks (H, W) bool; 1 where both are empty."""
    return float(iou(prediction, truth))


def boundary_accuracy(prediction: BinaryMask, truth: BinaryMask, tolerance_px: int) -> float:
    """F: harmonic mean of the boundaries' precision and recall.

    A boundary pixel is right where the other mask has a boundary pixel at most `tolerance_px` away.

    Args:
        prediction: (H, W) bool.
        truth: (H, W) bool.
        tolerance_px: what `boundary_tolerance_px` says for the picture.

    Returns:
        In [0, 1]; 1 where neither mask has a boundary, 0 where only one has. A mask that fills the picture has none.
    """
    window = _window(prediction | truth)
    predicted, true = _boundary(prediction[window]), _boundary(truth[window])
    predicted_px, true_px = cv2.countNonZero(predicted), cv2.countNonZero(true)
    if not predicted_px or not true_px:
        return float(predicted_px == true_px)
    disk = _disk(tolerance_px)
    precision = np.count_nonzero(cv2.dilate(true, disk)[predicted > 0]) / predicted_px
    recall = np.count_nonzero(cv2.dilate(predicted, disk)[true > 0]) / true_px
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_tolerance_px(shape: tuple[int, ...]) -> int:
    """How far apart two boundary pixels of a picture of shape (H, W) may lie and still match: 8 for 480 x 854."""
    return ceil(_TOLERANCE * hypot(*shape))


def score_frame(prediction: IndexedMask, truth: IndexedMask, object_ids: Sequence[int]) -> tuple[Scores, Scores]:
    """J and F of every object on one frame.

    Args:
        prediction: (H, W) integer object ids; ids that are not asked for count as background.
        truth: (H, W) integer object ids.
        object_ids: the objects to score.

    Returns:
        J and F, each (objects,) float64 in [0, 1].

    Raises:
        InputError: the shapes differ, or a mask holds the value 255.
    """
    if prediction.shape != truth.shape or truth.ndim != 2:
        raise InputError(
            f"A prediction of shape {prediction.shape} meets a ground truth of shape {truth.shape}: expected two masks "
            "of one shape (height, width). Write predictions at the size of the source frames."
        )
    for name, mask in (("prediction", prediction), ("ground truth", truth)):
        if (count := np.count_nonzero(mask == IGNORE)) > 0:
            raise InputError(
                f"The {name} holds the value {IGNORE} in {count} pixels: expected object ids from 1 on, and 0 for "
                "background; there are no pixels to ignore. Write a binary mask as 0 and 1."
            )
    tolerance_px = boundary_tolerance_px(truth.shape)
    pairs = [(prediction == object_id, truth == object_id) for object_id in object_ids]
    return (
        np.array([region_similarity(*pair) for pair in pairs], np.float64),
        np.array([boundary_accuracy(*pair, tolerance_px) for pair in pairs], np.float64),
    )


def score_sequence(
    predictions: Iterable[IndexedMask], truths: Iterable[IndexedMask], object_ids: Sequence[int]
) -> SequenceScores:
    """J and F of every object on every frame; the masks are streamed.

    Raises:
        InputError: there are no frames, one side has more frames than the other, or `score_frame` refuses a pair.
    """
    frames = []
    for index, (prediction, truth) in enumerate(zip_longest(predictions, truths)):
        if prediction is None or truth is None:
            short = "predictions end" if prediction is None else "ground truth ends"
            raise InputError(f"The {short} after {index} frames: expected one prediction for each ground truth mask.")
        frames.append(score_frame(prediction, truth, object_ids))
    if not frames:
        raise InputError("There are no masks to score: expected at least one frame.")
    region, boundary = (np.stack(column) for column in zip(*frames, strict=True))
    return SequenceScores(tuple(object_ids), region, boundary)


def statistics(values: Scores) -> Statistics:
    """Mean, recall and decay of one measure of one object: `values` (frames,) float64, at least one."""
    # As published: neighbouring bins share the frame between them, and 1e-10 makes halves round up.
    edges = np.round(np.linspace(1, len(values), _DECAY_BINS + 1) + 1e-10).astype(int) - 1
    first, last = values[: edges[1] + 1], values[edges[-2] :]
    return Statistics(float(values.mean()), float((values > 0.5).mean()), float(first.mean() - last.mean()))


def _window(union: BinaryMask) -> tuple[slice, slice]:
    """The rows and columns that hold every boundary pixel and its neighbours."""
    left, top, width, height = cv2.boundingRect(union.view(np.uint8))
    return slice(max(top - 1, 0), top + height + 1), slice(max(left - 1, 0), left + width + 1)


def _boundary(mask: BinaryMask) -> NDArray[np.uint8]:
    """Pixels that differ from their right, lower or lower right neighbour, those beyond the picture not counting."""
    square = np.ones((2, 2), np.uint8)
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_GRADIENT, square, anchor=(0, 0)), np.uint8)


def _disk(radius_px: int) -> NDArray[np.uint8]:
    """The pixels at most `radius_px` from the centre: a square array of 0 and 1."""
    offset = np.arange(-radius_px, radius_px + 1)
    return (offset[:, None] ** 2 + offset**2 <= radius_px**2).astype(np.uint8)
