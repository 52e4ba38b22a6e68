"""How much faster `stages.metrics` is than the published procedure, on DAVIS ground truth shifted by a few pixels.

    python -m benchmarks.metrics --root DAVIS_ROOT

Compared with `tests/reference.py`, once with its dilation by scikit-image (davisinteractive) and once by OpenCV, both
on full frames. The results are compared too, and must be equal.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from stages.core import metrics
from tests import reference

Mask = NDArray[np.bool_]
Score = Callable[[Mask, Mask], tuple[float, float]]

_SHIFT_PX = (7, 9)  # down, right: beyond the tolerance of 8, so that F is not simply 1


def ours(prediction: Mask, truth: Mask) -> tuple[float, float]:
    """J and F by `stages.metrics`."""
    tolerance_px = metrics.boundary_tolerance_px(truth.shape)
    return (
        metrics.region_similarity(prediction, truth),
        metrics.boundary_accuracy(prediction, truth, tolerance_px),
    )


def plain(dilate: reference.Dilate) -> Score:
    """J and F by the reference."""
    return lambda prediction, truth: (
        reference.region_similarity(prediction, truth),
        reference.boundary_accuracy(prediction, truth, dilate),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="a DAVIS root with Annotations/480p")
    parser.add_argument(
        "--frames", type=int, default=40, help="how many frames, spread over all sequences (%(default)s)"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)

    files = sorted(options.root.glob("Annotations/480p/*/*.png"))
    chosen = np.linspace(0, len(files) - 1, min(options.frames, len(files))).astype(int)
    truths = [np.asarray(Image.open(files[index])) > 0 for index in chosen]
    pairs = [(np.roll(truth, _SHIFT_PX, axis=(0, 1)), truth) for truth in truths]

    rows: dict[str, tuple[float, list[tuple[float, float]]]] = {}
    for name, score in {
        "published procedure, dilation by scikit-image": plain(reference.dilate_by_skimage),
        "published procedure, dilation by OpenCV": plain(reference.dilate_by_opencv),
        "stages.metrics": ours,
    }.items():
        score(*pairs[0])  # first calls pay for imports and caches
        start = time.perf_counter()
        scores = [score(*pair) for pair in pairs]
        rows[name] = ((time.perf_counter() - start) / len(pairs), scores)

    seconds, expected = rows["stages.metrics"]
    table = Table(
        "J and F of one object on one frame", "ms", "ratio", "equal", title=f"{len(pairs)} frames, one thread"
    )
    for name, (plain_seconds, scores) in rows.items():
        table.add_row(name, f"{1e3 * plain_seconds:.2f}", f"{plain_seconds / seconds:.1f}", str(scores == expected))
    Console().print(table)


if __name__ == "__main__":
    main()
