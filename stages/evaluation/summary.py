"""From sessions to the figures of the interactive DAVIS challenge: the curve over time, AUC, and J&F at 60 seconds.

With m_i the mean of J&F after interaction i over all objects of all sessions (of each, the mean over its frames), t_i
the mean time of the sessions up to it, and G the time allowed for the mean number of objects, the curve runs straight
through (0, 0), (t_1, m_1), ..., (t_K, m_K), (G, m_K). AUC is the area below it, divided by its length in time. A
session that ran out of time keeps its last result, at no further cost.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stages.evaluation.interactive import Step
from stages.formats import files
from stages.formats.manifest import Json
from stages.formats.pictures import write_figure
from stages.formats.tables import table_text

THRESHOLD_S: Final = 60.0
COLUMNS: Final = (
    "sequence", "scribble_idx", "interaction", "object_id", "frame", "jaccard", "contour", "j_and_f", "timing",
)  # fmt: skip
"""Of a report: one row for each session, interaction, frame and object; times repeat on each row."""


class ReportRow(NamedTuple):
    """A row of `report.csv`."""

    sequence: str
    scribble_idx: int
    """Which of the alternative first rounds, from 1."""
    interaction: int
    object_id: int
    frame: int
    jaccard: float
    contour: float
    j_and_f: float
    timing: float


@dataclass(frozen=True)
class Played:
    """A session that is over."""

    sequence: str
    scribble_idx: int
    objects: int
    steps: Sequence[Step]

    def rows(self) -> Iterator[ReportRow]:
        """The session's part of the report; late results are no part of it."""
        for step in self.steps:
            for frame, (region, boundary) in enumerate(zip(step.region, step.boundary, strict=True)):
                for column, (jaccard, contour) in enumerate(zip(region, boundary, strict=True)):
                    j_and_f = 0.5 * jaccard + 0.5 * contour
                    where = (self.sequence, self.scribble_idx, step.number, column + 1, frame)
                    yield ReportRow(*where, jaccard, contour, j_and_f, step.seconds)

    def curve(self, interactions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds of each interaction: (interactions,); J and F after each: (interactions, objects, 2)."""
        seconds, scores = np.zeros(interactions), np.zeros((interactions, self.objects, 2))
        for position in range(interactions):
            if position < len(self.steps) and not self.steps[position].late:
                step = self.steps[position]
                seconds[position] = step.seconds
                scores[position] = np.stack([np.mean(step.region, axis=0), np.mean(step.boundary, axis=0)], axis=1)
            elif position:
                scores[position] = scores[position - 1]
        return seconds, scores


def summarise(sessions: Sequence[Played], interactions: int, max_time_s: float) -> Json:
    """The figures of many sessions.

    Args:
        sessions: at least one; each sequence has equally many.
        interactions: how many a session may have.
        max_time_s: time allowed for each object of a session.

    Returns:
        `auc`, `metric_at_threshold`, `curve` (time in seconds; J&F, J and F) as the challenge reports them,
        `global_timeout_s` (G), `by_sequence` (J&F after the last interaction) and `warnings`.
    """
    curves = [session.curve(interactions) for session in sessions]
    time = np.cumsum(np.mean([seconds for seconds, _ in curves], axis=0))
    mean = np.concatenate([scores for _, scores in curves], axis=1).mean(axis=1)  # (interactions, 2)
    objects = {session.sequence: session.objects for session in sessions}
    allowed_s = max_time_s * float(np.mean([*objects.values()]))
    time = np.concatenate([[0.0], time, [allowed_s]])
    measures = {"J_AND_F": mean.mean(axis=1), "J": mean[:, 0], "F": mean[:, 1]}
    measures = {name: np.concatenate([[0.0], values, values[-1:]]) for name, values in measures.items()}
    metric = measures["J_AND_F"]
    warnings = []
    if time[-2] > allowed_s:
        warnings.append(
            f"the mean time of all interactions is {time[-2]:.1f} s, more than the {allowed_s:.1f} s that the curve is "
            "long: its end runs backwards, as it does in the official evaluation; AUC means little here"
        )
    last = [(session.sequence, float(scores[-1].mean())) for session, (_, scores) in zip(sessions, curves, strict=True)]
    return {
        "auc": float(np.trapezoid(metric, time) / time.max()) if time.max() > 0 else 0.0,
        "metric_at_threshold": {"threshold": THRESHOLD_S, "J_AND_F": float(np.interp(THRESHOLD_S, time, metric))},
        "curve": {"time": time.tolist(), **{name: values.tolist() for name, values in measures.items()}},
        "global_timeout_s": allowed_s,
        "by_sequence": {
            name: float(np.mean([value for sequence, value in last if sequence == name])) for name in objects
        },
        "warnings": warnings,
    }


def write_report(path: Path, rows: Iterator[ReportRow]) -> None:
    """Write `report.csv`, with as many digits as numbers have."""
    files.write(path, table_text(COLUMNS, rows))


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write `summary.csv` (the curve, a row for each of its points) and `curve.png`."""
    curve = summary["curve"]
    files.write(folder / "summary.csv", table_text(["point", *curve], enumerate_points(curve)))
    threshold = summary["metric_at_threshold"]
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.subplots()
        for name, label in (("J_AND_F", "J&F"), ("J", "J"), ("F", "F")):
            points = {"marker": ".", "linewidth": 1.8} if name == "J_AND_F" else {"linewidth": 0.9, "alpha": 0.6}
            axes.plot(curve["time"], curve[name], label=label, **points)
        axes.axvline(threshold["threshold"], color="grey", linewidth=0.8, linestyle=":")
        axes.set(
            xlabel="seconds of computing, mean over sessions",
            ylabel="mean over objects and frames",
            ylim=(0, 1),
            title=f"{summary['policy']}: AUC {summary['auc']:.4f}, "
            f"J&F at {threshold['threshold']:.0f} s {threshold['J_AND_F']:.4f}",
        )
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        write_figure(folder / "curve.png", figure, dpi=150, metadata={"Software": None})


def enumerate_points(curve: Mapping[str, Sequence[float]]) -> Iterator[tuple[str | float, ...]]:
    """The rows of `summary.csv`: `start`, the interactions by number, and `end`, when the time is up."""
    count = len(curve["time"])
    for index, values in enumerate(zip(*curve.values(), strict=True)):
        yield ({0: "start", count - 1: "end"}.get(index, index), *values)
