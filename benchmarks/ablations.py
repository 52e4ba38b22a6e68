"""The tables of docs/results.md, on any data in the DAVIS layout with ground truth.

    python -m benchmarks.ablations engines --root DAVIS_ROOT --out OUT --combinations grabcut+flow+guided
    python -m benchmarks.ablations paper --root DAVIS_ROOT --out OUT
    python -m benchmarks.ablations interactive --root DAVIS_ROOT --out OUT --policies lazy,lazy-repeat,anytime

`engines`: J, F and J&F of engine combinations with eight annotated frames. `paper`: what the paper claims, one change
at a time: refinement, both directions against forward only, 1, 2, 4 or 8 annotated frames, `eq1` against `spread`.
`interactive`: AUC and J&F at 60 s for each policy. The first annotated frame is that of scribble set 001, the others
get centre-line strokes from ground truth (`engines`, `paper`) or are answered by the robot (`interactive`).

Every run is the real command with results under OUT, so that a stopped benchmark goes on where it was, and a finished
one only prints its table. What is given after `--` goes to each command: `-- --workers 2 --clock cpu`.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.clips import Clip, clip_names, open_clip
from benchmarks.strokes import centre_lines
from stages.core.errors import LisError, StageError
from stages.core.metrics import score_sequence
from stages.core.plan import Plan, Segment
from stages.core.progress import silent
from stages.engines import protocols as engines
from stages.evaluation import POLICIES
from stages.formats.frames import Frames
from stages.formats.layout import find_sequence
from stages.formats.manifest import read_manifest
from stages.formats.masks import read_mask
from stages.formats.scribbles import merge, read_scribbles, write_scribbles
from stages.steps.assemble import assemble
from stages.steps.place_anchors import plan
from stages.steps.refine import GuardedRefiner, refine_segment
from stages.steps.track import track_segment

_PROJECT = Path(__file__).resolve().parents[1]  # where luigi.cfg lies
_WEIGHTS = _PROJECT / "data" / "weights"
_FORWARD = "forward only"


@dataclass(frozen=True)
class Bench:
    """Where things lie, and what every command gets."""

    root: Path
    out: Path
    names: Sequence[str]
    arguments: Sequence[str]

    def run(self, task: str, outputs: Path, *arguments: str) -> None:
        """Run a task to the end.

        Raises:
            StageError: it failed; its log is named.
        """
        where = ["--data-root", str(self.root.parent), "--dataset", self.root.name, "--outputs-root", str(outputs)]
        luigi = str(Path(sys.executable).with_name("luigi"))
        command = [luigi, "--module", "tasks", task, *where, *arguments, *self.arguments]
        log = self.out / "log.txt"
        with log.open("a", encoding="utf-8") as file:
            done = subprocess.run(command, cwd=_PROJECT, stdout=file, stderr=file, check=False)
        if done.returncode:
            raise StageError(f"{' '.join(command)}: ended with code {done.returncode}; the end of {log} says why.")

    def results(self, outputs: Path, name: str) -> Path:
        """A sequence's folder of results."""
        shared = find_sequence(self.root.parent, name, self.root.name).shared
        return outputs / self.root.name / name if shared else outputs / name


class Variant(NamedTuple):
    """One row of a table."""

    title: str
    arguments: tuple[str, ...] = ()
    annotated: int = 8
    placement: str = "eq1"
    base: str = ""
    """The variant whose results are taken over, as far as their keys still hold."""

    @property
    def folder(self) -> str:
        """Its name below OUT."""
        return self.title.replace(" ", "-").replace(":", "-")


def evaluate(bench: Bench, variant: Variant, name: str) -> dict[str, float]:
    """Label one sequence under a variant, with the real command, and score it."""
    clip = open_clip(bench.root, name)
    outputs = bench.out / variant.folder
    folder = bench.results(outputs, name)
    base = bench.results(bench.out / Variant(variant.base).folder, name)
    if variant.base and not folder.exists():
        shutil.copytree(base, folder)
    drawn = scribble(clip, bench.out / "scribbles", variant)
    scribbles = ("--scribbles-root", str(bench.out / "scribbles"), "--scribbles", drawn.stem, "--placement", "given")
    bench.run("EvaluateSequence", outputs, "--seq", name, *scribbles, *variant.arguments)
    mean = json.loads((folder / "evaluation" / "evaluation.json").read_text())["protocols"]["interactive"]["mean"]
    return {**mean, "CPU s a frame": cpu_seconds(folder) / len(clip.frames)}


