"""Which objects came out empty where they should not: small ones are lost without anybody noticing."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from stages.core.spans import spans_of
from stages.core.states import Source
from stages.formats.emptiness import EmptyObject
from stages.formats.frames_csv import FrameQuality


def find_empty(rows: Iterable[FrameQuality], anchors: Iterable[int]) -> list[EmptyObject]:
    """Find the objects that have no pixel on a frame where nobody says that they are absent.

    An object is meant to be absent where it has no row; on the frames between two anchors that do not show it, unless
    it was scribbled on one of them: then it is the mask of the anchor that is missing; and where the engine finds that
    it has not come yet, or has left, since one of the two does not show it.

    Args:
        rows: what is known of every object on every frame, in any order.
        anchors: the annotated frames.

    Returns:
        By object.
    """
    ordered = sorted(anchors)
    tracks: dict[int, dict[int, FrameQuality]] = defaultdict(dict)
    for row in rows:
        tracks[row.object_id][row.frame] = row
    found = []
    for object_id, track in sorted(tracks.items()):
        empty = [frame for frame, row in sorted(track.items()) if _is_empty(row) and _is_missed(row, track, ordered)]
        if empty:
            everywhere = all(map(_is_empty, track.values()))
            scribbled = tuple(frame for frame in empty if frame in ordered)
            found.append(EmptyObject(object_id, tuple(spans_of(empty)), everywhere, scribbled))
    return found


def _is_empty(row: FrameQuality) -> bool:
    """Whether nothing was found: of an anchor, the lines that were drawn are in the mask all the same."""
    return row.area_px == 0 or row.source == Source.LOST


def _is_missed(row: FrameQuality, track: dict[int, FrameQuality], anchors: Sequence[int]) -> bool:
    """Whether an empty mask is more than what the anchors beside it say."""
    after = bisect_right(anchors, row.frame)
    beside = anchors[max(0, after - 1) : after + 1]
    scribbled = [_is_empty(track[anchor]) for anchor in beside if anchor in track]
    return row.source != Source.ABSENT or len(scribbled) == len(beside) or any(scribbled)
