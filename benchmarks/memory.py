"""Peak memory of a run against the length of the video: it must not grow.

    python -m benchmarks.memory --root DAVIS_ROOT --lengths 100,1000 --json memory.json

The sequence is played there and back until it is long enough; its eight anchors come again with it, and so every
stretch keeps its length. `--anchors 8` keeps eight of them instead, so that stretches grow with the video. What follows
`--` goes to the pipeline: `-- --segmenter grabcut --propagator flow --refiner guided`.
"""

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.clips import open_clip
from benchmarks.runs import Row, cut, pipeline, there_and_back
from stages.core.errors import LisError

_STAGES = ("anchor_masks", "tracks", "refined", "masks")


def measure(options: argparse.Namespace, arguments: list[str]) -> list[Row]:
    """Frames, and the peak of the largest task of each stage in MiB, for each length."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="lis-memory-") as scratch:
        whole = open_clip(options.root, options.sequence)
        clip = cut(whole, len(whole.frames), Path(scratch))
        for length in options.lengths:
            run = pipeline(partial(there_and_back, clip, length, anchors=options.anchors), arguments, workers=2)
            peaks = {f"{stage}_mib": run["stages"][stage]["peak_mib"] for stage in _STAGES}
            rows.append({"frames": length, **peaks})
    return rows


def main() -> int:
    """Measure and print; returns the exit code."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--sequence", default="blackswan", help="which one (%(default)s)")
    parser.add_argument("--lengths", type=lambda text: [int(part) for part in text.split(",")], default=[100, 1000])
    parser.add_argument("--anchors", type=int, help="so many in all; default: those of the sequence, again and again")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    options = parser.parse_args(words[:end])
    try:
        rows = measure(options, words[end + 1 :])
    except LisError as error:
        Console(stderr=True).print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        return 1
    table = Table(*rows[0], title="largest task, MiB", box=SIMPLE)
    for row in rows:
        table.add_row(*(f"{value:.0f}" for value in row.values()))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
