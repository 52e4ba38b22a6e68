"""How well doubt foretells errors, and the command that finds what its signs are worth.

    python -m benchmarks.doubt --davis16 ROOT --multi ROOT --clips-of TRAIN/davis16_train --runs FOLDER
    python -m benchmarks.doubt ... --fit --figure reliability.png

Results are made in FOLDER, by the real command from centre-line strokes, where they are missing or not up to date
(`benchmarks.doubt_runs`). With --fit the coefficients are found anew first, on clips made of those that trainings see;
what is measured on is never fitted on.

Frames and objects of a set are pooled, those on which nothing is said of an object with a doubt of 0: `rank`, the rank
correlation of doubt and 1 - J; `AUC`, how surely a mask with J below 0.7 has more doubt than one above; `error`, the
mean of |doubt - (1 - J)|; `bias`, the mean of doubt - (1 - J).
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize
from scipy.stats import rankdata, spearmanr

from benchmarks.clips import Clip
from benchmarks.doubt_runs import FITTED_ON, MEASURED_ON, Sources, results
from benchmarks.quality import machine
from stages.core.metrics import score_sequence
from stages.core.types import Look
from stages.formats.frames_csv import read_frames_csv
from stages.formats.manifest import load_manifest
from stages.formats.masks import read_mask
from stages.formats.results import MASKS, anchors_of_result, result_file
from stages.steps.assess import Signed, judge, signs_of
from stages.steps.doubt_model import Formula, Kind, Weight, formulas, write_formulas

BAD: Final = 0.7
"""J below it: a mask that somebody should look at."""
_RIDGE: Final = 0.005
_LEAST_WEIGHT: Final = 0.001
_BINS: Final = 8


class Known(NamedTuple):
    """A mask whose error is known."""

    signed: Signed | None
    """None where the result says nothing of the object."""
    doubt: float
    quality: float
    """J."""


def known_of(clip: Clip, folder: Path, is_seen: bool = True) -> list[Known]:
    """Every object on every frame of a clip, with the J of the result in a folder.

    Args:
        clip: it has truth.
        folder: of a sequence's results.
        is_seen: whether to know what refinement has seen of each mask; results of former versions do not.
    """
    masks = folder / MASKS
    anchors, names = anchors_of_result(load_manifest(masks)), [frame.name for frame in clip.frames]
    rows, ids = read_frames_csv(masks), clip.object_ids()
    if not is_seen:
        rows = [replace(row, **vars(Look())) for row in rows]
    signed = {(each.row.frame, each.row.object_id): each for each in signs_of(rows, anchors, len(names))}
    doubts = {(each.frame, each.object_id): each.doubt for each in judge(rows, anchors, names)}
    labels = (read_mask(result_file(masks, name)) for name in names)
    region = score_sequence(labels, clip.read_truths(), ids).region
    return [
        Known(signed.get(key), doubts.get(key, 0.0), float(region[index, column]))
        for index in range(len(names))
        for column, object_id in enumerate(ids)
        for key in [(index, object_id)]
    ]


def figures(known: Sequence[Known]) -> dict[str, float]:
    """How well doubt foretold."""
    doubt, error = np.array([each.doubt for each in known]), 1 - np.array([each.quality for each in known])
    bad = error > 1 - BAD
    ranks, few, many = rankdata(doubt), int(bad.sum()), int((~bad).sum())
    won = ranks[bad].sum() - few * (few + 1) / 2
    return {
        "masks": len(known),
        "bad": float(bad.mean()),
        "rank": float(spearmanr(doubt, error).statistic),
        "AUC": float(won / (few * many)) if few and many else math.nan,
        "error": float(np.abs(doubt - error).mean()),
        "bias": float((doubt - error).mean()),
    }


def fit(known: Iterable[Known], kind: Kind) -> Formula:
    """The formula of a kind of mask under which the J that were found are likeliest, each a share of right pixels."""
    of_kind = [each for each in known if each.signed and each.signed.kind == kind]
    signs = [each.signed.signs for each in of_kind if each.signed]
    names = [*{name: None for each in signs for name in each if not math.isnan(each[name])}]
    raw = np.array([[each.get(name, math.nan) for name in names] for each in signs])
    error = 1 - np.array([each.quality for each in of_kind])
    mean, spread = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0) + 1e-6
    far = np.clip(np.nan_to_num((raw - mean) / spread), -4, 4)

    def loss(coefficients: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        base, weights = coefficients[0], coefficients[1:]
        odds = base + far @ weights
        off = 1 / (1 + np.exp(-odds)) - error
        value = (np.logaddexp(0, odds) - error * odds).mean() + _RIDGE / 2 * weights @ weights
        return float(value), np.concatenate([[off.mean()], off @ far / len(error) + _RIDGE * weights])

    # A sign speaks against a mask or it says nothing: weights below 0 would hide others that stand beside it.
    bounds = [(None, None), *[(0, None)] * len(names)]
    found = minimize(loss, np.zeros(len(names) + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = {
        name: Weight(*(round(float(value), 5) for value in values))
        for name, *values in zip(names, mean, spread, found[1:], strict=True)
        if values[2] >= _LEAST_WEIGHT
    }
    return Formula(round(float(found[0]), 5), weights)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parse()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    sources = Sources(options.davis16, options.multi, options.clips_of)
    if options.fit:
        runs = [run for name in FITTED_ON for run in results(name, sources, options.runs)]
        write_formulas(
            {kind: fit(chain(*(known_of(*run, kind != Kind.UNSEEN) for run in runs)), kind) for kind in Kind}
        )
        formulas.cache_clear()
    found = {name: _all_of(name, sources, options.runs) for name in options.sets}
    _report({name: figures(known) for name, known in found.items()}, options.json)
    if options.figure:
        draw(found, options.figure)
    return 0


def _all_of(name: str, sources: Sources, runs: Path) -> list[Known]:
    return [each for clip, folder in results(name, sources, runs) for each in known_of(clip, folder)]


def reliability(known: Sequence[Known]) -> list[tuple[float, float]]:
    """Mean doubt and mean 1 - J of equally many masks each, from the least doubtful ones on."""
    ordered = sorted(known, key=lambda each: each.doubt)
    parts = np.array_split(np.array([(each.doubt, 1 - each.quality) for each in ordered]), _BINS)
    return [(float(part[:, 0].mean()), float(part[:, 1].mean())) for part in parts]


def draw(found: Mapping[str, Sequence[Known]], path: Path) -> None:
    """The reliability curves as a picture."""
    figure = Figure(figsize=(4.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for (name, known), style in zip(found.items(), ("o-", "s--", "^-.", "d:"), strict=False):
        axes.plot(*zip(*reliability(known), strict=True), style, color="black", markersize=4, linewidth=1, label=name)
    axes.set(xlabel="doubt, mean of an eighth of the masks", ylabel="their mean 1 - J", xlim=(0, 0.8), ylim=(0, 0.8))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def _report(found: Mapping[str, Mapping[str, float]], file: Path | None) -> None:
    table = Table("set", "masks", f"J below {BAD:g}", "rank", "AUC", "error", "bias", box=SIMPLE)
    for name, row in found.items():
        table.add_row(
            name, f"{row['masks']:.0f}", f"{row['bad']:.1%}", *(f"{value:.3f}" for value in [*row.values()][2:])
        )
    Console().print(table)
    if file:
        text: dict[str, Any] = {"sets": found, "command": shlex.join(sys.orig_argv), "machine": machine()}
        file.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davis16", type=Path, required=True, help="a DAVIS root")
    parser.add_argument("--multi", type=Path, required=True, help="another, of clips with several objects")
    parser.add_argument("--clips-of", type=Path, required=True, help="the set davis16_train")
    parser.add_argument("--runs", type=Path, required=True, help="folder of results, which are made and kept there")
    parser.add_argument("--sets", type=lambda names: names.split(","), default=list(MEASURED_ON), help="some of them")
    parser.add_argument("--fit", action="store_true", help="find the coefficients anew first, and write them")
    parser.add_argument("--figure", type=Path, help="the reliability curves")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
