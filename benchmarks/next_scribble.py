"""Whether the report's advice is worth following: the suggested frame against five random ones.

    python -m benchmarks.next_scribble --root DAVIS_ROOT --json next.json

Each sequence is labelled as in `benchmarks.quality`; then one more frame gets centre-line strokes from ground truth:
the first that `next_scribbles.json` names, or, in turn, five that a seeded generator draws from the other frames. The
gain is that of mean J over all frames.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.clips import Clip, clip_names, open_clip
from benchmarks.quality import annotate, run_pipeline
from benchmarks.strokes import centre_lines
from stages.core.metrics import score_sequence
from stages.formats.layout import sequence_paths
from stages.formats.masks import read_mask
from stages.formats.scribbles import merge, read_scribbles, write_scribbles

_RANDOM_FRAMES = 5


def mean_j(clip: Clip, results: Path) -> float:
    """Mean J over all frames of a sequence's result."""
    masks = (read_mask(results / "masks" / f"{frame.stem}.png") for frame in clip.frames)
    return float(score_sequence(masks, clip.read_truths(), clip.object_ids()).region.mean())


def gain_of(clip: Clip, frame: int, scratch: Path, before: float) -> float:
    """Scribble on one more frame, run again, and undo it."""
    results = scratch / "outputs" / clip.name
    file = sequence_paths(scratch / "data", "benchmark", clip.name).scribbles / "001.json"
    drawn = read_scribbles(file, clip.name, len(clip.frames))
    kept = scratch / "kept"
    shutil.copytree(results, kept)
    write_scribbles(file, merge(drawn, frame, centre_lines(read_mask(clip.truths[frame]))))
    run_pipeline(clip.name, _roots(scratch), scratch / "again.log")
    after = mean_j(clip, results)
    write_scribbles(file, drawn)
    shutil.rmtree(results)
    kept.rename(results)
    return after - before


def measure(clip: Clip, scratch: Path) -> dict[str, float]:
    """The gain of the suggested frame, and of random ones."""
    anchors = annotate(clip, scratch / "data")
    run_pipeline(clip.name, _roots(scratch), scratch / "first.log")
    run_pipeline(clip.name, _roots(scratch), scratch / "report.log", task="ReportSequence")
    results = scratch / "outputs" / clip.name
    before = mean_j(clip, results)
    suggested = json.loads((results / "report" / "next_scribbles.json").read_text())["suggestions"][0]["frame"]
    others = sorted(set(range(len(clip.frames))) - {*anchors, suggested})
    rng = np.random.default_rng(len(clip.frames))
    drawn = [int(frame) for frame in rng.choice(others, _RANDOM_FRAMES, replace=False)]
    gains = [gain_of(clip, frame, scratch, before) for frame in (suggested, *drawn)]
    return {"J": before, "frame": suggested, "suggested": gains[0], "random": float(np.mean(gains[1:]))}


def _roots(scratch: Path) -> list[str]:
    return ["--data-root", str(scratch / "data"), "--outputs-root", str(scratch / "outputs"), "--workers", "2"]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sequences", type=lambda names: names.split(","))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in track(options.sequences or clip_names(options.root), console=Console(stderr=True), transient=True):
            rows[name] = measure(open_clip(options.root, name), Path(scratch))
    mean = {key: float(np.mean([row[key] for row in rows.values()])) for key in ("J", "suggested", "random")}
    table = Table("sequence", "J", "frame", "gain, suggested", "gain, mean of five random")
    for name, row in rows.items():
        table.add_row(name, f"{row['J']:.4f}", str(row["frame"]), f"{row['suggested']:+.4f}", f"{row['random']:+.4f}")
    table.add_row("mean", f"{mean['J']:.4f}", "", f"{mean['suggested']:+.4f}", f"{mean['random']:+.4f}")
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps({"mean": mean, "sequences": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
