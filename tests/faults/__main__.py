"""`python -m tests.faults PART`: a campaign: a line of JSON a case, then a summary. Exit code 1: faults were found."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PARTS = ("exhaust", "rot", "rerun", "kills", "power", "room", "held", "two", "clock", "fuzz")


def main() -> int:
    """Run a part, or a seeded sample of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="one case of so many, spread evenly")
    parser.add_argument("--first", type=int, default=0, help="which of them is the first")
    parser.add_argument("--count", type=int, default=1000, help="of random cases")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after the case that reaches this")
    parser.add_argument("--lines", type=Path, default=None, help="file that the cases are added to")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    folder = Path(tempfile.mkdtemp(prefix="lis-faults-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        return _report(given, _limited(_cases(given, folder), given.seconds))
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)


def _cases(given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    from tests.faults import scene

    scene.write_settings(folder)
    os.chdir(folder)
    from tests.faults import exhaust, fuzz, kills, power, rot, runs, weather

    runs.warm_up()
    start = scene.write_case(folder / "start")
    reference = start.copy(folder / "reference")
    ended = runs.run(reference, scene.RUN)
    assert ended.code == 0, ended.output
    expected = reference.outcome()
    if given.part == "exhaust":
        chosen = exhaust.cases(exhaust.number_of_calls(start, folder), given.seed)[given.first :: given.every]
        yield from exhaust.exhaust(start, expected, folder, chosen, given.seed)
    elif given.part == "rot":
        yield from rot.rot(reference, folder, given.every, given.seed)
    elif given.part == "rerun":
        yield from rot.rerun(reference, expected, folder, given.count, given.seed)
    elif given.part == "kills":
        yield from kills.kills(start, expected, folder, given.count, given.seed)
    elif given.part == "power":
        yield from power.power(start, folder)
    elif given.part == "fuzz":
        yield from fuzz.fuzz(reference, folder, given.count, given.seed)
    else:
        yield from getattr(weather, given.part)(start, expected, folder, given.count, given.seed)


def _limited(cases: Iterator[dict[str, Any]], seconds: float) -> Iterator[dict[str, Any]]:
    deadline = time.monotonic() + seconds
    for case in cases:
        yield case
        if time.monotonic() > deadline:
            return


def _report(given: argparse.Namespace, cases: Iterator[dict[str, Any]]) -> int:
    tried: Counter[str] = Counter()
    wrong = 0
    for case in cases:
        tried[case["kind"]] += 1
        if given.lines:
            with given.lines.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"part": given.part, "seed": given.seed, **case}) + "\n")
        if case["problems"]:
            wrong += 1
            sys.stdout.write(json.dumps(case, indent=1) + "\n")
            sys.stdout.flush()
    for kind, number in sorted(tried.items()):
        sys.stdout.write(f"{number:6} {kind}\n")
    sys.stdout.write(f"{sum(tried.values())} cases, {wrong} with something wrong\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
