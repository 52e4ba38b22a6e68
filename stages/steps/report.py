"""The report page: what was drawn, what came out, which frames to look at, and where to scribble next.

One folder that can be copied or mailed: `index.html` links to nothing outside of it and needs no network. Frames are
read one at a time and only a bounded number of pictures is kept, so memory does not grow with the video.
"""

import io
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from types import MappingProxyType
from typing import Any, Final

import jinja2
import matplotlib
import numpy as np
from matplotlib.figure import Figure

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
from stages.formats.evaluation import Evaluation, ScoredFrame
from stages.formats.frames_csv import FrameQuality, read_frames_csv
from stages.formats.masks import read_mask
from stages.formats.objects_json import NAMELESS, Objects
from stages.formats.paintings import paint_on
from stages.formats.report_data import JudgedFrame, worst_by_frame, write_quality_csv, write_suggestions
from stages.formats.results import result_file
from stages.steps.assess import judge, suggest
from stages.steps.emptiness import find_empty
from stages.steps.render import (
    Tile,
    contact_sheet,
    overlay,
    overlay_strokes,
    shrink,
    window_around,
    write_jpeg,
    write_overlay_video,
)

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
_STRIP_BARS: Final = 600
_DOUBTFUL: Final = 0.3
_INK: Final = "#010203"
"""Stands for the page's text colour in the curves: matplotlib knows no `currentColor`."""


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
    fps: float = 24.0,
    brush_px: int = 3,
    progress: Progress = silent,
) -> None:
    """Write `index.html`, its pictures, `overlay.mp4`, `quality.csv` and `next_scribbles.json`.

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
        fps: frames per second of the overlay video.
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

    def shown(index: int, labels: LabelMap, long_side_px: int) -> Frame:
        return overlay(shrink(frames[index], long_side_px), shrink(labels, long_side_px))

    queue = sorted(worst_by_frame(judged).values(), key=lambda row: (-row.doubt, row.frame))
    pictured = min(
        len(queue), max(_REVIEWED_FRAMES[0], min(_REVIEWED_FRAMES[1], math.ceil(len(names) * _REVIEWED_SHARE)))
    )
    files.make_folder(folder / "thumbs")
    for index in {row.frame for row in queue[:pictured]} | {suggestion.frame for suggestion in suggestions}:
        labels = masks(index)
        zoomed = overlay(frames[index], labels)[window_around(labels)]
        write_jpeg(folder / "thumbs" / f"{index:05d}.jpg", shrink(zoomed, _THUMBNAIL_PX))

    sheet = _contact_sheet(shown, names, anchors, scribbles, given, coarse, masks, brush_px)
    write_jpeg(folder / "contact_sheet.jpg", sheet)
    overlays = (shown(index, masks(index), _VIDEO_PX) for index in progress(range(len(names)), len(names)))
    write_overlay_video(folder / "overlay.mp4", overlays, len(names), fps)

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
        worst={row.frame: row for row in queue},
        pictured=queue[:pictured],
        listed=queue[pictured : pictured + _LISTED_FRAMES],
        unlisted=max(0, len(queue) - pictured - _LISTED_FRAMES),
        strip=_strip({row.frame: row.doubt for row in queue}, len(names)),
        curves=_curves(judged, anchors, object_ids, frames[0].shape[0] * frames[0].shape[1], scores),
        score=[fmean(values) for values in zip(*((row.jaccard, row.contour) for row in scores), strict=True)],
        foresight=evaluation.summary["estimate"] if evaluation else {},
        sheet_wh=sheet.shape[1::-1],
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


def _contact_sheet(
    shown: Callable[[int, LabelMap, int], Frame],
    names: Sequence[str],
    anchors: Sequence[int],
    scribbles: Mapping[int, FrameScribbles],
    given: Collection[int],
    coarse: Callable[[int], LabelMap],
    masks: Callable[[int], LabelMap],
    brush_px: int,
) -> Frame:
    """Anchors with their strokes and the frames halfway between them, coarse masks above refined ones."""
    halfway = {(a + b) // 2 for a, b in pairwise([-1, *sorted(anchors), len(names)]) if b - a > 1}
    candidates = sorted(halfway | set(anchors))
    spread = np.linspace(0, len(candidates) - 1, min(len(candidates), _MOST_SHEET_FRAMES)).round().astype(int)
    chosen = [candidates[position] for position in spread.tolist()]
    tiles = []
    for index in chosen:
        before, label = shown(index, coarse(index), _TILE_PX), f"frame {index}"
        if index in given:
            label = f"frame {index}, a given mask"
        elif index in scribbles:
            before, label = overlay_strokes(before, scribbles[index], brush_px), f"frame {index}, scribbled"
        after = shown(index, masks(index), _TILE_PX)
        seam = np.full((_SEAM_PX, *after.shape[1:]), 255, np.uint8)
        tiles.append(Tile(np.concatenate([before, seam, after]), label))
    rows = [tiles[first : first + _SHEET_COLUMNS] for first in range(0, len(tiles), _SHEET_COLUMNS)]
    return contact_sheet(rows)


def _strip(doubts: Mapping[int, float], frame_count: int) -> dict[str, Any]:
    """The doubt of the whole video as one filled path, 0..`bars` wide and 0..100 high, downwards."""
    bars = min(frame_count, _STRIP_BARS)
    heights = np.zeros(bars)
    for index, doubt in doubts.items():
        bar = index * bars // frame_count
        heights[bar] = max(heights[bar], doubt)
    steps = "".join(f"V{100 - 100 * height:.1f}H{bar + 1}" for bar, height in enumerate(heights.tolist()))
    return {"bars": bars, "path": f"M0 100{steps}V100Z"}


def _curves(
    judged: Sequence[JudgedFrame],
    anchors: Sequence[int],
    object_ids: Sequence[int],
    frame_px: int,
    scores: Sequence[ScoredFrame],
) -> str:
    """Agreement, area and, where there are any, J and F over time, as an SVG that takes the page's colours."""
    colours = {_INK: "currentColor"}
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 9}):
        figure = Figure(figsize=(11, 6.3 if scores else 4.2), layout="constrained")
        above, *middle, below = figure.subplots(3 if scores else 2, 1, sharex=True)
        for object_id in object_ids:
            track = {row.frame: row for row in judged if row.object_id == object_id}
            hexadecimal = "#{:02x}{:02x}{:02x}".format(*davis_palette()[object_id])
            colours[hexadecimal] = f"var(--object-{object_id})"
            span = range(min(track, default=0), max(track, default=0) + 1)
            agreement = [track[index].agreement if index in track else math.nan for index in span]
            area = [100 * track[index].area_px / frame_px if index in track else 0.0 for index in span]
            above.plot(span, agreement, color=hexadecimal, linewidth=1.8, marker=".", markersize=3)
            below.plot(span, area, color=hexadecimal, linewidth=1.8)
            scored = [row for row in scores if row.object_id == object_id]
            for axes in middle:
                at = [row.frame for row in scored]
                axes.plot(at, [row.jaccard for row in scored], color=hexadecimal, linewidth=1.8)
                axes.plot(at, [row.contour for row in scored], color=hexadecimal, linewidth=1.2, linestyle="--")
                axes.set(ylabel="J, and F dashed", ylim=(0, 1.03))
        above.set(ylabel="agreement", ylim=(0, 1.03))
        below.set(ylabel="area, % of frame", ylim=(0, None), xlabel="frame")
        for axes in (above, *middle, below):
            axes.patch.set_alpha(0)
            axes.vlines(
                sorted(anchors), 0, 1, transform=axes.get_xaxis_transform(), color=_INK, alpha=0.18, linewidth=1
            )
            axes.spines[["top", "right"]].set_visible(False)
            axes.spines[["left", "bottom"]].set_color(_INK)
            axes.spines[["left", "bottom"]].set_alpha(0.35)
            axes.tick_params(colors=_INK, length=3)
            axes.xaxis.label.set_color(_INK)
            axes.yaxis.label.set_color(_INK)
            axes.margins(x=0.01)
        figure.patch.set_alpha(0)
        text = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=nothing)
    svg = text.getvalue()
    for colour, name in colours.items():
        svg = svg.replace(colour, name)
    return svg[svg.index("<svg") :]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
