"""The masks of a frame while a person draws on it: object by object, the one first that she is drawing.

Of an engine that decides objects one by one, an object's mask depends on the lines alone, those of the others being
background to it: so one that is drawn on is segmented, and masks of others are kept as long as their lines are the
same. Once every object is done, the masks are bit for bit those of the run (`stages.steps.segment_anchor`), unless the
frame is so large that the preview works on a smaller one.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Final

import cv2
import numpy as np

from stages.core.boxes import Box
from stages.core.correction import Correction, correction
from stages.core.fusion import label_map
from stages.core.strokes import FrameScribbles, Line, Point
from stages.core.types import Frame, LabelMap, Probability
from stages.engines.protocols import Segmenter
from stages.steps.segment_anchor import heeds_masks, segmented

MOST_LINES: Final = 1080
"""Of the shorter side: larger frames are shrunk."""
SLOW_S: Final = 0.3
"""Where the engine took longer than this, a quick one has a first look."""


@dataclass(frozen=True)
class Said:
    """What a person has drawn on a frame so far."""

    scribbles: FrameScribbles
    corrects: str = ""
    """The sha256 of the mask that the lines correct; empty: they correct none."""
    absent: tuple[int, ...] = ()
    """Objects that she calls absent."""


@dataclass(frozen=True)
class Shown:
    """What there is to be seen of it."""

    labels: LabelMap
    """(H, W) uint8 ids, the frame's size times `Canvas.scale`."""
    done: tuple[int, ...]
    """Objects whose masks are as the run will make them, ascending."""
    left: tuple[int, ...]
    """Objects that are still to be segmented, or again, the next one first; until then they are as they were."""


@dataclass(frozen=True)
class _Kept:
    """The mask of an object."""

    made_from: object
    box: Box
    """Outside of it, there is nothing."""
    mask: Probability
    is_rough: bool


@dataclass(frozen=True)
class _Problem:
    """What there is to be segmented."""

    said: Said
    shown: FrameScribbles
    """What the engine is shown."""
    wanted: tuple[int, ...]
    """Objects that it is asked for, ascending."""
    found: Correction | None
    """What the lines do to the mask that they correct."""
    together: bool
    """Whether the engine decides all objects at once."""

    def of_one(self, object_id: int) -> FrameScribbles:
        """What the engine is shown for an object."""
        return self.shown if self.together else self.shown.as_of(object_id)

    def previous(self, scribbles: FrameScribbles) -> Probability | None:
        """The present masks of the objects that the engine is asked for."""
        if self.found is None:
            return None
        return self.found.previous[[self.shown.object_ids.index(each) for each in scribbles.object_ids]]


