"""The anchors of a video, and the stretches between them."""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Segment:
    """A stretch between two neighbouring anchors; it owns the frames strictly between them.

    The first stretch has no left anchor and owns frame 0, the last has no right anchor and owns the video's last frame.
    """

    start: int
    stop: int
    left: int | None
    right: int | None

    @property
    def name(self) -> str:
        """Its folder's."""
        return segment_name(self.start, self.stop)

    @property
    def anchors(self) -> tuple[int, ...]:
        """The one or two anchors it leans on."""
        return tuple(index for index in (self.left, self.right) if index is not None)

    @property
    def frames(self) -> range:
        """The frame indices it owns."""
        first = self.start if self.left is None else self.start + 1
        return range(first, self.stop + 1 if self.right is None else self.stop)


def segment_name(start: int, stop: int) -> str:
    """The folder of a stretch: `00012-00024`."""
    return f"{start:05d}-{stop:05d}"


@dataclass(frozen=True)
class Plan:
    """The anchors of one sequence."""

    frame_count: int
    anchors: tuple[int, ...]
    """Frame indices, ascending: annotated or to be annotated."""
    requested: tuple[int, ...]
    """Those of them that nobody has annotated yet."""

    @property
    def annotated(self) -> tuple[int, ...]:
        """Those of them that people have annotated."""
        return tuple(index for index in self.anchors if index not in self.requested)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The stretches between neighbouring anchors that own at least one frame, in order."""
        last = self.frame_count - 1
        inner = [Segment(a, b, a, b) for a, b in zip(self.anchors, self.anchors[1:], strict=False)]
        outer = [
            Segment(0, self.anchors[0], None, self.anchors[0]),
            Segment(self.anchors[-1], last, self.anchors[-1], None),
        ]
        return tuple(segment for segment in (outer[0], *inner, outer[1]) if len(segment.frames) > 0)

    def beyond(self, segment: Segment) -> tuple[int, ...]:
        """The anchors next to a stretch's own: the last one before it and the first one after it, if there are any."""
        before = [index for index in self.anchors if index < segment.start]
        after = [index for index in self.anchors if index > segment.stop]
        return (*before[-1:], *after[:1])
