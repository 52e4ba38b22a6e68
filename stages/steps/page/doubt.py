"""How far the masks of a result can be trusted, frame by frame, for a timeline."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from stages.core.errors import StageError
from stages.core.spans import Span
from stages.core.states import Source
from stages.formats import results
from stages.formats.frames_csv import read_frames_csv
from stages.formats.manifest import Manifest, read_manifest
from stages.formats.report_data import JudgedFrame, Suggestion, worst_by_frame
from stages.steps.assess import judge
from stages.steps.suggest import suggest

_PLAIN: Final = frozenset({Source.ANCHOR, Source.BOTH, Source.FORWARD, Source.BACKWARD})


class Card(NamedTuple):
    """A place to look at."""

    frame: int
    object_id: int
    doubt: float
    """In [0, 1]."""
    why: str
    stretch: Span
    """Its neighbours among the anchors, or the ends of the video."""


@dataclass(frozen=True, eq=False)
class Doubts:
    """Of a result."""

    of: str
    """Its content."""
    frame_count: int
    anchors: tuple[int, ...]
    judged: Sequence[JudgedFrame]

    @cached_property
    def worst(self) -> Mapping[int, JudgedFrame]:
        """Frame -> its most doubtful object; frames without an object are not doubted."""
        return worst_by_frame(self.judged)

    @property
    def by_frame(self) -> list[float]:
        """One number a frame, that of its most doubtful object, in [0, 1]."""
        worst = self.worst
        return [round(worst[index].doubt, 4) if index in worst else 0.0 for index in range(self.frame_count)]

    @property
    def by_object(self) -> Mapping[int, list[float]]:
        """Object -> the same for it alone."""
        found: dict[int, list[float]] = defaultdict(lambda: [0.0] * self.frame_count)
        for row in self.judged:
            found[row.object_id][row.frame] = round(row.doubt, 4)
        return dict(sorted(found.items()))

    @property
    def agreement(self) -> Mapping[int, list[float | None]]:
        """Object -> how far its masks from both sides overlap, frame by frame; None where only one side has any."""
        found: dict[int, list[float | None]] = defaultdict(lambda: [None] * self.frame_count)
        for row in self.judged:
            found[row.object_id][row.frame] = None if math.isnan(row.agreement) else round(row.agreement, 4)
        return dict(sorted(found.items()))

    def area(self, size_wh: tuple[int, int]) -> Mapping[int, list[float]]:
        """Object -> its share of the frame, frame by frame, of frames of this size."""
        found: dict[int, list[float]] = defaultdict(lambda: [0.0] * self.frame_count)
        for row in self.judged:
            found[row.object_id][row.frame] = round(row.area_px / math.prod(size_wh), 6)
        return dict(sorted(found.items()))

    @property
    def sources(self) -> Mapping[int, Mapping[int, str]]:
        """Object -> frame -> in words where its mask comes from, where that is not the plain way."""
        found: dict[int, dict[int, str]] = defaultdict(dict)
        for row in self.judged:
            if row.source not in _PLAIN:
                found[row.object_id][row.frame] = f"{row.source}: {row.reason}" if row.reason else str(row.source)
        return found

    @property
    def cards(self) -> list[Card]:
        """The most doubtful frame of each stretch, the worst first; stretches that nothing speaks against have none."""
        found: dict[Span, JudgedFrame] = {}
        for index, row in self.worst.items():
            stretch = self._stretch_of(index)
            if row.why and (stretch not in found or row.doubt > found[stretch].doubt):
                found[stretch] = row
        worst_first = sorted(found.items(), key=lambda item: (-item[1].doubt, item[0]))
        return [Card(row.frame, row.object_id, row.doubt, row.why, stretch) for stretch, row in worst_first]

    def _stretch_of(self, index: int) -> Span:
        """Its anchors before and after, as far as there are some; an anchor is by itself."""
        after = bisect_left(self.anchors, index)
        if self.anchors[after : after + 1] == (index,):
            return index, index
        first = self.anchors[after - 1] if after else 0
        return first, self.anchors[after] if after < len(self.anchors) else self.frame_count - 1

    def suggestions(self, declined: frozenset[int] = frozenset()) -> list[Suggestion]:
        """The frames whose scribbles are expected to help most, the best first."""
        return _suggested(self, declined)

    def best_next(self) -> Suggestion | None:
        """The frame whose scribbles are expected to help most; None if every frame has some."""
        return next(iter(suggest(self.judged, self.anchors, self.frame_count, count=1)), None)


def doubts_of(folder: Path) -> Doubts | None:
    """Those of a folder with masks for every frame, `masks/` or `provisional/`; None if nothing is published there.

    Raises:
        StageError: what is there cannot be read.
    """
    manifest = read_manifest(folder)
    return None if manifest is None else _judged(folder, manifest.content)


@lru_cache(maxsize=8)
def _suggested(doubts: Doubts, declined: frozenset[int]) -> list[Suggestion]:
    return suggest(doubts.judged, doubts.anchors, doubts.frame_count, declined=declined)


@lru_cache(maxsize=8)
def _judged(folder: Path, content: str) -> Doubts:
    manifest = read_manifest(folder)
    if manifest is None or manifest.content != content:
        raise StageError(f"{folder}: found another result than a moment ago; ask again")
    try:
        names, anchors = list(manifest.key["names"]), _anchors(manifest)
        return Doubts(content, len(names), anchors, judge(read_frames_csv(folder), anchors, names))
    except (KeyError, ValueError, TypeError) as error:
        raise StageError(f"{folder}: found a manifest that cannot be read ({error!r}); run the command again") from None


def _anchors(manifest: Manifest) -> tuple[int, ...]:
    return tuple(results.anchors_of_result(manifest))
