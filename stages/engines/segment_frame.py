"""What propagators yield, put together: one frame of a stretch from what is known of each object on it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stages.core.states import Gone
from stages.core.types import Direction, Probability, SegmentFrame


class Sighting(Protocol):
    """One object as one direction sees it; see `Direction`."""

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]: ...  # noqa: D102
    @property
    def score(self) -> float: ...  # noqa: D102


class Known(Protocol):
    """One object, but for its mask and where directions differ; see `SegmentFrame`."""

    @property
    def score(self) -> float: ...  # noqa: D102
    @property
    def agreement(self) -> float: ...  # noqa: D102
    @property
    def gone(self) -> Gone | None: ...  # noqa: D102
    @property
    def forward(self) -> Sighting | None: ...  # noqa: D102
    @property
    def backward(self) -> Sighting | None: ...  # noqa: D102


def segment_frame(
    index: int, probability: Probability, objects: Sequence[Known], differing: Sequence[NDArray[np.bool_] | None]
) -> SegmentFrame:
    """Put a frame together.

    Args:
        index: the frame's.
        probability: (objects, H, W) float32 in [0, 1].
        objects: what is known of each.
        differing: where the directions of each differ, (H, W); None where there are no two.
    """
    return SegmentFrame(
        index,
        probability,
        np.array([each.score for each in objects], np.float32),
        np.array([each.agreement for each in objects], np.float32),
        tuple(each.gone for each in objects),
        {
            "forward": _direction([each.forward for each in objects]),
            "backward": _direction([each.backward for each in objects]),
        },
        _stacked(differing),
    )


def _direction(sightings: Sequence[Sighting | None]) -> Direction:
    boxes = [(0, 0, 0, 0) if seen is None else seen.box_xyxy for seen in sightings]
    scores = [0.0 if seen is None else seen.score for seen in sightings]
    return Direction(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def _stacked(differing: Sequence[NDArray[np.bool_] | None]) -> NDArray[np.bool_] | None:
    """All in one, (objects, H, W); None if no object has two directions."""
    known = [each for each in differing if each is not None]
    if not known:
        return None
    nowhere = np.zeros_like(known[0])
    return np.stack([nowhere if each is None else each for each in differing])
