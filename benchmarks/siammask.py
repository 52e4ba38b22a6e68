"""What a tracked frame costs: CPU seconds of SiamMask in exact and in default mode, measured in turns in one run.

python -m benchmarks.siammask --root DAVIS_ROOT --json siammask.json

Both modes follow one object over real frames, frame by frame in turns (A B A B). The weights are made up, so the masks
mean nothing; what they cost does, and how far the modes agree. Each step starts from the true mask of the frame before,
so that both modes search the same places, and no target counts as lost: every step does all its work.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from stages.engines.propagators.siammask.networks import NETWORKS
from torch import Tensor

from stages.core.types import Frame, Probability, TrackResult
from stages.engines.propagators.siammask.network import SiamMask
from stages.engines.propagators.siammask.tracker import siammask
from stages.formats.frames import list_frames, read_frame
from stages.formats.masks import read_mask
from tests.parity.filled import fill

Result = TypeVar("Result")

ORIGINAL_STEP_PER_FORWARD = 279 / 276
"""CPU time of the original's step in units of its network's forward pass (all parts, ms): scales it to this machine."""


class Step(NamedTuple):
    """From one frame to its neighbour."""

    before: Frame
    """(H, W, 3) uint8 RGB."""
    mask: Probability
    """(H, W) float32 in [0, 1]: the object on the frame before; not empty."""
    frame: Frame
    """The neighbour."""


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """CPU seconds of all threads of this process, and the result."""
    started = time.process_time()
    result = run()
    return time.process_time() - started, result


def filled_network() -> SiamMask:
    """Weights that need no file, scaled so that scores are neither 0 nor 1."""
    network = fill(NETWORKS["siammask_sharp"]())
    network.state_dict()["features.features.conv1.weight"].mul_(2.0**-8)
    return cast(SiamMask, network)


def measure(steps: Sequence[Step], rounds: int = 2) -> dict[str, float]:
    """Follow an object in both modes, in turns.

    Args:
        steps: at least one.
        rounds: how often they are walked.

    Returns:
        CPU seconds, medians: `exact_step`, `default_step`, `exact_start`, `default_start`, `forward` (the network
        alone, as published); `ratio` of the steps; `exact_against_original`, 1 if an exact step costs what the
        original's does, scaled to this machine (from the fastest ones, which other work disturbs least); and
        the largest differences between the modes: `mask_difference`, `mask_flips` (pixels a frame, at 0.5),
        `box_difference_px`, `score_difference`.

    Raises:
        RuntimeError: a step gave up before its work was done.
    """
    network = filled_network()
    modes = {name: siammask(network, exact=name == "exact", minimum_score=None) for name in ("exact", "default")}
    z, x = (torch.rand(1, 3, side, side).contiguous(memory_format=torch.channels_last) for side in (127, 255))
    with torch.inference_mode():
        template = network.template(z)

    def forward() -> Tensor:
        _, _, state = network.track_mask(template, x)
        return network.refine(state, 12, 12)

    seconds: dict[str, list[float]] = {}
    pairs: list[tuple[TrackResult, TrackResult]] = []
    for number in range(rounds + 1):
        if number == 1:
            seconds.clear()  # the first round paid for the packing of weights and for caches
        trackers = {name: make() for name, make in modes.items()}
        for step in steps:
            results = {}
            for name, tracker in trackers.items():
                spent, _ = timed(partial(tracker.start, step.before, step.mask))
                seconds.setdefault(f"{name}_start", []).append(spent)
                spent, results[name] = timed(partial(tracker.step, step.frame))
                seconds.setdefault(f"{name}_step", []).append(spent)
                if results[name].reason:
                    raise RuntimeError(f"{name}: {results[name].reason}; the time of this step means nothing")
            pairs.append((results["exact"], results["default"]))
            with torch.inference_mode():
                spent, _ = timed(forward)
            seconds.setdefault("forward", []).append(spent)

    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    original_step = min(seconds["forward"]) * ORIGINAL_STEP_PER_FORWARD
    return {
        **medians,
        "ratio": medians["exact_step"] / medians["default_step"],
        "exact_against_original": min(seconds["exact_step"]) / original_step,
        "mask_difference": max(float(np.abs(a.probability - b.probability).max()) for a, b in pairs),
        "mask_flips": max(int(np.sum((a.probability > 0.5) != (b.probability > 0.5))) for a, b in pairs),
        "box_difference_px": max(float(np.abs(np.subtract(a.box_xyxy, b.box_xyxy)).max()) for a, b in pairs),
        "score_difference": max(abs(a.score - b.score) for a, b in pairs),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.environ.get("LIS_DAVIS_ROOT")
    parser.add_argument(
        "--root", type=Path, default=root, required=root is None, help="a DAVIS root (default: LIS_DAVIS_ROOT)"
    )
    parser.add_argument("--sequence", default="cows", help="which one (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=10, help="how many of its frames (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often to walk them (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    paths = list_frames(options.root / "JPEGImages" / "480p" / options.sequence)[: options.frames]
    truths = options.root / "Annotations" / "480p" / options.sequence
    frames = [read_frame(path) for path in paths]
    masks = [(read_mask(truths / f"{path.stem}.png") == 1).astype(np.float32) for path in paths[:-1]]
    figures = measure([Step(*step) for step in zip(frames, masks, frames[1:], strict=False)], options.rounds)

    height, width = masks[0].shape
    table = Table("CPU ms, one thread", "exact", "default", "ratio", title=f"SiamMask, {width}x{height}, one object")
    for part in ("step", "start"):
        exact, default = (1e3 * figures[f"{mode}_{part}"] for mode in ("exact", "default"))
        table.add_row(part, f"{exact:.0f}", f"{default:.0f}", f"{exact / default:.2f}")
    console = Console()
    console.print(table)
    console.print(f"exact step / original's, scaled to this machine: {figures['exact_against_original']:.2f}")
    console.print(
        f"modes differ by at most {figures['mask_difference']:.1e} in the mask ({figures['mask_flips']} pixels a frame "
        f"flip), {figures['box_difference_px']:.1e} px in the box, {figures['score_difference']:.1e} in the score"
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
