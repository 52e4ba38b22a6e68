"""How many clicks an anchor mask needs: NoC at 85 and 90 % IoU, per network and BRS mode, on any pictures with masks.

    python -m benchmarks.noc --images IMAGES --masks MASKS --networks fbrs:resnet50_dh128 --modes NoBRS,f-BRS-B \
        --out noc

The protocol of f-BRS (CVPR 2020, section 5): a robot clicks into the middle of the largest error, up to 20 times, until
the IoU reaches 90 %. NoC is the mean number of clicks to an IoU, 20 where it is never reached. Every object of every
mask is a sample. Masks lie under MASKS where their pictures lie under IMAGES, in sub-folders or not, by stem: indexed
PNG (255 counts nowhere), or grey: above 128 is the one object, 128 counts nowhere (as in GrabCut's own data set).

Samples are kept in OUT/samples.csv as they are done, and not done again; OUT/table.md and OUT/curve.png are made anew.
"""

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from stages.core.errors import InputError, LisError
from stages.engines import registry
from stages.engines.segmenters.fbrs.clicker import IGNORE, Session, click_until, clicks_needed
from stages.engines.segmenters.fbrs.clicks import Click
from stages.engines.segmenters.fbrs.fast import rearranged
from stages.engines.segmenters.fbrs.predictor import MODES, NET_CLICKS_LIMIT, Mode, Predictor
from stages.engines.segmenters.fbrs.zoom import OFFICIAL_ZOOM
from stages.formats.frames import SUFFIXES, read_frame
from stages.formats.pictures import load_picture
from stages.nn.prepare import prepare

MAX_CLICKS = 20
TARGETS = (0.85, 0.90)

Predict = Callable[[list[Click]], NDArray[np.float32]]


@dataclass(frozen=True)
class Sample:
    """One object, clicked by the robot: a row of `samples.csv`."""

    network: str
    mode: str
    picture: str
    object_id: int
    seconds: float
    ious: tuple[float, ...]
    """After each click."""


def pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pictures and their masks, by stem, sorted.

    Raises:
        InputError: there is no picture, or one has no mask.
    """
    found = sorted(path for path in images.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"{images}: found no picture, expected some ({', '.join(sorted(SUFFIXES))}); check the path")
    by_stem = {path.relative_to(masks).with_suffix(""): path for path in sorted(masks.rglob("*")) if path.is_file()}
    chosen = []
    for picture in found:
        stem = picture.relative_to(images).with_suffix("")
        if stem not in by_stem:
            raise InputError(f"{masks}: found no mask for {picture}, expected {stem}.png; complete the masks")
        chosen.append((picture, by_stem[stem]))
    return chosen


def objects(mask: Path) -> Iterator[tuple[int, NDArray[np.int8]]]:
    """The objects of a mask: id, and truth (H, W) int8: 1 object, 0 background, -1 counts nowhere."""
    picture = load_picture(mask)
    values = np.array(picture if picture.mode == "P" else picture.convert("L"))
    is_binary = picture.mode != "P" and values.max(initial=0) > 128
    ignored = values == (128 if is_binary else 255)
    labels = values > 128 if is_binary else values
    for object_id in np.unique(labels[(labels > 0) & ~ignored]).astype(int).tolist():
        yield object_id, np.where(ignored, IGNORE, labels == object_id).astype(np.int8)


def predictor(engine: str, mode: Mode, weights_root: Path) -> Callable[[NDArray[np.uint8]], Predict]:
    """What segments a picture by clicks, with the network of an engine of luigi.cfg, as the pipeline runs it.

    Raises:
        InputError, WeightsError: no such engine, or its checkpoint is missing or wrong.
    """
    found = registry.find("segmenter", engine, weights_root)
    network = prepare(registry.load_network(engine, weights_root), rearranged=rearranged)
    options = found.network.arguments if found.network else {}
    zoom = replace(OFFICIAL_ZOOM, target_px=options.get("crop_px", OFFICIAL_ZOOM.target_px))
    limit = None if "line_spacing_px" in options else NET_CLICKS_LIMIT
    return lambda frame: Predictor(network, frame, mode, repair=True, zoom=zoom, net_clicks_limit=limit).predict


def measure(
    chosen: Sequence[tuple[Path, Path]],
    network: str,
    mode: str,
    begin: Callable[[NDArray[np.uint8]], Predict],
    done: set[tuple[str, str, str, int]],
) -> Iterator[Sample]:
    """Click through all objects that are not done yet.

    Args:
        chosen: pictures and masks.
        network: its name, recorded.
        mode: likewise.
        begin: starts on a picture (H, W, 3) uint8 RGB, and gives what maps clicks to a probability (H, W).
        done: (network, mode, picture, object) of samples to pass over.
    """
    for picture, mask in chosen:
        name = f"{picture.parent.name}/{picture.name}"
        for object_id, truth in objects(mask):
            if (network, mode, name, object_id) not in done:
                started = time.perf_counter()
                session: Session = click_until(begin(read_frame(picture)), truth, MAX_CLICKS, max(TARGETS))
                yield Sample(network, mode, name, object_id, time.perf_counter() - started, session.ious)


def read_samples(path: Path) -> list[Sample]:
    """Read `samples.csv`; a last line that a kill cut off is passed over."""
    if not path.is_file():
        return []
    samples = []
    with path.open(encoding="utf-8", newline="") as file:
        for network, mode, picture, object_id, seconds, ious in (row for row in csv.reader(file) if len(row) == 6):
            if ious.endswith("]"):
                samples.append(Sample(network, mode, picture, int(object_id), float(seconds), tuple(json.loads(ious))))
    return samples


def write_samples(path: Path, samples: Sequence[Sample]) -> None:
    """Write `samples.csv` by one rename."""
    temporary = path.with_suffix(".partial")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([[field.name for field in fields(Sample)], *map(_row, samples)])
    temporary.replace(path)


def figures(samples: Sequence[Sample]) -> dict[str, Any]:
    """NoC and the number of failures at each target, mean IoU after 1, 2, ... clicks, seconds per click."""
    clicks = sum(len(sample.ious) for sample in samples)
    held = [np.pad(sample.ious, (0, MAX_CLICKS - len(sample.ious)), mode="edge") for sample in samples]
    row: dict[str, Any] = {"objects": len(samples), "curve": np.mean(held, axis=0)}
    for target in TARGETS:
        needed = [clicks_needed(sample.ious, target, MAX_CLICKS) for sample in samples]
        row[f"NoC@{100 * target:.0f}"] = float(np.mean(needed))
        row[f">={MAX_CLICKS}@{100 * target:.0f}"] = sum(count >= MAX_CLICKS for count in needed)
    return {**row, "seconds per click": sum(sample.seconds for sample in samples) / clicks}


def write_results(out: Path, samples: Sequence[Sample]) -> str:
    """Write `table.md` and `curve.png`; returns the table."""
    groups: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.network, sample.mode].append(sample)
    rows = {group: figures(members) for group, members in groups.items()}
    columns = [name for name in next(iter(rows.values())) if name != "curve"]
    lines = [f"| network | mode | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for (network, mode), row in rows.items():
        values = (f"{row[name]:.2f}" if isinstance(row[name], float) else str(row[name]) for name in columns)
        lines.append(f"| `{network}` | {mode} | {' | '.join(values)} |")
        axes.plot(range(1, MAX_CLICKS + 1), row["curve"], marker=".", label=f"{network} {mode}")
    axes.set(xlabel="clicks", ylabel="mean IoU", ylim=(0, 1))
    axes.legend(fontsize=7)
    figure.savefig(out / "curve.png", dpi=120)
    table = "\n".join(lines) + "\n"
    (out / "table.md").write_text(table, encoding="utf-8")
    return table


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parse()
    torch.set_num_threads(options.threads)
    path = options.out / "samples.csv"
    options.out.mkdir(parents=True, exist_ok=True)
    samples = read_samples(path)
    try:
        chosen = pairs(options.images, options.masks)
        if options.limit and options.limit < len(chosen):
            chosen = [chosen[int(place)] for place in np.linspace(0, len(chosen) - 1, options.limit)]
        write_samples(path, samples)  # without the half line that a kill may have left
        with path.open("a", encoding="utf-8", newline="") as file:
            for network in options.networks:
                for mode in options.modes:
                    begin = predictor(network, cast(Mode, mode), options.weights_root)
                    done = {(one.network, one.mode, one.picture, one.object_id) for one in samples}
                    remaining = measure(chosen, network, mode, begin, done)
                    console = Console(stderr=True)
                    for sample in track(remaining, f"{network} {mode}", console=console, transient=True):
                        samples.append(sample)
                        csv.writer(file).writerow(_row(sample))
                        file.flush()
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    sys.stdout.write(write_results(options.out, samples))
    return 0


def _row(sample: Sample) -> list[Any]:
    return [*{**asdict(sample), "ious": json.dumps(sample.ious)}.values()]


def _parse() -> argparse.Namespace:
    names = [name for name in registry.names("segmenter") if name.startswith("fbrs:")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--networks", type=lambda text: text.split(","), required=True, help=f"of {', '.join(names)}")
    parser.add_argument(
        "--modes", type=lambda text: text.split(","), default=["f-BRS-B"], help=f"of {', '.join(MODES)}"
    )
    parser.add_argument("--limit", type=int, help="so many pictures, evenly spread; default: all")
    parser.add_argument("--weights-root", type=Path, default=Path("data/weights"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder; what is there already is kept")
    options = parser.parse_args()
    if unknown := sorted(set(options.modes) - set(MODES)):
        parser.error(f"no BRS mode is called {unknown[0]}; there are: {', '.join(MODES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
