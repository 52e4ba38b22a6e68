"""Whole sessions of the interactive DAVIS protocol, and what they come to."""

import hashlib
import json
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import luigi
import psutil
from luigi.task import flatten

from stages.core.errors import InputError, StageError
from stages.formats import files, results
from stages.formats.files import remove, write_json
from stages.formats.manifest import Json
from stages.formats.names import check_name
from stages.formats.scribbles import write_scribbles
from stages.steps.place_anchors import plan
from tasks.anchors import AnchorMask
from tasks.choice import choose
from tasks.evaluate import GroundTruth
from tasks.inputs import Frames
from tasks.refine import RefineAnchor, RefineSegment, RefineSequence
from tasks.runtime import luigi_hooks, machine, options
from tasks.runtime.luigi_hooks import logger
from tasks.runtime.mistakes import disk_refuses
from tasks.runtime.published import PublishedTask
from tasks.runtime.sequence import ScribbledTask, StageTask
from tasks.tracks import TrackSegment

ObjectIds = list[int]  # in a class that has a parameter `list`

if TYPE_CHECKING:
    from stages.evaluation.interactive import Rules, Session
    from stages.evaluation.truth import Masks


class InteractiveSession(options.SessionOptions, options.RefineOptions, ScribbledTask, StageTask):
    """One session of the interactive DAVIS protocol: a sequence, one scribble set as its first round, and the robot.

    The masks are made by the pipeline itself, in a workspace beside the result: what one interaction computed, the next
    one finds there, and what another policy computed, too. Every interaction is kept as soon as it is over.
    """

    stage = results.INTERACTIVE

    def modules(self) -> tuple[str, ...]:
        """The work, and what the robot is made of."""
        from stages.evaluation import official

        return ("stages.evaluation.interactive", "stages.evaluation.summary", *official.libraries())

    def requires(self) -> list[luigi.Task]:
        """Pictures and ground truth; what is computed on the way depends on the robot's answers."""
        return [self.clone(Frames), self.clone(GroundTruth)]

    def folder(self) -> Path:
        """One per scribble set and policy."""
        return Path(results.INTERACTIVE) / f"{self.scribbles}-{self.policy}"

    def uses(self) -> Json:
        """The first round, the rules, and everything that makes masks."""
        return self._uses(self.pipeline())

    def former_keys(self) -> Iterable[Json]:
        """Before engines said which options mean nothing to a network."""
        anchors = self.clone(AnchorMask, frame=0).former_engine_key()
        spacing = anchors.pop("click_spacing_px")
        yield self._as_recorded(self._uses({**self.pipeline(), "segmenter": anchors, "click_spacing_px": spacing}))

    def _uses(self, pipeline: Json) -> Json:
        from stages.evaluation import official

        first = self.snapshot.scribbles
        return {
            "frames": self.clone(Frames).manifest().content,
            "truth": self.clone(GroundTruth).manifest().content,
            "strokes": {str(index): first.strokes_digest(index) for index in first.annotated},
            "rules": [self.policy, self.requests, self.placement, self.max_time_s, self.clock],
            "robot": [official.VERSION, official.SEED],
            "pipeline": pipeline,
        }

    def pipeline(self) -> Json:
        """The engines, with what they depend on."""
        tracking = self.clone(TrackSegment, start=0, stop=0)
        return {
            "segmenter": self.clone(AnchorMask, frame=0).engine_key(),
            "propagator": tracking.engine_key(),
            **({"memory_anchors": self.memory_anchors} if tracking.sees_beyond else {}),
            "refinement": self.clone(RefineAnchor, frame=0).refinement(),
            "versions": {task.stage: task.version for task in _STAGES},
        }

    def run(self) -> Iterator[luigi.Task]:  # type: ignore[override]
        """Play; where masks are wanted, Luigi has them made and calls again."""
        luigi_hooks.end_with_parent()
        flatten(self.requires())
        if self.complete():
            return
        self.enter()
        machine.limit_threads(self.threads)
        try:
            session = self.session(self.journal)
            while not session.over:
                if session.computes:
                    labelling = self.labelling(session)
                    yield labelling
                    session.submit(_labels(labelling), self.charges(labelling), self.wall_s(session.number))
                else:
                    session.submit(None, {})
        except OSError as error:
            raise StageError(disk_refuses(error, self.target())) from error
        super().run()
        for journal in self.workspace.glob(f"{self.policy}-{'[0-9a-f]' * _DIGITS}"):  # older ones are of no use now
            remove(journal)

    def work(self, folder: Path) -> list[int]:
        """Write report.csv, and the interactions with their masks."""
        from stages.evaluation.summary import Played, write_report

        files.copy_tree(self.journal, folder, skip="asked-*")
        truth = self.clone(GroundTruth).truth()
        steps = self.session(self.journal).steps
        write_report(folder / "report.csv", Played(self.seq, 1, len(truth.object_ids), steps).rows())
        return list(truth.object_ids)

    @property
    def workspace(self) -> Path:
        """Where masks are made; shared by the policies, which get the same scribbles."""
        return self.root / results.INTERACTIVE / "work" / self.scribbles

    @property
    def journal(self) -> Path:
        """The interactions of a session that is not over; another key is another session."""
        return self.workspace / f"{self.policy}-{_digest(self.key())}"

    @property
    def rules(self) -> "Rules":
        """The session's limits."""
        from stages.evaluation.interactive import Rules

        return Rules(self.policy, self.requests + 1, self.max_time_s)

    def session(self, folder: Path) -> "Session":
        """The session as it was written into a folder."""
        from stages.evaluation.interactive import Session, in_order
        from stages.evaluation.official import Robot

        first = self.snapshot.scribbles
        requested = plan(self.snapshot.frame_count, first.annotated, self.requests, self.placement).requested
        requests = in_order(requested, first.annotated)
        return Session(folder, self.rules, self.clone(GroundTruth).truth(), first, requests, Robot())

    def labelling(self, session: "Session") -> RefineSequence:
        """The pipeline on the scribbles drawn so far."""
        drawn = self.workspace / "scribbles" / self.snapshot.paths.name / f"{session.number:03d}.json"
        files.make_folder(drawn.parent)
        files.sweep_in(drawn.parent)
        write_scribbles(drawn, session.scribbles)
        asked = self.journal / f"asked-{session.number}-{_this_run()}"
        files.make_folder(asked.parent)
        if not asked.exists():
            files.write(asked, repr(time.time()))
        task: RefineSequence = self.clone(
            RefineSequence,
            outputs_root=str(self.workspace / "outputs"),
            scribbles_root=str(drawn.parents[1]),
            scribbles=drawn.stem,
            placement="given",
        )
        return task

    def charges(self, task: luigi.Task) -> dict[str, float]:
        """What a result and all it rests on took when it was made, from the manifests: a cache hit is not free."""
        charges: dict[str, float] = {}
        for required in flatten(task.requires()):
            charges |= self.charges(required)
        if isinstance(task, StageTask):
            manifest = task.manifest()
            charged = manifest.run["cpu_seconds" if self.clock == "cpu" else "seconds"]
            charges[f"{task.folder()} {_digest(manifest.key)}"] = charged
        return charges

    def wall_s(self, number: int) -> float:
        """What the masks took on the wall clock in this run, if that is what counts."""
        if self.clock != "wall":
            return 0.0
        asked = self.journal / f"asked-{number}-{_this_run()}"
        return time.time() - float(asked.read_text(encoding="utf-8"))


