"""Peak memory of a run against the length of the video: it must not grow.

    python -m benchmarks.memory --frames FOLDER --scribbles FILE.json --lengths 100,1000 --json memory.json

The clip is played there and back until it is long enough; every scribbled frame comes again, and so every stretch keeps
its length. `--anchors 8` keeps eight anchors instead, so that stretches grow with the video.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.toy import PROJECT, repeat_clip, show


def measure(frames: Path, scribbles: Path, length: int, anchors: int | None) -> dict[str, float]:
    """Run the pipeline on the clip at this length; the largest peak of any task, by its manifest."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        repeat_clip(frames, scribbles, root / "data", "long", length)
        if anchors:
            file = root / "data" / "toy" / "Scribbles" / "long" / "001.json"
            content = json.loads(file.read_text())
            drawn = [index for index, lines in enumerate(content["scribbles"]) if lines]
            kept = {drawn[len(drawn) * i // anchors] for i in range(anchors)}
            content["scribbles"] = [lines if i in kept else [] for i, lines in enumerate(content["scribbles"])]
            file.write_text(json.dumps(content))
        command = [str(Path(sys.executable).with_name("luigi")), "--module", "tasks", "RefineSequence", "--seq", "long",
                   "--data-root", str(root / "data"), "--outputs-root", str(root / "outputs"), "--placement", "given",
                   "--workers", "2"]  # fmt: skip
        subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
        peaks = {
            stage: max(
                json.loads(path.read_text())["run"]["peak_memory_mib"]
                for path in (root / "outputs" / "long").glob(pattern)
            )
            for stage, pattern in {
                "anchor_masks": "anchor_masks/*/manifest.json",
                "tracks": "tracks/*/manifest.json",
                "refined": "refined/*/manifest.json",
                "masks": "masks/manifest.json",
            }.items()
        }
    return {"frames": length, **{f"{stage}_mib": peak for stage, peak in peaks.items()}}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--scribbles", type=Path, required=True)
    parser.add_argument("--lengths", default="100,1000")
    parser.add_argument("--anchors", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    lengths = [int(length) for length in options.lengths.split(",")]
    rows = [measure(options.frames, options.scribbles, length, options.anchors) for length in lengths]
    show(rows, 0, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
