"""The report page: what was drawn, what came out, which frames to look at, and where to scribble next.

One folder that can be copied or mailed: `index.html` links to nothing outside of it and needs no network. Frames are
read one at a time and only a bounded number of pictures is kept, so memory does not grow with the video.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from types import MappingProxyType
from typing import Final

import jinja2
import numpy as np

from stages.core.palette import davis_palette
from stages.core.plan import Plan, Segment
from stages.core.progress import Progress, silent
from stages.core.states import Source
from stages.core.strokes import FrameScribbles
from stages.core.types import Frame, LabelMap
from stages.core.words import minutes
from stages.formats import anchor_masks as anchor_files
from stages.formats import files
from stages.formats import tracks as track_files
from stages.formats.evaluation import Evaluation
from stages.formats.frames_csv import FrameQuality, read_frames_csv
from stages.formats.masks import read_mask
from stages.formats.objects_json import NAMELESS, Objects
from stages.formats.paintings import paint_on
from stages.formats.report_data import JudgedFrame, worst_by_frame, write_quality_csv, write_suggestions
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


def report_sequence(
    folder: Path,
    *,
    sequence: str,
    frames: Sequence[Frame],
    names: Sequence[str],
    plan: Plan,
    scribbles: Mapping[int, FrameScribbles],
    anchor_masks: Mapping[int, Path],
    tracks: Mapping[Segment, Path],
    masks: Path,
    known: Objects = NAMELESS,
    evaluation: Path | None = None,
    from_boxes: Mapping[int, Sequence[int]] = MappingProxyType({}),
    given: Collection[int] = (),
    declined: Collection[int] = (),
    made: Sequence[tuple[str, str]] = (),
    brush_px: int = 3,
    progress: Progress = silent,
) -> None:
    """Write the report of a finished sequence from the folders of its stages.

    Args:
        folder: where to write; it exists.
        sequence: its name.
        frames: the whole video, (H, W, 3) uint8 RGB, read lazily.
        names: the file name of every frame.
        plan: the anchors.
        scribbles: the lines of every anchor.
        anchor_masks: anchor frame -> folder that `segment_anchor` wrote.
        tracks: stretch -> folder that `track_segment` wrote.
        masks: the folder that `assemble` wrote.
        known: what the objects are called.
        evaluation: the folder that `evaluate_sequence` wrote; None without ground truth.
        from_boxes: objects whose strokes on an anchor were made from a box alone.
        given: the anchors whose masks a person gave; their strokes are not used.
        declined: frames that nobody wants to scribble on.
        made: what made the masks, as lines of two columns.
        brush_px: thickness of drawn strokes.
        progress: wraps the loop over frames.
    """
    coarse = {index: anchor_files.mask_file(path) for index, path in anchor_masks.items()}
    for segment, path in tracks.items():
        coarse |= {index: track_files.mask_file(path, index) for index in segment.frames}
    rows = read_frames_csv(masks)
    write_report(
        folder,
        sequence=sequence,
        frames=frames,
        names=names,
        anchors=plan.anchors,
        scribbles=scribbles,
        coarse=lambda index: read_mask(coarse[index]),
        masks=lambda index: read_mask(result_file(masks, names[index])),
        rows=rows,
        object_ids=sorted({row.object_id for row in rows}),
        known=known,
        evaluation=Evaluation.read(evaluation) if evaluation else None,
        from_boxes=from_boxes,
        given=given,
        declined=declined,
        made=made,
        brush_px=brush_px,
        progress=progress,
    )


def write_report(
    folder: Path,
    *,
    sequence: str,
    frames: Sequence[Frame],
    names: Sequence[str],
    anchors: Sequence[int],
    scribbles: Mapping[int, FrameScribbles],
    coarse: Callable[[int], LabelMap],
    masks: Callable[[int], LabelMap],
    rows: Sequence[FrameQuality],
    object_ids: Sequence[int],
    known: Objects = NAMELESS,
    evaluation: Evaluation | None = None,
    from_boxes: Mapping[int, Sequence[int]] = MappingProxyType({}),
    given: Collection[int] = (),
    declined: Collection[int] = (),
    made: Sequence[tuple[str, str]] = (),
    fps: float = 24.0,
    brush_px: int = 3,
    progress: Progress = silent,
) -> None:
    """Write `index.html`, its pictures, its film, `quality.csv` and `next_scribbles.json`.

    Args:
        folder: where to write; it exists.
        sequence: its name.
        frames: the whole video, (H, W, 3) uint8 RGB, read lazily.
        names: the file name of every frame.
        anchors: the annotated frames.
        scribbles: the lines of every anchor.
        coarse: the label map (H, W) uint8 of a frame before refinement.
        masks: the label map (H, W) uint8 of a frame after refinement.
        rows: what is known of every object on every frame.
        object_ids: all objects.
        known: what they are called.
        evaluation: J and F of every object on every frame, where there is ground truth.
        from_boxes: objects whose strokes on an anchor were made from a box alone.
        given: the anchors whose masks a person gave.
        declined: frames that nobody wants to scribble on: they are not suggested.
        made: what made the masks, as lines of two columns.
        fps: frames per second of the film.
        brush_px: thickness of drawn strokes.
        progress: wraps the loop over frames.

    Raises:
        StageError: the rows contradict themselves, or the frames differ in size.
    """
    judged = judge(rows, anchors, names)
    scores = evaluation.rows if evaluation else ()
    suggestions = suggest(judged, anchors, len(names), declined=declined)
    write_quality_csv(folder, judged)
    write_suggestions(folder, sequence, suggestions, judged, names)

    def shrunk(index: int, labels: LabelMap, long_side_px: int) -> tuple[Frame, LabelMap]:
        return shrink(frames[index], long_side_px), shrink(labels, long_side_px)

    worst = worst_by_frame(judged)
    queue = sorted(worst.values(), key=lambda row: (-row.doubt, row.frame))
    pictured = min(
        len(queue), max(_REVIEWED_FRAMES[0], min(_REVIEWED_FRAMES[1], math.ceil(len(names) * _REVIEWED_SHARE)))
    )
    files.make_folder(folder / "thumbs")
    for index in {row.frame for row in queue[:pictured]} | {suggestion.frame for suggestion in suggestions}:
        labels = masks(index)
        zoomed = overlay(frames[index], labels)[window_around(labels)]
        write_jpeg(folder / "thumbs" / f"{index:05d}.jpg", shrink(zoomed, _THUMBNAIL_PX))

    tiles = _stages_of(
        lambda index, labels: overlay(*shrunk(index, labels, _TILE_PX)),
        names, anchors, scribbles, given, coarse, masks, brush_px,
    )  # fmt: skip
    files.make_folder(folder / "stages")
    for index, tile in tiles.items():
        write_jpeg(folder / "stages" / f"{index:05d}.jpg", tile.picture)
    in_rows = [[*tiles.values()][first : first + _SHEET_COLUMNS] for first in range(0, len(tiles), _SHEET_COLUMNS)]
    write_jpeg(folder / "contact_sheet.jpg", contact_sheet(in_rows))

    film = (shrunk(index, masks(index), _VIDEO_PX) for index in progress(range(len(names)), len(names)))
    write_film(folder, film, len(names), fps)

    height, width = shrink(masks(0), _VIDEO_PX).shape
    page = _template().render(
        sequence=sequence,
        size=" × ".join(str(side) for side in frames[0].shape[1::-1]),
        fps=fps,
        names=names,
        anchors=sorted(anchors),
        given=len(given),
        drawn_minutes=minutes(math.fsum(drawn.drawn_s for drawn in scribbles.values())),
        known=known,
        objects=[_ObjectSummary.of(object_id, judged) for object_id in object_ids],
        empty=find_empty(rows, anchors),
        from_boxes=from_boxes,
        doubtful=sum(row.doubt >= _DOUBTFUL for row in queue),
        doubtful_from=_DOUBTFUL,
        suggestions=suggestions,
        paint_on=paint_on,
        worst=worst,
        pictured=queue[:pictured],
        listed=queue[pictured : pictured + _LISTED_FRAMES],
        unlisted=max(0, len(queue) - pictured - _LISTED_FRAMES),
        film={
            "fps": fps,
            "width": width,
            "height": height,
            "chunk": CHUNK,
            "doubt": [round(worst[index].doubt, 3) if index in worst else 0 for index in range(len(names))],
            "anchors": sorted(anchors),
            "suggested": sorted(suggestion.frame for suggestion in suggestions),
        },
        script=canvas.as_one_script(_beside(".js")),
        curves=[curves(judged, anchors, object_ids, masks(0).size, scores, width_in) for width_in in _CURVES_IN],
        score=[fmean(values) for values in zip(*((row.jaccard, row.contour) for row in scores), strict=True)],
        foresight=evaluation.summary["estimate"] if evaluation else {},
        tiles=tiles,
        made=made,
    )
    files.write(folder / "index.html", page)


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


def _stages_of(
    shown: Callable[[int, LabelMap], Frame],
    names: Sequence[str],
    anchors: Sequence[int],
    scribbles: Mapping[int, FrameScribbles],
    given: Collection[int],
    coarse: Callable[[int], LabelMap],
    masks: Callable[[int], LabelMap],
    brush_px: int,
) -> dict[int, Tile]:
    """Anchors with their strokes and the frames halfway between them, coarse masks above refined ones."""
    halfway = {(a + b) // 2 for a, b in pairwise([-1, *sorted(anchors), len(names)]) if b - a > 1}
    candidates = sorted(halfway | set(anchors))
    spread = np.linspace(0, len(candidates) - 1, min(len(candidates), _MOST_SHEET_FRAMES)).round().astype(int)
    tiles = {}
    for index in (candidates[position] for position in spread.tolist()):
        before, label = shown(index, coarse(index)), f"frame {index}"
        if index in given:
            label = f"frame {index}, a given mask"
        elif index in scribbles:
            before, label = overlay_strokes(before, scribbles[index], brush_px), f"frame {index}, scribbled"
        after = shown(index, masks(index))
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
