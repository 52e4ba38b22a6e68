"""The three plug points: what an engine must do. `spec.py` is what it must say, `stages.testing` what it must pass.

Of all three: any size of frame will do, arrays may be views, nothing that is given is written to, and the same input
gives the same bytes, whatever was asked before, and whatever random numbers were drawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from stages.core.strokes import Clicks, FrameScribbles
from stages.core.types import Anchor, Frame, Probability, SegmentFrame, TrackResult

if TYPE_CHECKING:
    from torch import Tensor


class Segmenter(Protocol):
    """Anchor masks from scribbles."""

    def segment(self, frame: Frame, scribbles: FrameScribbles, previous: Probability | None = None) -> Probability:
        """Segment every object that has a line on the frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            scribbles: the lines on this frame; object 0 is background.
            previous: (objects, H, W) float32 in [0, 1], soft masks of the same frame in the same order, where there are
                some that the scribbles correct. An engine may leave them unused.

        Returns:
            (objects, H, W) float32 in [0, 1], in the order of `scribbles.object_ids`; without objects (0, H, W). A mask
            may be empty. To an object, strokes of other objects are background: its mask is the same bytes if they are
            called so; but for engines that heed masks, which may decide all objects together.
        """
        ...


@runtime_checkable
class UsesClicks(Protocol):
    """A segmenter that turns strokes into control points."""

    def clicks_used(self, scribbles: FrameScribbles, size_wh: tuple[int, int]) -> Mapping[int, Clicks]:
        """The points that `segment` works with on a frame of this size: object id -> its clicks, in pixels."""
        ...


@runtime_checkable
class HeedsMasks(Protocol):
    """A segmenter that may correct masks: some of its networks heed `previous`, others do not."""

    @property
    def heeds_masks(self) -> bool:
        """Whether this one's does."""
        ...


class Propagator(Protocol):
    """Masks between two anchors."""

    def propagate(
        self,
        frames: Sequence[Frame],
        left: Anchor | None,
        right: Anchor | None,
        beyond: Sequence[Anchor] = (),
    ) -> Iterator[SegmentFrame]:
        """Carry the anchors' masks over the frames strictly between them, in order.

        Args:
            frames: the whole video, by frame index; read lazily, one by one, in any order. Only those of the stretch
                and its two anchors may be read, and only a few of them kept at once.
            left: the anchor before the stretch, or None: the stretch starts at frame 0.
            right: the anchor after it, or None: the stretch ends with the video. Not both may be None;
                if both are given, they hold the same objects in the same order.
            beyond: the anchors behind those two, the same objects in the same order, ascending; may be empty, and an
                engine may leave them unused.

        An object is on an anchor if its mask there has a pixel above 0.5.

        Yields:
            One SegmentFrame per frame, index ascending; whoever asks may stop asking. Where a mask has no pixel above
            0.5 it is all zero, and `gone` says why: `ABSENT` if neither `left` nor `right` has the object; else, with a
            detail, `ABSENT` if the engine finds that it is not there, `score` being how sure that is, or `LOST` if it
            does not find it. Everywhere else `gone` is None. `agreement` is NaN unless both have the object.
            `directions` has the same names on every frame.
        """
        ...


class Tracker(Protocol):
    """One object, one direction, frame by frame. Light: networks are shared between trackers."""

    def start(self, frame: Frame, mask: Probability) -> None:
        """Begin with the object's soft mask (H, W) on its anchor frame; the mask is not empty."""
        ...

    def step(self, frame: Frame) -> TrackResult:
        """Follow the object to the next frame (the neighbour of the last one, in either direction of time)."""
        ...


class Refiner(Protocol):
    """A sharper boundary for one object on one frame."""

    def refine(self, frame: Frame, probability: Probability) -> Probability:
        """Refine a soft mask (H, W) float32 in [0, 1] to another of the same shape; an empty mask stays empty."""
        ...


@runtime_checkable
class RefinesTogether(Protocol):
    """A refiner that takes less time for several masks if it sees them together, of one frame or of many."""

    @property
    def at_once(self) -> int:
        """Frames are worth waiting for until they have so many masks; 1: none is, the masks of one come together."""
        ...

    def refine_all(self, masks: Sequence[tuple[Frame, Probability]]) -> Iterator[Probability]:
        """What `refine` makes of each mask on its frame, but for rounding; in order, of any size, none empty."""
        ...


@runtime_checkable
class AdaptsCheckpoints(Protocol):
    """A network that can be filled from what former versions of it were stored as."""

    def adapted(self, state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
        """A normalised state dict of whichever version as one of today's; what is unknown stays as it is."""
        ...
