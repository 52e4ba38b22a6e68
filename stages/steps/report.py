"""The report page: what was drawn, what came out, which frames to look at, and where to scribble next.

One folder that can be copied or mailed: `index.html` links to nothing outside of it and needs no network. Frames are
read one at a time and only a bounded number of pictures is kept, so memory does not grow with the video.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Final, NamedTuple

import jinja2
import numpy as np

from stages.core.palette import davis_palette
from stages.core.plan import Segment
from stages.core.progress import Progress, silent
from stages.core.states import Source
from stages.core.strokes import FrameScribbles
from stages.core.types import Frame, LabelMap
from stages.core.words import minutes
from stages.formats import anchor_masks as anchor_files
from stages.formats import files
from stages.formats import tracks as track_files
from stages.formats.evaluation import Evaluation
from stages.formats.frames_csv import FrameQuality
from stages.formats.masks import read_mask
from stages.formats.objects_json import NAMELESS, Objects
from stages.formats.paintings import paint_on
from stages.formats.report_data import (
    JudgedFrame,
    Suggestion,
    worst_by_frame,
    write_quality_csv,
    write_suggestions,
)
from stages.formats.results import result_file
from stages.steps import canvas
from stages.steps.assess import judge
from stages.steps.emptiness import find_empty
from stages.steps.film import CHUNK, write_film
from stages.steps.render import (
    Tile,
    contact_sheet,
    overlay,
    overlay_strokes,
    shrink,
    window_around,
    write_jpeg,
)
from stages.steps.report_curves import curves
from stages.steps.suggest import suggest

_FPS: Final = 24.0
"""Of the film."""
_VIDEO_PX: Final = 1280
_THUMBNAIL_PX: Final = 480
_TILE_PX: Final = 360
_SEAM_PX: Final = 3
_SHEET_COLUMNS: Final = 6
_MOST_SHEET_FRAMES: Final = 24
_REVIEWED_SHARE: Final = 0.05
_REVIEWED_FRAMES: Final = (8, 24)
"""The fewest and the most frames of the review queue that are shown as pictures."""
_LISTED_FRAMES: Final = 200
_DOUBTFUL: Final = 0.3
_CURVES_IN: Final = (11, 4.6)
"""Width of the curves for wide windows and for narrow ones."""


Masks = Callable[[int], LabelMap]
"""The label map (H, W) uint8 of a frame."""


@dataclass(frozen=True, kw_only=True)
class FinishedSequence:
    """What a report tells of."""

    sequence: str
    """Its name."""
    frames: Sequence[Frame]
    """The whole video, (H, W, 3) uint8 RGB, read lazily."""
    names: Sequence[str]
    """The file name of every frame."""
    anchors: Sequence[int]
    """The annotated frames."""
    scribbles: Mapping[int, FrameScribbles]
    """The lines of every anchor."""
    coarse: Masks
    """Before refinement."""
    masks: Masks
    """After it."""
    rows: Sequence[FrameQuality]
    """What is known of every object on every frame."""
    known: Objects = NAMELESS
    """What the objects are called."""
    evaluation: Evaluation | None = None
    """J and F of every object on every frame, where there is ground truth."""
    from_boxes: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """Objects whose strokes on an anchor were made from a box alone."""
    given: Collection[int] = ()
    """The anchors whose masks a person gave; their strokes are not used."""
    declined: Collection[int] = ()
    """Frames that nobody wants to scribble on: they are not suggested."""
    made: Sequence[tuple[str, str]] = ()
    """What made the masks, as lines of two columns."""
    brush_px: int = 3
    """Thickness of drawn strokes."""

    @property
    def object_ids(self) -> list[int]:
        """All objects."""
        return sorted({row.object_id for row in self.rows})

    def shrunk(self, index: int, labels: LabelMap, long_side_px: int) -> tuple[Frame, LabelMap]:
        """A frame and a label map of it, no side of which is longer than that."""
        return shrink(self.frames[index], long_side_px), shrink(labels, long_side_px)


def coarse_masks(anchor_masks: Mapping[int, Path], tracks: Mapping[Segment, Path]) -> Masks:
    """Masks before refinement.

    Args:
        anchor_masks: anchor frame -> folder that `segment_anchor` wrote.
        tracks: stretch -> folder that `track_segment` wrote.
    """
    found = {index: anchor_files.mask_file(path) for index, path in anchor_masks.items()}
    for segment, path in tracks.items():
        found |= {index: track_files.mask_file(path, index) for index in segment.frames}
    return lambda index: read_mask(found[index])


def final_masks(folder: Path, names: Sequence[str]) -> Masks:
    """Masks as `assemble` wrote them into a folder, under the names of the frames."""
    return lambda index: read_mask(result_file(folder, names[index]))


def write_report(folder: Path, finished: FinishedSequence, progress: Progress = silent) -> None:
    """Write `index.html`, its pictures, its film, `quality.csv` and `next_scribbles.json`.

    Args:
        folder: where to write; it exists.
        finished: what is told of.
        progress: wraps the loop over frames.

    Raises:
        StageError: the rows contradict themselves, or the frames differ in size.
    """
    names, anchors = finished.names, finished.anchors
    judged = judge(finished.rows, anchors, names)
    suggestions = suggest(judged, anchors, len(names), declined=finished.declined)
    queue = _Queue.of(judged, len(names))
    write_quality_csv(folder, judged)
    write_suggestions(folder, finished.sequence, suggestions, judged, names)
    _write_thumbnails(folder, finished, {*(row.frame for row in queue.pictured), *(each.frame for each in suggestions)})
    tiles = _stages_of(finished)
    _write_stages(folder, tiles)
    every = progress(range(len(names)), len(names))
    film = (finished.shrunk(index, finished.masks(index), _VIDEO_PX) for index in every)
    write_film(folder, film, len(names), _FPS)
    files.write(folder / "index.html", _page(finished, judged, suggestions, queue, tiles))


class _Queue(NamedTuple):
    """The frames by doubt, the worst first, each by its most doubtful object."""

    pictured: Sequence[JudgedFrame]
    """Those that are shown as pictures."""
    others: Sequence[JudgedFrame]

    @classmethod
    def of(cls, judged: Sequence[JudgedFrame], frame_count: int) -> "_Queue":
        queue = sorted(worst_by_frame(judged).values(), key=lambda row: (-row.doubt, row.frame))
        fewest, most = _REVIEWED_FRAMES
        pictured = max(fewest, min(most, math.ceil(frame_count * _REVIEWED_SHARE)))
        return cls(queue[:pictured], queue[pictured:])


def _write_thumbnails(folder: Path, finished: FinishedSequence, frames: Collection[int]) -> None:
    files.make_folder(folder / "thumbs")
    for index in frames:
        labels = finished.masks(index)
        zoomed = overlay(finished.frames[index], labels)[window_around(labels)]
        write_jpeg(folder / "thumbs" / f"{index:05d}.jpg", shrink(zoomed, _THUMBNAIL_PX))


def _write_stages(folder: Path, tiles: Mapping[int, Tile]) -> None:
    """Each tile for the page, and all of them on one sheet."""
    files.make_folder(folder / "stages")
    for index, tile in tiles.items():
        write_jpeg(folder / "stages" / f"{index:05d}.jpg", tile.picture)
    in_rows = [[*tiles.values()][first : first + _SHEET_COLUMNS] for first in range(0, len(tiles), _SHEET_COLUMNS)]
    write_jpeg(folder / "contact_sheet.jpg", contact_sheet(in_rows))


def _page(
    finished: FinishedSequence,
    judged: Sequence[JudgedFrame],
    suggestions: Sequence[Suggestion],
    queue: _Queue,
    tiles: Mapping[int, Tile],
) -> str:
    """The text of `index.html`."""
    names, anchors, first = finished.names, finished.anchors, finished.masks(0)
    worst = worst_by_frame(judged)
    height, width = shrink(first, _VIDEO_PX).shape
    evaluation = finished.evaluation
    scores = evaluation.rows if evaluation else ()
    return _template().render(
        sequence=finished.sequence,
        size=" × ".join(str(side) for side in finished.frames[0].shape[1::-1]),
        fps=_FPS,
        names=names,
        anchors=sorted(anchors),
        given=len(finished.given),
        drawn_minutes=minutes(math.fsum(drawn.drawn_s for drawn in finished.scribbles.values())),
        known=finished.known,
        objects=[_ObjectSummary.of(object_id, judged) for object_id in finished.object_ids],
        empty=find_empty(finished.rows, anchors),
        from_boxes=finished.from_boxes,
        doubtful=sum(row.doubt >= _DOUBTFUL for row in worst.values()),
        doubtful_from=_DOUBTFUL,
        suggestions=suggestions,
        paint_on=paint_on,
        worst=worst,
        pictured=queue.pictured,
        listed=queue.others[:_LISTED_FRAMES],
        unlisted=max(0, len(queue.others) - _LISTED_FRAMES),
        film={
            "fps": _FPS,
            "width": width,
            "height": height,
            "chunk": CHUNK,
            "doubt": [round(worst[index].doubt, 3) if index in worst else 0 for index in range(len(names))],
            "anchors": sorted(anchors),
            "suggested": sorted(suggestion.frame for suggestion in suggestions),
        },
        script=canvas.as_one_script(_beside(".js")),
        curves=[curves(judged, anchors, finished.object_ids, first.size, scores, width_in) for width_in in _CURVES_IN],
        score=[fmean(values) for values in zip(*((row.jaccard, row.contour) for row in scores), strict=True)],
        foresight=evaluation.summary["estimate"] if evaluation else {},
        tiles=tiles,
        made=finished.made,
    )


@dataclass(frozen=True)
class _ObjectSummary:
    """One line of the table of objects."""

    object_id: int
    rgb: tuple[int, int, int]
    agreement: float
    """Median over the frames that have one; NaN without any."""
    doubt: float
    """Mean over its frames."""
    doubtful: int
    lost: int
    rejected: int

    @classmethod
    def of(cls, object_id: int, judged: Sequence[JudgedFrame]) -> "_ObjectSummary":
        rows = [row for row in judged if row.object_id == object_id]
        agreements = [row.agreement for row in rows if not math.isnan(row.agreement)]
        red, green, blue = davis_palette()[object_id].tolist()
        return cls(
            object_id,
            (red, green, blue),
            median(agreements) if agreements else math.nan,
            sum(row.doubt for row in rows) / max(1, len(rows)),
            sum(row.doubt >= _DOUBTFUL for row in rows),
            sum(row.source == Source.LOST for row in rows),
            sum(row.accepted is False for row in rows),
        )


def _stages_of(finished: FinishedSequence) -> dict[int, Tile]:
    """Anchors with their strokes and the frames halfway between them, coarse masks above refined ones."""

    def shown(index: int, labels: LabelMap) -> Frame:
        return overlay(*finished.shrunk(index, labels, _TILE_PX))

    anchors, count = sorted(finished.anchors), len(finished.names)
    halfway = {(a + b) // 2 for a, b in pairwise([-1, *anchors, count]) if b - a > 1}
    candidates = sorted(halfway | set(anchors))
    spread = np.linspace(0, len(candidates) - 1, min(len(candidates), _MOST_SHEET_FRAMES)).round().astype(int)
    tiles = {}
    for index in (candidates[position] for position in spread.tolist()):
        before, label = shown(index, finished.coarse(index)), f"frame {index}"
        if index in finished.given:
            label = f"frame {index}, a given mask"
        elif index in finished.scribbles:
            before = overlay_strokes(before, finished.scribbles[index], finished.brush_px)
            label = f"frame {index}, scribbled"
        after = shown(index, finished.masks(index))
        seam = np.full((_SEAM_PX, *after.shape[1:]), 255, np.uint8)
        tiles[index] = Tile(np.concatenate([before, seam, after]), label)
    return tiles


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_beside(".html"))


def _beside(suffix: str) -> str:
    return Path(__file__).with_suffix(suffix).read_text(encoding="utf-8")
