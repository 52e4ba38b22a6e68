"""The curves of a report: agreement and area of every object, and, where there are any, J and F over time."""

import io
import math
from collections.abc import Sequence
from typing import Final

import matplotlib
from matplotlib.figure import Figure

from stages.core.palette import davis_palette
from stages.formats.evaluation import ScoredFrame
from stages.formats.report_data import JudgedFrame

_INK: Final = "#010203"
"""Stands for the page's text colour: matplotlib knows no `currentColor`."""


def curves(
    judged: Sequence[JudgedFrame],
    anchors: Sequence[int],
    object_ids: Sequence[int],
    frame_px: int,
    scores: Sequence[ScoredFrame],
    width_in: float,
) -> str:
    """Draw them as an SVG that takes the page's colours.

    Args:
        judged: what is known of every object on every frame.
        anchors: the annotated frames, as vertical lines.
        object_ids: whose curves.
        frame_px: how many pixels a frame has.
        scores: J and F, where there is ground truth.
        width_in: how wide it is drawn, in inches of 72 pixels; its letters keep their size.
    """
    colours = {_INK: "currentColor"}
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"report {width_in}", "font.size": 9}):
        figure = Figure(figsize=(width_in, 6.3 if scores else 4.2), layout="constrained")
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
