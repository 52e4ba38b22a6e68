"""What a night costs besides the work: seconds a sequence for scheduling and forking, and to re-check a finished night.

python -m benchmarks.bulk --counts 20,500 --workers 2 --json bulk.json
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.quality import run_pipeline
from benchmarks.toy import show, write_sequence


def measure(count: int, workers: int, arguments: Sequence[str] = (), checks: int = 1) -> dict[str, float]:
    """Label `count` sequences of six frames of 48x32 pixels, then look at them again, `checks` times.

    Returns:
        Wall seconds; of the looks the median.

    Raises:
        StageError: a run failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for number in range(count):
            write_sequence(root / "data", f"s{number:04d}", 6)
        words = ["--data-root", str(root / "data"), "--outputs-root", str(root / "outputs"), "--placement", "given",
                 "--workers", str(workers), *arguments]  # fmt: skip
        seconds = [
            run_pipeline("toy", words, root / "log.txt", "BulkRefine", "--dataset").seconds for _ in range(1 + checks)
        ]
        work = sum(
            json.loads(path.read_text())["run"]["seconds"]
            for level in ("*", "*/*")
            for path in (root / "outputs").glob(f"s*/{level}/manifest.json")
        )
    return {
        "sequences": count,
        "first_s": seconds[0],
        "first_s_per_sequence": seconds[0] / count,
        "work_s_per_sequence": work / count,
        "overhead_s_per_sequence": (seconds[0] - work / workers) / count,
        "recheck_s": median(seconds[1:]),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="20,500")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measure(int(count), options.workers) for count in options.counts.split(",")]
    show(rows, 3, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