def scribble(clip: Clip, folder: Path, variant: Variant) -> Path:
    """Write the scribble set of a variant: the clip's own first frame, centre lines on the others."""
    path = folder / clip.name / f"{variant.placement}-{variant.annotated}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = read_scribbles(clip.scribbles, clip.name, len(clip.frames))
        for index in plan(len(clip.frames), drawn.annotated, variant.annotated - 1, variant.placement).requested:
            drawn = merge(drawn, index, centre_lines(read_mask(clip.truths[index])))
        write_scribbles(path, drawn)
    return path


def cpu_seconds(folder: Path) -> float:
    """What the stages of a labelled sequence took, from their manifests."""
    stages = (path.parent for level in ("*", "*/*") for path in folder.glob(f"{level}/manifest.json"))
    labelling = [manifest for path in stages if (manifest := read_manifest(path))]
    return sum(one.run["cpu_seconds"] for one in labelling if one.stage not in ("evaluation", "truth", "report"))


def forward_only(bench: Bench, base: Variant, name: str) -> dict[str, float]:
    """The same anchor masks, carried forward only; frames before the first anchor can only be carried backward."""
    path = bench.out / _FORWARD.replace(" ", "-") / f"{name}.json"
    clip = open_clip(bench.root, name)
    if not path.is_file():
        folder = bench.results(bench.out / base.folder, name)
        anchors = [int(one.name) for one in sorted((folder / "anchor_masks").glob("[0-9]*"))]
        scratch = path.with_suffix(".scratch")
        shutil.rmtree(scratch, ignore_errors=True)
        masks = _carry_forward(Frames(clip.frames), anchors, folder, scratch)
        stems = (masks / f"{frame.stem}.png" for frame in clip.frames)
        scores = score_sequence(map(read_mask, stems), clip.read_truths(), clip.object_ids())
        found = {"J": scores.region.mean(), "F": scores.boundary.mean(), "J&F": scores.j_and_f.mean()}
        shutil.rmtree(scratch)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found), encoding="utf-8")
    content: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _carry_forward(video: Frames, anchors: Sequence[int], folder: Path, scratch: Path) -> Path:
    """Track, refine and assemble as the pipeline does, with the engines that made the results in `folder`."""
    tracked, refined_by = _key(next((folder / "tracks").glob("[0-9]*"))), _key(folder / "masks")
    propagator = engines.propagator(tracked["propagator"], _WEIGHTS, "auto", tracked["options"])
    refiner = engines.refiner(refined_by["refiner"], _WEIGHTS, "auto", refined_by["options"])
    guarded = GuardedRefiner(refiner, *refined_by["guard"])
    sources = {index: folder / "anchor_masks" / f"{index:05d}" for index in anchors}
    segments = []
    for planned in Plan(len(video), tuple(anchors), ()).segments:
        inner = planned.left is not None and planned.right is not None
        stretch = Segment(planned.start, planned.stop - 1, planned.left, None) if inner else planned
        seen = video[: planned.stop] if inner else video  # without a right anchor, a stretch ends with the video
        tracks, refined = scratch / "tracks" / stretch.name, scratch / "refined" / stretch.name
        tracks.mkdir(parents=True)
        refined.mkdir(parents=True)
        track_segment(tracks, seen, stretch, {index: sources[index] for index in stretch.anchors}, propagator, silent)
        refine_segment(refined, video, tracks, guarded, silent)
        segments.append(refined)
    (scratch / "masks").mkdir()
    assemble(scratch / "masks", [path.name for path in video.paths], video, sources, segments, guarded)
    return scratch / "masks"


