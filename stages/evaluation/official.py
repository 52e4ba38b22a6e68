"""The official evaluation package, davisinteractive 1.0.4: its robot, and its session as a second opinion.

The package is from 2020 and was made for the libraries of its time. `_load` gives it what it misses, in this process
only: it changes names of numpy and networkx that other code may probe for, so nothing but the evaluation imports this
module, and only its own tasks call into it. What is mended, and nothing else:

* names that numpy and networkx have dropped since (np.int, np.float, np.trapz, from_scipy_sparse_matrix);
* the summary's means over columns of text and of plain objects, which pandas refuses by now;
* the medial axis: scikit-image breaks its ties at random by now, and every run would draw other scribbles. The
  generator of old breaks them.
"""

import importlib.util
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from stages.core.errors import InputError, StageError
from stages.core.strokes import Line
from stages.core.types import LabelMap
from stages.evaluation.interactive import Rules, Session
from stages.evaluation.summary import ReportRow
from stages.evaluation.truth import Truth
from stages.formats import files
from stages.formats.manifest import Json
from stages.formats.masks import write_mask
from stages.formats.scribbles import ScribbleSet, merge

VERSION = "1.0.4"
SEED = 0
_LIMITS = (16, 600)  # interactions, and seconds an object: the session lowers what is above, and says nothing


def libraries() -> tuple[str, ...]:
    """Slow imports of the package, as far as they are installed: a parent that forks may import them once for all."""
    wanted = ("networkx", "pandas", "requests", "skimage.filters", "skimage.morphology", "sklearn.neighbors")
    return tuple(name for name in wanted if importlib.util.find_spec(name.partition(".")[0]))


def require() -> None:
    """Check that the package is installed.

    Raises:
        InputError: it is not, or in another version.
    """
    found = version("davisinteractive") if importlib.util.find_spec("davisinteractive") else "no such package"
    if found != VERSION:
        raise InputError(
            f"davisinteractive: found {found}, expected {VERSION}, whose robot draws the scribbles of an interactive "
            "evaluation. It cannot be an ordinary dependency; install it with `make davisinteractive`."
        )


class Robot:
    """The package's robot with the parameters of its service, seeded: equal masks get equal scribbles."""

    @cached_property
    def _robot(self) -> Any:
        """Made when it is first asked: loading the package takes seconds."""
        require()
        package = _load()
        return package.robot.InteractiveScribblesRobot(**package.service.ROBOT_DEFAULT_PARAMETERS)

    def __call__(self, sequence: str, prediction: LabelMap, truth: LabelMap, objects: int) -> tuple[Line, ...]:
        """Scribble on the errors of one frame.

        Args:
            sequence: its name.
            prediction: (H, W) uint8 object ids.
            truth: (H, W) uint8 object ids.
            objects: how many there are; their ids are 1, 2, ...

        Returns:
            Lines in the order of their object ids, 0 (background drawn as an object) first; none for a perfect mask.
        """
        answer = self._robot.interact(sequence, prediction[None], truth[None], nb_objects=objects, frame=0)
        return tuple(_lines(answer["scribbles"][0]))


@dataclass(frozen=True)
class Sample:
    """A session of ours, to be played again."""

    sequence: str
    truth: Truth
    first: ScribbleSet
    session: Session


def replay(samples: Sequence[Sample], rules: Rules) -> tuple[list[ReportRow], Json]:
    """Play sessions again in a real `DavisInteractiveSession`, on a clock that runs as fast as they were charged.

    It hands out the scribbles, scores and answers what is submitted, and sums up. Submitted are the masks of our
    sessions; the scribbles that these were made from must be those that it hands out.

    Args:
        samples: by sequence; every sequence has equally many.
        rules: those of all samples.

    Returns:
        Its report and its summary.

    Raises:
        InputError: rules beyond its limits.
        StageError: it hands out other scribbles than ours were.
    """
    require()
    if rules.interactions > _LIMITS[0] or rules.max_time_s > _LIMITS[1]:
        raise InputError(
            f"found {rules.interactions} interactions and {rules.max_time_s:g} s an object, expected at most "
            f"{_LIMITS[0]} and {_LIMITS[1]} s with --engine davisinteractive; lower --requests or --max-time-s"
        )
    package = _load()
    clock = SimpleNamespace(now=1.0)
    package.session.time = SimpleNamespace(time=lambda: clock.now)
    by_sequence: dict[str, list[Sample]] = {}
    for sample in samples:
        by_sequence.setdefault(sample.sequence, []).append(sample)
    with tempfile.TemporaryDirectory(prefix="lis-davis-") as folder:
        root = Path(folder)
        package.dataset.Davis.sets["val"] = list(by_sequence)
        for name, alternatives in by_sequence.items():
            package.dataset.Davis.dataset[name] = _write_davis(root, name, alternatives)
        with package.session.DavisInteractiveSession(
            user_key="lis",
            davis_root=folder,
            max_time=rules.max_time_s,
            max_nb_interactions=rules.interactions,
            report_save_dir=root / "report",
        ) as session:
            number, waiting = 0, iter(samples)
            while session.next():
                name, drawn, is_new = session.get_scribbles()
                number, sample = (1, next(waiting)) if is_new else (number + 1, sample)
                step = sample.session.steps[number - 1]
                if step.requested is not None or step.source == number:
                    _compare(drawn, sample.session.scribbles_before(number), number)
                masks = np.stack([*sample.session.submitted(number)]).astype(int)
                clock.now += step.seconds
                session.submit_masks(masks, None if step.requested is None else [step.requested])
            report, summary = session.get_report(), session.get_global_summary()
    rows = [ReportRow(*(row[name] for name in ReportRow._fields)) for row in report.to_dict("records")]
    return rows, summary


