"""How far the masks of a result can be trusted, frame by frame, for a timeline."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from stages.core.errors import StageError
from stages.formats import results
from stages.formats.frames_csv import read_frames_csv
from stages.formats.manifest import Manifest, read_manifest
from stages.formats.report_data import JudgedFrame, Suggestion, worst_by_frame
from stages.steps.assess import judge, suggest


@dataclass(frozen=True)
class Doubts:
    """Of a result."""

    of: str
    """Its content."""
    frame_count: int
    anchors: tuple[int, ...]
    judged: Sequence[JudgedFrame]

    @property
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
