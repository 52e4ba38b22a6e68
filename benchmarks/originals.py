"""The networks of the paper as published (`exact`) and as the pipeline runs them (`default`), doing the same work.

Checkpoints are not needed: time does not depend on what weights mean. They are made up, and the inputs are prescribed,
so that both modes work on the same pixels:

* f-BRS-B (ResNet-50), six clicks on an anchor: those of the robot that compares the true mask with perturbed ones, in
  the crop of the true mask, the early stops on. Exact mode clicks one by one; default mode does what it does with
  strokes: one look at the whole picture, then one optimised look at the crop, with all clicks at once.
* SiamMask: each step starts from the perturbed true mask of the frame before. No target counts as lost.
* CascadePSP: perturbed true masks, no guard. The last layers are set so that the local step runs where the object
  fills a tenth of the picture, as with trained weights.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from stages.core.types import Frame
from stages.engines.propagators.siammask.network import SiamMask
from stages.engines.propagators.siammask.tracker import SiamMaskTracker, siammask
from stages.engines.refiners.cascadepsp.engine import CascadePSP
from stages.engines.refiners.cascadepsp.network import CascadePSPNetwork
from stages.engines.refiners.cascadepsp.refiner import BOUNDARY_SHARE, LONGEST_SIDE, normalised_picture
from stages.engines.registry import build_network
from stages.engines.segmenters.fbrs.clicker import next_click
from stages.engines.segmenters.fbrs.clicks import Click, points_tensor
from stages.engines.segmenters.fbrs.fast import rearranged
from stages.engines.segmenters.fbrs.predictor import Predictor, normalise
from stages.engines.segmenters.fbrs.zoom import OFFICIAL_ZOOM, clicks_in_crop, crop, object_roi

Mask = NDArray[np.bool_]
Work = dict[str, Callable[[], Any]]
"""The same piece of work in each of `MODES`."""

MODES = ("exact", "default")
ANCHOR, START, STEP, REFINED = "f-BRS-B: an anchor", "SiamMask: a start", "SiamMask: a step", "CascadePSP: a frame"
CLICKS = 6
_CROP_PX = 600  # longer side of what f-BRS sees of a crop, as in the authors' evaluation
_ABOVE_ZERO = 10.0  # added so that a ReLU lets a normalised colour pass, and taken away after it


class Sample(NamedTuple):
    """A frame on which every network does its part."""

    frame: Frame
    """(H, W, 3) uint8 RGB."""
    truth: Mask
    """(H, W) bool: the object, not empty."""
    given: Mask
    """The same, perturbed: what a tracker leaves."""
    following: Frame
    """The next frame."""


def compare(
    samples: Sequence[Sample], crop_px: int = _CROP_PX, longest_side: int = LONGEST_SIDE
) -> dict[str, dict[str, float]]:
    """Time every piece of work, the modes in turns.

    Args:
        samples: at least one.
        crop_px: longer side of what f-BRS sees of a crop.
        longest_side: of what CascadePSP's global step sees, in pixels.

    Returns:
        Mean CPU seconds by piece and mode.
    """
    seconds: dict[str, dict[str, list[float]]] = {}
    for name, work in chain(anchors(samples, crop_px), steps(samples), refinements(samples, longest_side)):
        for mode, run in work.items():
            started = time.process_time()
            run()
            spent = time.process_time() - started
            seconds.setdefault(name, {}).setdefault(mode, []).append(spent)
    return {name: {mode: float(np.mean(each)) for mode, each in row.items()} for name, row in seconds.items()}


def perturbed(mask: Mask, rng: np.random.Generator) -> Mask:
    """Shift a mask (H, W) by some pixels, then grow or shrink it."""
    radius, grow, (dx, dy) = int(rng.integers(2, 6)), bool(rng.integers(2)), rng.integers(-4, 5, 2)
    move = np.array([[1, 0, dx], [0, 1, dy]], dtype=np.float32)
    shifted = cv2.warpAffine(mask.astype(np.uint8), move, mask.shape[::-1])
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray((cv2.dilate if grow else cv2.erode)(shifted, disc) > 0)


def made_up(network: nn.Module, gain: float = 1.0) -> nn.Module:
    """Weights that keep activations at an ordinary size; `gain` is that of the normalisations."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, gain)
    return network


# ---------------------------------------------------------------------------------------------- f-BRS


def anchors(samples: Sequence[Sample], crop_px: int) -> Iterator[tuple[str, Work]]:
    """An anchor mask from six clicks."""
    rng = np.random.default_rng(0)
    clicks = [prescribed_clicks(sample.truth, rng) for sample in samples]
    crops = [cropped(sample, each, crop_px) for sample, each in zip(samples, clicks, strict=True)]
    network = made_up(build_network("fbrs_resnet50_dh128"))
    with torch.no_grad():  # logits that spread around zero give the optimiser slopes to walk on
        logits = network(normalise(crops[0][0]), points_tensor([crops[0][1]]))
        last = next(each for each in network.modules() if isinstance(each, nn.Conv2d) and each.out_channels == 1)
        last.weight /= logits.std()
        last.bias -= last.bias + (logits.mean() - last.bias) / logits.std()
    networks = dict(zip(MODES, (network, rearranged(network)), strict=True))
    for sample, whole, close in zip(samples, clicks, crops, strict=True):
        looks = (sample.frame, whole), close
        yield ANCHOR, {mode: partial(click, each, mode == "exact", *looks) for mode, each in networks.items()}