def _load() -> SimpleNamespace:
    """Import the package, made to work with today's libraries."""
    import networkx as nx  # noqa: PLC0415 - see the top of this module
    from skimage.morphology import medial_axis  # noqa: PLC0415

    _give(np, "int", int)
    _give(np, "float", float)
    _give(np, "trapz", np.trapezoid)
    _give(nx, "from_scipy_sparse_matrix", nx.from_scipy_sparse_array)

    from davisinteractive import dataset  # noqa: PLC0415
    from davisinteractive.evaluation import service  # noqa: PLC0415
    from davisinteractive.robot import interactive_robot as robot  # noqa: PLC0415
    from davisinteractive.session import session  # noqa: PLC0415

    robot.medial_axis = lambda mask: medial_axis(mask, rng=_TieBreaker())  # type: ignore[no-untyped-call]
    original = service.EvaluationService.summarize_report
    if not hasattr(original, "mended"):

        def summarise(self: Any, report: Any) -> Any:
            measures = ["jaccard", "contour", "j_and_f", "timing"]
            return original(self, report.drop(columns=["session_id", "frame"]).astype(dict.fromkeys(measures, float)))

        summarise.mended = True  # type: ignore[attr-defined]
        service.EvaluationService.summarize_report = summarise
    return SimpleNamespace(dataset=dataset, service=service, robot=robot, session=session)


def _give(module: ModuleType, name: str, value: Any) -> None:
    if not hasattr(module, name):
        setattr(module, name, value)


class _TieBreaker(np.random.Generator):
    """Permutes as scikit-image did when the package was written: with the generator of old, always from the start."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(SEED))

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """See numpy; of a number or the first axis."""
        return np.random.RandomState(SEED).permutation(x)


def _write_davis(root: Path, name: str, alternatives: Sequence[Sample]) -> Mapping[str, Any]:
    """Write a sequence's ground truth and first scribbles as the package reads them; return its entry in the list."""
    truth = alternatives[0].truth
    annotations, scribbles = root / "Annotations" / "480p" / name, root / "Scribbles" / name
    files.make_folder(annotations)
    files.make_folder(scribbles)
    for index, mask in enumerate(truth):
        write_mask(annotations / f"{index:05d}.png", mask)
    for number, sample in enumerate(alternatives, 1):
        drawn = [
            [
                {"path": line.path, "object_id": line.object_id, "start_time": 0, "end_time": 0}
                for line in sample.first.frame(index).lines
            ]
            for index in range(len(truth))
        ]
        content = {"scribbles": drawn, "sequence": name}
        files.write(scribbles / f"{number:03d}.json", json.dumps(content))
    return {
        "name": name,
        "num_frames": len(truth),
        "num_scribbles": len(alternatives),
        "num_objects": len(truth.object_ids),
        "image_size": truth[0].shape[::-1],
        "set": "val",
    }


def _compare(handed_out: Mapping[str, Any], ours: ScribbleSet, number: int) -> None:
    theirs = ScribbleSet(ours.sequence, ours.frame_count)
    for index, lines in enumerate(handed_out["scribbles"]):
        if lines or index in ours.annotated:  # the robot leaves nothing behind where there is nothing to draw
            theirs = merge(theirs, index, _lines(lines))
    if theirs != ours:
        raise StageError(
            f"{ours.sequence}, interaction {number}: davisinteractive handed out other scribbles (frames "
            f"{[*theirs.annotated]}) than the masks were made from (frames {[*ours.annotated]}). This is a fault of "
            "the program, or of a package that was changed between the two."
        )


def _lines(lines: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    for line in lines:
        yield Line(line["object_id"], tuple((x, y) for x, y in line["path"]))