def _key(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    if manifest is None:
        raise StageError(f"{folder}: found no complete result; delete the folder above it and run again")
    return manifest.key


def engines_table(bench: Bench, combinations: Sequence[str]) -> str:
    """J, F and J&F of every combination and sequence; what combinations have in common is computed once."""
    rows = {}
    made: dict[str, str] = {}
    for combination in combinations:
        segmenter, propagator, refiner = combination.split("+")
        shared = f"{segmenter}+{propagator}"
        arguments = ("--segmenter", segmenter, "--propagator", propagator, "--refiner", refiner)
        variant = Variant(combination.replace("+", " "), arguments, base=made.get(shared) or made.get(segmenter, ""))
        made[segmenter] = made[shared] = variant.title
        rows[f"`{combination.replace('+', '` `')}`"] = [evaluate(bench, variant, name) for name in bench.names]
    text = _table("engines", {title: _mean(scores) for title, scores in rows.items()})
    for title, scores in rows.items():
        text += f"\n{title}\n\n" + _table("sequence", dict(zip(bench.names, scores, strict=True)))
    return text


def paper_table(bench: Bench) -> str:
    """One change at a time, against the default of the configuration."""
    base = Variant("all of it")
    variants = [
        base,
        Variant("without refinement", ("--refiner", "none"), base=base.title),
        *(Variant(f"{count} annotated", annotated=count, base=base.title) for count in (4, 2, 1)),
        Variant("anchors by spread", placement="spread", base=base.title),
    ]
    rows = {each.title: _mean([evaluate(bench, each, name) for name in bench.names]) for each in variants}
    rows[_FORWARD] = _mean([forward_only(bench, base, name) for name in bench.names])
    order = [base.title, "without refinement", _FORWARD, *list(rows)[2:-1]]
    return _table("8 annotated frames by eq1, both directions, refined", {title: rows[title] for title in order})


def interactive_table(bench: Bench, policies: Sequence[str]) -> str:
    """AUC, J&F at 60 s and the curve, for each policy; the policies share what they compute."""
    listed = bench.out / "interactive.txt"
    listed.write_text("\n".join(bench.names) + "\n", encoding="utf-8")
    outputs, rows = bench.out / "interactive", {}
    for policy in policies:
        bench.run("EvaluateInteractive", outputs, "--list", str(listed.resolve()), "--policy", policy)
        summary = json.loads((outputs / "bulk" / f"interactive-{policy}" / "summary.json").read_text())
        curve = summary["curve"]
        rows[policy] = {
            "AUC": summary["auc"],
            "J&F at 60 s": summary["metric_at_threshold"]["J_AND_F"],
            "seconds": curve["time"][-2],
            **{f"J&F {number}": value for number, value in enumerate(curve["J_AND_F"][1:-1], 1)},
        }
    return _table("policy", rows)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {column: float(np.mean([row[column] for row in rows])) for column in rows[0]}


def _table(corner: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A markdown table; what a row does not have stays empty."""

    def lines() -> Iterator[str]:
        columns = list(next(iter(rows.values())))
        yield f"| {corner} | {' | '.join(columns)} |"
        yield "|---" * (len(columns) + 1) + "|"
        for title, row in rows.items():
            cells = (f"{row[column]:.3f}" if column in row else "" for column in columns)
            yield f"| {title} | {' | '.join(cells)} |"

    return "\n".join(lines()) + "\n"


def main() -> int:
    """Run what is missing and print the table; returns the exit code."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    options, passed_on = _parse(words[:end]), words[end + 1 :]
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        names = options.sequences or clip_names(options.root)
        bench = Bench(options.root.resolve(), options.out.resolve(), names, passed_on)
        tables = {
            "engines": lambda: engines_table(bench, options.combinations),
            "paper": lambda: paper_table(bench),
            "interactive": lambda: interactive_table(bench, options.policies),
        }
        table = tables[options.table]()
    except LisError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    (options.out / f"{options.table}.md").write_text(table, encoding="utf-8")
    sys.stdout.write(table)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    def listed(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("engines", "paper", "interactive"))
    parser.add_argument("--root", type=Path, required=True, help="JPEGImages/480p, Annotations/480p, Scribbles")
    parser.add_argument("--out", type=Path, required=True, help="folder of all results; what is there is used")
    parser.add_argument("--sequences", type=listed, help="A,B; default: all with ground truth")
    parser.add_argument("--combinations", type=listed, default=["grabcut+flow+guided", "grabcut+flow+none"],
                        help="segmenter+propagator+refiner,...")  # fmt: skip
    parser.add_argument("--policies", type=listed, default=[*POLICIES])
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