def click(network: nn.Module, exact: bool, whole: tuple[Frame, list[Click]], close: tuple[Frame, list[Click]]) -> None:
    """Segment an object as either mode does, first on the whole picture, then on a crop; clicks are in its pixels."""
    first, second = (
        Predictor(network, frame, exact=exact, repair=not exact, zoom=None) for frame in (whole[0], close[0])
    )
    first.predict(whole[1][:1] if exact else whole[1], optimise=False)
    for count in range(2, len(close[1]) + 1) if exact else [len(close[1])]:
        second.predict(close[1][:count])


def prescribed_clicks(truth: Mask, rng: np.random.Generator) -> list[Click]:
    """The robot's clicks: into an empty mask (H, W), then into masks that differ a little from the true one."""
    clicks = [next_click(truth.astype(np.int64), np.zeros_like(truth))]
    while len(clicks) < CLICKS:
        clicks.append(next_click(truth.astype(np.int64), perturbed(truth, rng), clicks))
    return clicks


def cropped(sample: Sample, clicks: Sequence[Click], crop_px: int) -> tuple[Frame, list[Click]]:
    """What ZoomIn would show of an object that the network finds as it truly is: picture (h, w, 3), clicks in it."""
    roi = object_roi(sample.truth, clicks, OFFICIAL_ZOOM.expansion, OFFICIAL_ZOOM.min_crop_px)
    image = crop(torch.from_numpy(sample.frame.copy()).permute(2, 0, 1)[None].float(), roi, crop_px)
    close = image[0].permute(1, 2, 0).round().byte().numpy()
    return close, clicks_in_crop(clicks, roi, close.shape[:2])


# ---------------------------------------------------------------------------------------------- SiamMask


def steps(samples: Sequence[Sample]) -> Iterator[tuple[str, Work]]:
    """A tracker's start on a frame, and its step to the next."""
    network = cast(SiamMask, made_up(build_network("siammask_sharp"), gain=0.6))
    network.state_dict()["features.features.conv1.weight"].mul_(2.0**-8)  # its pictures lie in 0..255
    trackers = {mode: siammask(network, exact=mode == "exact", minimum_score=None)() for mode in MODES}
    for number, sample in enumerate([samples[0], *samples]):
        mask = sample.given.astype(np.float32)
        starts: Work = {mode: partial(each.start, sample.frame, mask) for mode, each in trackers.items()}
        moves: Work = {mode: partial(step, each, sample.following) for mode, each in trackers.items()}
        if number:
            yield START, starts
            yield STEP, moves
        else:  # the first calls pay for the packing of weights
            for run in (*starts.values(), *moves.values()):
                run()


def step(tracker: SiamMaskTracker, frame: Frame) -> None:
    """One step.

    Raises:
        RuntimeError: it gave up before its work was done.
    """
    if reason := tracker.step(frame).reason:
        raise RuntimeError(f"{reason}; the time of this step means nothing")


# ---------------------------------------------------------------------------------------------- CascadePSP


def refinements(samples: Sequence[Sample], longest_side: int) -> Iterator[tuple[str, Work]]:
    """A refined frame."""
    network = cast(CascadePSPNetwork, made_up(CascadePSPNetwork().eval(), gain=0.6))
    red = network.up_3.shortcut.out_channels  # the first channel after the features
    with torch.no_grad():  # the result is the picture's red, less the level that `set_level` sets
        for layer in (network.final_11, network.final_21):
            layer.weight.zero_()
        network.final_11.weight[0, red] = 1
        network.final_11.bias[0] = _ABOVE_ZERO  # type: ignore[index]
        network.final_21.weight[0, 0] = 1
    refiners = {mode: CascadePSP(network, exact=mode == "exact", longest_side=longest_side) for mode in MODES}
    for sample in samples:
        for refiner in refiners.values():
            set_level(cast(CascadePSPNetwork, refiner.network), sample)
        mask = sample.given.astype(np.float32)
        yield REFINED, {mode: partial(refiner.refine, sample.frame, mask) for mode, refiner in refiners.items()}


def set_level(network: CascadePSPNetwork, sample: Sample) -> None:
    """Let it find half of the picture, so that the local step runs, if the mask fills enough of it; else nothing."""
    low, high = BOUNDARY_SHARE
    median = float(normalised_picture(sample.frame)[:, 0].median())
    level = median if low <= sample.given.mean() <= high else 100.0
    nn.init.constant_(network.final_21.bias, -_ABOVE_ZERO - level)  # type: ignore[arg-type]
