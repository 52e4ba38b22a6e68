"""What a click costs: CPU seconds of f-BRS in exact and in default mode, measured in turns in one run.

python -m benchmarks.fbrs --networks resnet34_dh128,resnet50_dh128 --json fbrs.json

The early stops are off, so that the number of evaluations is set by the limits alone; ZoomIn is off, so that both modes
see the same pixels. Weights are random: time does not depend on them.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.cascadepsp import perturbed
from stages.core.types import Frame
from stages.engines.refiners.cascadepsp.refiner import Mask
from stages.engines.segmenters.fbrs.brs import StopRules
from stages.engines.segmenters.fbrs.clicker import next_click
from stages.engines.segmenters.fbrs.clicks import Click, points_tensor
from stages.engines.segmenters.fbrs.networks import NETWORKS
from stages.engines.segmenters.fbrs.predictor import Mode, Predictor, normalise
from stages.engines.segmenters.fbrs.zoom import OFFICIAL_ZOOM, clicks_in_crop, crop, object_roi

CLICKS = [Click(True, 200, 300), Click(False, 240, 340), Click(True, 80, 150), Click(False, 330, 520)]


def cpu_seconds(run: Callable[[], object]) -> float:
    """Of all threads of this process."""
    started = time.process_time()
    run()
    return time.process_time() - started


def random_network(name: str, image: Tensor, points: Tensor) -> nn.Module:
    """Weights whose logits spread around zero, so that the optimiser has slopes to walk on."""
    torch.manual_seed(0)
    network = NETWORKS[name]()
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    for convolution in convolutions:
        nn.init.kaiming_normal_(convolution.weight)
    logits = network(image, points)
    last = next(convolution for convolution in convolutions if convolution.out_channels == 1)
    assert last.bias is not None
    last.weight /= logits.std()
    last.bias -= last.bias + (logits.mean() - last.bias) / logits.std()
    return network


def measure(
    name: str = "resnet34_dh128",
    mode: Mode = "f-BRS-B",
    size_hw: tuple[int, int] = (400, 600),
    iterations: int = 40,
    rounds: int = 2,
) -> dict[str, float]:
    """Time one optimised click, exact and default in turns.

    Args:
        name: a key of `NETWORKS`.
        mode: with an insertion point.
        size_hw: what the network sees, at least 400x600.
        iterations: of L-BFGS at most; 40 leaves the end to the limit of 20 evaluations.
        rounds: how often each mode is measured; the means are returned.

    Returns:
        CPU seconds: `forward` (the network as published, one picture, no flip), `exact` and `default` (a click, both
        flips); `evaluations` of the objective in each; and the `ratio` of exact to default.
    """
    frame = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    image, points = normalise(frame), points_tensor([CLICKS])
    with torch.no_grad():
        network = random_network(name, image, points)
        forward = min(cpu_seconds(lambda: network(image, points)) for _ in range(2))
    prepared = {True: network, False: folded(network)}
    never = StopRules(threshold=0.0, min_iou_change=0.0)
    rules = replace(never, max_iterations=iterations)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    evaluations: dict[bool, int] = {}

    def click(exact: bool) -> None:
        predictor = Predictor(prepared[exact], frame, mode, exact=exact, zoom=None, rules=rules)
        predictor.predict(CLICKS)
        evaluations[exact] = len(predictor.optimum.trace) if predictor.optimum else 0

    for _ in range(rounds):
        for exact in (True, False):
            seconds[exact].append(cpu_seconds(lambda exact=exact: click(exact)))  # type: ignore[misc]
    exact_s, default_s = float(np.mean(seconds[True])), float(np.mean(seconds[False]))
    return {
        "forward": forward,
        "exact": exact_s,
        "default": default_s,
        "exact_evaluations": evaluations[True],
        "default_evaluations": evaluations[False],
        "ratio": exact_s / default_s,
    }


def measure_anchors(
    samples: Sequence[tuple[Frame, Mask]],
    name: str = "resnet50_dh128",
    click_count: int = 6,
    crop_px: int = 600,
) -> dict[str, float]:
    """Time whole anchors, the modes in turns, with the early stops on.

    Both get the same clicks: those of the robot that compares the true mask with perturbed ones. *exact* clicks one by
    one as the original does, first into the whole picture, then into the crop. *default* is what the pipeline does: a
    look at the whole picture, then the crop, optimised once for all clicks. The crop is that of the true mask.

    Args:
        samples: at least one frame (H, W, 3) uint8 RGB with the object's true mask (H, W) bool, not empty.
        name: a key of `NETWORKS`.
        click_count: at least 2.
        crop_px: longer side of what the network sees of the crop.

    Returns:
        CPU seconds per anchor `exact` and `default`, and their `ratio`; of all anchors together, passes through the
        network's first part `<mode>_passes`, and evaluations of the objective `<mode>_evaluations`.

    Raises:
        RuntimeError: a mode did not call the network as often as it should.
    """
    rng, anchors = np.random.default_rng(0), len(samples)
    clicks = [prescribed_clicks(truth, click_count, rng) for _, truth in samples]
    crops = [cropped(*sample, each, crop_px) for sample, each in zip(samples, clicks, strict=True)]
    with torch.no_grad():
        network = random_network(name, normalise(crops[0][0]), points_tensor([crops[0][1]]))
    prepared = {"exact": network, "default": folded(network)}
    seconds = dict.fromkeys(prepared, 0.0)
    passes, evaluations = Counter[str](), Counter[str]()
    for mode, each in prepared.items():
        each.get_submodule("rgb_conv").register_forward_hook(lambda *_, mode=mode: passes.update([mode]))

    def segment(mode: str, number: int) -> None:
        exact = mode == "exact"
        pictures = samples[number][0], crops[number][0]
        whole, close = (Predictor(prepared[mode], each, exact=exact, repair=not exact, zoom=None) for each in pictures)
        whole.predict(clicks[number][:1] if exact else clicks[number], optimise=False)
        for count in range(2, click_count + 1) if exact else [click_count]:
            close.predict(crops[number][1][:count])
            evaluations[mode] += len(close.optimum.trace) if close.optimum else 0

    for number in range(anchors):
        for mode in prepared:
            seconds[mode] += cpu_seconds(partial(segment, mode, number))
    expected = {"exact": click_count * anchors, "default": 2 * anchors}
    fewest = {"exact": (click_count - 1) * anchors, "default": anchors}
    if passes != expected or any(evaluations[mode] < least for mode, least in fewest.items()):
        raise RuntimeError(
            f"found {dict(passes)} passes and {dict(evaluations)} evaluations, expected {expected} passes and "
            f"{fewest} evaluations at least: the times mean nothing"
        )
    return {
        "anchors": anchors,
        **{mode: total / anchors for mode, total in seconds.items()},
        "ratio": seconds["exact"] / seconds["default"],
        **{f"{mode}_passes": count for mode, count in passes.items()},
        **{f"{mode}_evaluations": count for mode, count in evaluations.items()},
    }


def prescribed_clicks(truth: Mask, count: int, rng: np.random.Generator) -> list[Click]:
    """The robot's clicks (H, W): into an empty mask, then into masks that differ a little from the true one."""
    clicks = [next_click(truth.astype(np.int64), np.zeros_like(truth))]
    while len(clicks) < count:
        clicks.append(next_click(truth.astype(np.int64), perturbed(truth, rng), clicks))
    return clicks


def cropped(frame: Frame, truth: Mask, clicks: Sequence[Click], crop_px: int) -> tuple[Frame, list[Click]]:
    """What ZoomIn would show of an object that the network finds as it truly is: picture (h, w, 3), clicks in it."""
    roi = object_roi(truth, clicks, OFFICIAL_ZOOM.expansion, OFFICIAL_ZOOM.min_crop_px)
    image = crop(torch.from_numpy(frame.copy()).permute(2, 0, 1)[None].float(), roi, crop_px)
    close = image[0].permute(1, 2, 0).round().byte().numpy()
    return close, clicks_in_crop(clicks, roi, close.shape[:2])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="resnet34_dh128,resnet50_dh128")
    parser.add_argument("--modes", default="f-BRS-B")
    parser.add_argument("--iterations", default="4,40", help="a click that stops early, and one that does not")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for name in options.networks.split(","):
        for mode in options.modes.split(","):
            for iterations in options.iterations.split(","):
                results[f"{name} {mode} {iterations}"] = measure(name, cast(Mode, mode), iterations=int(iterations))
    table = Table("network, mode, iterations", *next(iter(results.values())), title="CPU seconds per click, 400x600")
    for key, row in results.items():
        table.add_row(key, *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=120).print(table)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