class EvaluateInteractive(options.EvaluationOptions, options.RefineOptions, options.PlanOptions, PublishedTask):
    """The interactive DAVIS protocol on every sequence of a list or a dataset: AUC, J&F at 60 s, and the curve."""

    list = luigi.Parameter(default="", description="text file: one sequence a line, # begins a comment")
    stage = "interactive_summary"

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.evaluation.official", "stages.evaluation.summary")

    def requires(self) -> Sequence[luigi.Task]:
        """One session for each sequence and scribble set; before any of them, what all of them need."""
        from stages.evaluation import official

        official.require()
        sessions = self.sessions()
        for session in sessions:
            drawn = session.snapshot.scribble_file
            if not drawn.is_file():
                raise InputError(
                    f"{drawn}: found no such file, expected the scribble sets {self.sets} for every sequence. "
                    f"Put it there, choose other --sets, or leave {session.seq} out."
                )
        return [*sessions]

    def sessions(self) -> Sequence[InteractiveSession]:
        """By sequence, then scribble set."""
        chosen = choose(self.list, self.dataset, self.data_root)
        if refused := next((each for each in chosen if each.refused), None):
            raise InputError(f"{refused.name}: {refused.refused}")
        if len({one.seq for one in chosen}) < len(chosen):
            raise InputError(
                "found two sequences of one name, of several datasets, expected each name once; evaluate one dataset "
                "at a time"
            )
        return [
            self.clone(InteractiveSession, seq=one.seq, dataset=one.dataset, scribbles=each)
            for one in chosen
            for each in self.alternatives()
        ]

    def alternatives(self) -> Sequence[str]:
        """The scribble sets."""
        return [check_name(name.strip(), "scribble set") for name in self.sets.split(",")]

    def target(self) -> Path:
        """One folder per policy and engine."""
        suffix = "" if self.engine == "own" else f"-{self.engine}"
        return Path(self.outputs_root) / "bulk" / f"interactive-{self.policy}{suffix}"

    def uses(self) -> Json:
        """The sessions' results."""
        sessions = {f"{session.seq} {session.scribbles}": session.manifest().content for session in self.sessions()}
        return {"engine": self.engine, "sessions": sessions}

    def work(self, folder: Path) -> ObjectIds:
        """Write summary.json, summary.csv, report.csv and curve.png."""
        summary = self.summarise(folder)
        for warning in summary["warnings"]:
            logger.warning("warning: %s", warning)
        measured = f"AUC {summary['auc']:.4f}, J&F at 60 s {summary['metric_at_threshold']['J_AND_F']:.4f}"
        logger.info("%s: %s; %s", self.policy, measured, self.target() / "summary.json")
        return []

    def summarise(self, folder: Path) -> Json:
        """Join the sessions, let the chosen engine keep the score, and describe what was measured."""
        from stages.evaluation import official
        from stages.evaluation.summary import Played, summarise, write_report, write_summary

        sets, tasks = self.alternatives(), self.sessions()
        played, samples = [], []
        for task in tasks:
            truth, session = task.clone(GroundTruth).truth(), task.session(task.target())
            played.append(Played(task.seq, sets.index(task.scribbles) + 1, len(truth.object_ids), session.steps))
            samples.append(official.Sample(task.seq, truth, task.snapshot.scribbles, session))
        rules = tasks[0].rules
        summary = summarise(played, rules.interactions, rules.max_time_s)
        rows = [row for session in played for row in session.rows()]
        if self.engine == "davisinteractive":
            rows, theirs = official.replay(samples, rules)
            summary["auc_own_engine"] = summary["auc"]
            summary["curve"] = {**summary["curve"], **theirs.pop("curve")}
            summary |= theirs
        subset = {
            task.seq: {"frames": task.snapshot.frame_count, "objects": one.objects}
            for task, one in zip(tasks, played, strict=True)
        }
        summary |= self._circumstances(tasks[0], subset)
        write_json(folder / "summary.json", summary)
        write_report(folder / "report.csv", iter(rows))
        write_summary(folder, summary)
        return summary

    def _circumstances(self, session: InteractiveSession, subset: Json) -> Json:
        """By which rules it was measured, on what, with what, and where."""
        from stages.evaluation import official

        return {
            "policy": self.policy,
            "requested_frame": "submitted empty",
            "interactions": session.rules.interactions,
            "placement": self.placement,
            "max_time_s_per_object": session.rules.max_time_s,
            "clock": self.clock,
            "engine": self.engine,
            "subset": subset,
            "scribbles": {
                "first_round": f"sets {self.sets} of the data",
                "answers": f"robot of davisinteractive {official.VERSION}",
                "seed": official.SEED,
            },
            "pipeline": session.pipeline(),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
            "machine": {
                "host": platform.node(),
                "platform": platform.platform(),
                "cpus": psutil.cpu_count(),
                "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            },
        }


_DIGITS = 12
_STAGES = (AnchorMask, TrackSegment, RefineSegment, RefineSequence)
_PACKAGES = ("lis", "numpy", "opencv-python-headless", "torch", "davisinteractive", "pandas", "scikit-image")


def _labels(labelling: RefineSequence) -> "Masks":
    from stages.evaluation.truth import Masks

    names = labelling.clone(Frames).names()
    return Masks(tuple(results.result_file(labelling.target(), name) for name in names))


def _digest(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_DIGITS]


@cache
def _this_run() -> str:
    """A name for this run of Luigi, the same in all of its processes."""
    parent = psutil.Process().parent()
    return f"{parent.pid}-{parent.create_time():.0f}" if parent else "0"