class Canvas:
    """A frame that is drawn on, and what is known of its masks."""

    def __init__(self, frame: Frame, segmenter: Segmenter, quick: Callable[[], Segmenter] | None = None) -> None:
        """Begin.

        Args:
            frame: (H, W, 3) uint8 RGB.
            segmenter: the engine.
            quick: builds the same, faster and less exact, if there is such a thing.
        """
        self.scale = min(1.0, MOST_LINES / min(frame.shape[:2]))
        """Of the masks to the frame."""
        self.size_wh = frame.shape[1], frame.shape[0]
        """The frame's."""
        self._frame: Frame = frame if self.scale == 1 else _scaled(frame, self.scale, cv2.INTER_AREA)
        self._segmenter, self._quick = segmenter, quick
        self._kept: dict[int, tuple[_Kept, ...]] = {}
        """Of each object the latest mask and the one before: a stroke is undone, or two people draw on one frame."""
        self._is_slow = False
        self._last: _Problem | None = None

    @property
    def bytes_kept(self) -> int:
        """How much memory it takes."""
        return self._frame.nbytes + sum(each.mask.nbytes for kept in self._kept.values() for each in kept)

    def draw(self, said: Said, object_id: int, seen: LabelMap | None = None) -> Shown:
        """Segment one object more, if there is any left.

        Args:
            said: what is drawn.
            object_id: the object that is being drawn; if nothing of it is left, it is the nearest one's turn.
            seen: (H, W) uint8 ids of the frame's size: the mask that is corrected, if one is.

        Raises:
            StageError: the engine gave no soft masks.
        """
        problem = self._problem(said, seen)
        left = self._left(problem, object_id)
        if left:
            self._segment(problem, left[0])
            left = self._left(problem, object_id)
        done = tuple(each for each in problem.wanted if each not in left)
        return Shown(self._joined(problem), done, left)

    def _problem(self, said: Said, seen: LabelMap | None) -> _Problem:
        if self._last is None or self._last.said != said:
            together = heeds_masks(self._segmenter)
            if seen is None:
                drawn = said.scribbles
                self._last = _Problem(said, drawn, drawn.object_ids, None, together)
            else:
                small = seen if self.scale == 1 else _scaled(seen, self.scale, cv2.INTER_NEAREST)
                found = correction(said.scribbles, small, said.absent, together)
                self._last = _Problem(said, found.shown, found.changed, found, together)
        return self._last

    def _left(self, problem: _Problem, object_id: int) -> tuple[int, ...]:
        left = (each for each in problem.wanted if not self._holds(problem, each))
        return tuple(nearest_first(left, problem.shown.lines, object_id))

    def _known(self, problem: _Problem, object_id: int) -> _Kept | None:
        """The mask that an object has for what is said; if there is none, its latest."""
        kept, key = self._kept.get(object_id, ()), _key(problem, object_id)
        return next((each for each in kept if each.made_from == key), kept[0] if kept else None)

    def _holds(self, problem: _Problem, object_id: int, *, rough_too: bool = False) -> bool:
        known = self._known(problem, object_id)
        return known is not None and known.made_from == _key(problem, object_id) and (rough_too or not known.is_rough)

    def _segment(self, problem: _Problem, object_id: int) -> None:
        scribbles, engine = problem.of_one(object_id), self._segmenter
        if self._quick is not None and self._is_slow and not self._holds(problem, object_id, rough_too=True):
            engine = self._quick()
        begun = time.perf_counter()
        masks = segmented(self._frame, scribbles, engine, problem.previous(scribbles))
        if engine is self._segmenter:
            self._is_slow = time.perf_counter() - begun > SLOW_S
        for each, mask in zip(scribbles.object_ids, masks, strict=True):
            box, key = Box.around(mask > 0), _key(problem, each)
            latest = _Kept(key, box, mask[box.slices].copy(), is_rough=engine is not self._segmenter)
            before = [kept for kept in self._kept.get(each, ()) if kept.made_from != key]
            self._kept[each] = (latest, *before[:1])

    def _joined(self, problem: _Problem) -> LabelMap:
        """One label map of all masks, as the run joins them."""
        ids = problem.shown.object_ids
        known = np.zeros((len(ids), *self._frame.shape[:2]), np.float32)
        if problem.found is not None:
            known[:] = problem.found.previous
        for mask, object_id in zip(known, ids, strict=True):
            if object_id in problem.wanted and (latest := self._known(problem, object_id)):
                mask[:] = 0
                mask[latest.box.slices] = latest.mask
        if problem.found is None:
            return label_map(known, ids)
        object_ids, masks = problem.found.outcome(known)
        return label_map(masks, object_ids)


def nearest_first(object_ids: Iterable[int], lines: Sequence[Line], drawn: int) -> list[int]:
    """Objects in the order in which a person looks at them: the one that she draws, then those whose lines are near.

    Args:
        object_ids: the objects; each has a line.
        lines: all lines.
        drawn: the object that is drawn; 0: the background.
    """
    own = [line for line in lines if line.object_id == drawn] or list(lines)
    x, y = _middle(own[-1:])

    def distance(object_id: int) -> float:
        other_x, other_y = _middle([line for line in lines if line.object_id == object_id])
        return hypot(other_x - x, other_y - y)

    return sorted(object_ids, key=lambda each: (each != drawn, distance(each), each))


def _middle(lines: Sequence[Line]) -> Point:
    points = np.array([point for line in lines for point in line.path]).reshape(-1, 2)
    x, y = points.mean(axis=0) if len(points) else (0.5, 0.5)
    return float(x), float(y)


def _scaled(picture: Frame | LabelMap, scale: float, interpolation: int) -> Frame:
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=interpolation), np.uint8)


def _key(problem: _Problem, object_id: int) -> object:
    """What an object's mask is made from, besides frame and engine."""
    return problem.said.corrects, problem.of_one(object_id)
