"""What a refined frame costs: CPU seconds of CascadePSP in exact and default mode, measured in turns in one run.

LIS_DAVIS_ROOT=/data/davis python -m benchmarks.cascadepsp --sequences 10 --json cascadepsp.json

Three ways for the middle frame of each sequence, its true mask perturbed:

* exact: as the authors' package, the whole picture at longest side 900;
* folded: the same steps, hence equal results, with the network prepared for speed;
* default: what the pipeline does, the object's box and a margin at the picture's scale, with the same network.

Weights are random, since time does not depend on them, except through one decision: the local step runs where the
object fills a tenth of the picture. The last layers are set so that each frame's mask decides, as with trained weights.
That exact and folded give the same is shown by tests/parity/test_cascadepsp.py.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from stages.core.types import Frame, Probability
from stages.engines.refiners.cascadepsp.network import CascadePSPNetwork
from stages.engines.refiners.cascadepsp.refiner import (
    BOUNDARY_SHARE,
    LONGEST_SIDE,
    CascadePSP,
    Mask,
    normalised_picture,
    refine_picture,
)
from stages.engines.registry import build_network

WAYS = ("exact", "folded", "default")
ABOVE_ZERO = 10.0
"""Added so that a ReLU lets a normalised colour pass, and taken away after it."""


def measure(
    samples: Iterable[tuple[Frame, Mask]], longest_side: int = LONGEST_SIDE, chosen: Sequence[str] = WAYS
) -> dict[str, float]:
    """Time some frames, the ways in turns.

    Args:
        samples: frames (H, W, 3) uint8 RGB with their masks (H, W) bool.
        longest_side: of exact and folded, in pixels.
        chosen: of `WAYS`; exact must be among them.

    Returns:
        `frames`; for every way its CPU seconds per frame `<way>` and the ratio `<way>_ratio` of exact to it; and, of
        all frames together, calls of the network `<way>_calls` and the pixels given to it `<way>_megapixels`.

    Raises:
        RuntimeError: a way did not call the network for a frame, or exact and folded not equally often.
    """
    seconds, calls, pixels = (dict.fromkeys(chosen, 0.0) for _ in range(3))
    frames = 0
    network = random_network()
    exact, default = CascadePSP(network, exact=True, longest_side=longest_side), CascadePSP(network)
    ways: dict[str, Callable[[Frame, Probability], Probability]] = {
        "exact": exact.refine,
        "folded": lambda frame, mask: refine_picture(default.network, frame, mask > 0.5, longest_side),
        "default": default.refine,
    }
    sizes: list[int] = []
    for prepared in (exact.network, default.network):
        prepared.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-2] * inputs[0].shape[-1]))
    for frame, mask in samples:
        set_share([network, default.network], frame, mask)
        for way in chosen:
            sizes.clear()
            started = time.process_time()
            ways[way](frame, mask.astype(np.float32))
            seconds[way] += time.process_time() - started
            if not sizes:
                raise RuntimeError(f"{way} returned without calling the network: its time means nothing")
            calls[way] += len(sizes)
            pixels[way] += sum(sizes)
        frames += 1
    if calls["exact"] != calls.get("folded", calls["exact"]):
        raise RuntimeError(f"exact and folded called the network {calls['exact']} and {calls['folded']} times")
    return {
        "frames": frames,
        **{way: total / frames for way, total in seconds.items()},
        **{f"{way}_ratio": seconds["exact"] / total for way, total in seconds.items()},
        **{f"{way}_calls": total for way, total in calls.items()},
        **{f"{way}_megapixels": total / 1e6 for way, total in pixels.items()},
    }


def middle_frames(davis_root: Path, sequences: int) -> Iterator[tuple[Frame, Mask]]:
    """The middle frame of some sequences, spread evenly over the sorted names (0: all), its true mask perturbed."""
    rng = np.random.default_rng(0)
    folders = sorted((davis_root / "Annotations" / "480p").iterdir())
    for folder in folders if sequences == 0 else spread(folders, sequences):
        masks = sorted(folder.glob("*.png"))
        chosen = masks[len(masks) // 2]
        picture = davis_root / "JPEGImages" / "480p" / folder.name / f"{chosen.stem}.jpg"
        frame = cv2.cvtColor(cast(Frame, cv2.imread(str(picture))), cv2.COLOR_BGR2RGB)
        mask = np.any(cast(Frame, cv2.imread(str(chosen))), axis=2)
        yield cast(Frame, frame), perturbed(mask, rng)


def spread(folders: Sequence[Path], count: int) -> list[Path]:
    """Some of them, evenly."""
    return [folders[len(folders) * i // count] for i in range(count)]


def perturbed(mask: Mask, rng: np.random.Generator) -> Mask:
    """Shift by some pixels, then grow or shrink: what a tracker leaves to be refined."""
    radius, grow, (dx, dy) = int(rng.integers(2, 6)), bool(rng.integers(2)), rng.integers(-4, 5, 2)
    move = np.array([[1, 0, dx], [0, 1, dy]], dtype=np.float32)
    shifted = cv2.warpAffine(mask.astype(np.uint8), move, mask.shape[::-1])
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    changed = cv2.dilate(shifted, disc) if grow else cv2.erode(shifted, disc)
    return np.asarray(changed > 0)


def random_network() -> CascadePSPNetwork:
    """Activations of an ordinary size; the result is the picture's red, less the level that `set_share` sets."""
    torch.manual_seed(0)
    network = cast(CascadePSPNetwork, build_network("cascadepsp"))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.6)
    red = network.up_3.shortcut.out_channels  # the first channel after the features
    for layer in (network.final_11, network.final_21):
        layer.weight.zero_()
    network.final_11.weight[0, red] = 1
    network.final_11.bias[0] = ABOVE_ZERO  # type: ignore[index]
    network.final_21.weight[0, 0] = 1
    return network


def set_share(networks: Sequence[nn.Module], frame: Frame, mask: Mask) -> None:
    """Let them find half of the picture, so that the local step runs, if the mask fills enough of it; else nothing."""
    median = float(normalised_picture(frame)[:, 0].median())
    low, high = BOUNDARY_SHARE
    level = median if low <= mask.mean() <= high else 100.0
    for network in networks:
        nn.init.constant_(cast(CascadePSPNetwork, network).final_21.bias, -ABOVE_ZERO - level)  # type: ignore[arg-type]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davis-root", type=Path, default=os.environ.get("LIS_DAVIS_ROOT"))
    parser.add_argument("--sequences", type=int, default=2, help="0 for all")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.davis_root is None:
        parser.error("set LIS_DAVIS_ROOT, or give --davis-root: a folder in DAVIS layout")
    torch.set_num_threads(1)
    result = measure(middle_frames(options.davis_root, options.sequences))
    table = Table("way", "CPU s per frame", "times faster", "calls of the network", title="480p, longest side 900")
    for way in WAYS:
        table.add_row(way, f"{result[way]:.1f}", f"{result[f'{way}_ratio']:.2f}", f"{result[f'{way}_calls']:.0f}")
    Console().print(table)
    Console().print(f"{result['frames']} frames, one object each; one thread")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
