"""The masks that the pipeline itself makes of a clip, before refinement: anchors from strokes, and all between them."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.core.metrics import region_similarity
from stages.core.soft import HALF, to_uint8
from stages.core.strokes import FrameScribbles, Line
from stages.core.types import Anchor, Probability
from stages.engines import registry
from stages.engines.protocols import Propagator, Segmenter
from stages.training.pictures import Picture
from stages.training.recipe import Sample
from stages.training.scenes import drawn
from stages.training.strokes import Hand, Mask, draw_by

ENGINES: Final = ("fbrs:lite", "match:lite")
"""Who segments the anchors, and who carries them."""
_STEPS: Final = (3, 9)
"""From anchor to anchor, in frames of a clip; `davis16_train` holds every second."""
_HANDS: Final[tuple[Hand, ...]] = ("robot", "robot", "person", "annotator")
_KEPT: Final = 96
"""Clips' masks; those of 30 frames of 569 x 320 pixels are 5.5 MB."""
LEAST_OBJECT_PX: Final = 400
LEAST_IOU: Final = 0.4
"""A mask that has less is all wrong: no refinement mends it."""


class Made(NamedTuple):
    """A frame of a clip, one of its objects, and what the pipeline makes of that."""

    picture: Picture
    object_id: int
    mask: NDArray[np.uint8]
    """(H, W), 0 to 255."""


def draw_example(
    clips: Sequence[Sequence[Picture]],
    of_clip: Callable[[Sequence[Picture], np.random.Generator], Sample | None],
    rng: np.random.Generator,
) -> Sample:
    """An example of any clip, until `of_clip` gives one."""
    return drawn(
        lambda: of_clip(clips[int(rng.integers(len(clips)))], rng) or {},
        bool,
        "a mask that the pipeline makes of a clip, and that is not all wrong",
    )


def draw_made(frames: Sequence[Picture], rng: np.random.Generator, takes: int = 1) -> Made | None:
    """A frame of a clip in one of so many takes (`chain_masks`); None if nothing is there, or the mask is all wrong."""
    picture, take = frames[place := int(rng.integers(len(frames)))], int(rng.integers(takes))
    if not (there := picture.objects(LEAST_OBJECT_PX)):
        return None
    object_id = int(rng.choice(there))
    mask = chain_masks(tuple(frames), object_id, take)[place]
    is_wrong = region_similarity(mask > HALF, picture.labels == object_id) < LEAST_IOU
    return None if is_wrong else Made(picture, object_id, mask)


@lru_cache(maxsize=_KEPT)
def chain_masks(frames: tuple[Picture, ...], object_id: int, take: int) -> list[NDArray[np.uint8]]:
    """What the pipeline makes of an object in a clip, with a person's strokes on some of its frames.

    It takes seconds; what was made last is kept.

    Args:
        frames: of the clip, of one size.
        object_id: whose masks.
        take: another one has other anchors and strokes.

    Returns:
        The soft mask of every frame, (H, W), 0 to 255; all zero where the object is not found.
    """
    rng = np.random.default_rng(take)
    places = _places(frames, object_id, rng)
    anchors = [Anchor(place, frames[place].rgb, _segmented(frames[place], object_id, rng)) for place in places]
    masks = [np.zeros(picture.labels.shape, np.uint8) for picture in frames]
    for anchor in anchors:
        masks[anchor.index] = to_uint8(anchor.masks[0])
    video = [picture.rgb for picture in frames]
    for left, right in zip([None, *anchors], [*anchors, None], strict=True):
        for found in _propagator().propagate(video, left, right) if _are_apart(left, right, len(frames)) else ():
            masks[found.index] = to_uint8(found.probability[0])
    return masks


def _places(frames: tuple[Picture, ...], object_id: int, rng: np.random.Generator) -> list[int]:
    """The anchors: frames on which the object is, at changing distances."""
    seen = [place for place, picture in enumerate(frames) if object_id in picture.objects()]
    places: list[int] = []
    least = int(rng.integers(*_STEPS))
    for place in seen:
        if place >= least:
            places.append(place)
            least = place + int(rng.integers(*_STEPS))
    return places or seen[:1]


def _are_apart(left: Anchor | None, right: Anchor | None, count: int) -> bool:
    """Whether there are frames between two anchors, or between one and the clip's end."""
    first = left.index + 1 if left else 0
    last = right.index - 1 if right else count - 1
    return (left is not None or right is not None) and first <= last


def _segmented(picture: Picture, object_id: int, rng: np.random.Generator) -> Probability:
    """Made from strokes on the object: (1, H, W)."""
    truth: Mask = picture.labels == object_id
    size_wh = np.array(truth.shape[::-1])
    paths = draw_by(_HANDS[int(rng.integers(len(_HANDS)))], truth, rng)
    lines = (Line(object_id, tuple(map(tuple, (path / size_wh).tolist()))) for path in paths)
    return _segmenter().segment(picture.rgb, FrameScribbles(tuple(lines)))


def _segmenter() -> Segmenter:
    return registry.segmenter(ENGINES[0], Path(), "cpu", {"exact": False})


def _propagator() -> Propagator:
    return registry.propagator(ENGINES[1], Path(), "cpu", {"exact": False})
