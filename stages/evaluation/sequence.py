"""One labelled sequence against its ground truth: J and F, and how well the quality estimate foresaw them."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from stages.core.metrics import Protocol, Scores, SequenceScores, score_sequence, statistics
from stages.core.types import LabelMap
from stages.evaluation.truth import Truth
from stages.formats.evaluation import Evaluation, ScoredFrame
from stages.formats.manifest import Json
from stages.formats.report_data import JudgedFrame

_FEWEST_FRAMES = {"interactive": 1, "semi-supervised": 3}


def evaluate_sequence(
    folder: Path,
    sequence: str,
    names: Sequence[str],
    masks: Iterable[LabelMap],
    truth: Truth,
    judged: list[JudgedFrame],
) -> None:
    """Write `evaluation.json` and `evaluation.csv`.

    Args:
        folder: where to write; it exists.
        sequence: its name.
        names: the file name of every frame.
        masks: the result, (H, W) uint8 object ids, frame by frame.
        truth: what they are compared with.
        judged: what `stages.steps.assess.judge` says of the result.

    Raises:
        InputError: a mask has another shape than its ground truth.
    """
    scores = score_sequence(masks, truth, truth.object_ids)
    rows = _rows(scores, names, judged)
    summary = {
        "sequence": sequence,
        "frames": len(names),
        "objects": list(truth.object_ids),
        "unknown_objects": sorted({row.object_id for row in judged} - set(truth.object_ids)),
        "protocols": {
            protocol: _measures(scores.under(protocol)) if len(names) >= _FEWEST_FRAMES[protocol] else None
            for protocol in get_args(Protocol)
        },
        "estimate": foresight(rows),
    }
    Evaluation(summary, rows).write(folder)


def foresight(rows: Sequence[ScoredFrame]) -> Json:
    """How well the estimates order masks by their J, without having seen any ground truth.

    Returns:
        For `doubt` and `agreement`: `masks` (how many have both), `rank_correlation` (Spearman's, of J with 1 - doubt
        or with the agreement; None where either is constant), and `aurc`, the area under the risk-coverage curve (mean
        1 - J of the masks that are trusted most, over all shares of masks), beside that of the best order and that of
        no order at all.
    """
    region = np.array([row.jaccard for row in rows])
    confidences = {
        "doubt": 1 - np.array([row.doubt for row in rows]),
        "agreement": np.array([row.agreement for row in rows]),
    }
    return {
        name: _foresight(confidence[known], region[known])
        for name, confidence in confidences.items()
        for known in [~np.isnan(confidence)]
    }


def aurc(confidence: Scores, risk: Scores) -> float:
    """Area under the risk-coverage curve: mean risk of the n most confident, averaged over all n.

    Args:
        confidence: (masks,) float64; among equals the order is left open: each stands for their mean.
        risk: (masks,) float64 in [0, 1].
    """
    _, tied = np.unique(-confidence, return_inverse=True)
    expected = (np.bincount(tied, risk) / np.bincount(tied))[np.sort(tied)]
    return float((np.cumsum(expected) / np.arange(1, len(risk) + 1)).mean())


def _rows(scores: SequenceScores, names: Sequence[str], judged: list[JudgedFrame]) -> list[ScoredFrame]:
    estimates = {(row.frame, row.object_id): (row.agreement, row.doubt) for row in judged}
    return [
        ScoredFrame(
            frame,
            name,
            object_id,
            float(scores.region[frame, column]),
            float(scores.boundary[frame, column]),
            *estimates.get((frame, object_id), (math.nan, math.nan)),
        )
        for frame, name in enumerate(names)
        for column, object_id in enumerate(scores.object_ids)
    ]


def _measures(scores: SequenceScores) -> Json:
    """Mean, recall and decay of J and F for each object, and their means over objects."""
    objects: Json = {}
    for column, object_id in enumerate(scores.object_ids):
        region, boundary = statistics(scores.region[:, column]), statistics(scores.boundary[:, column])
        objects[str(object_id)] = {
            "J": region._asdict(),
            "F": boundary._asdict(),
            "J&F": (region.mean + boundary.mean) / 2,
        }
    mean = {name: float(np.mean([each[name]["mean"] for each in objects.values()])) for name in ("J", "F")}
    return {"objects": objects, "mean": {**mean, "J&F": (mean["J"] + mean["F"]) / 2}}


def _foresight(confidence: NDArray[np.float64], region: NDArray[np.float64]) -> Json:
    if not len(region):
        return {"masks": 0}
    varied = len(region) > 1 and np.ptp(confidence) > 0 and np.ptp(region) > 0
    return {
        "masks": len(region),
        "rank_correlation": float(spearmanr(confidence, region).statistic) if varied else None,
        "aurc": aurc(confidence, 1 - region),
        "aurc_best_order": aurc(region, 1 - region),
        "aurc_no_order": float(1 - region.mean()),
    }
