"""One session of the interactive DAVIS protocol: a sequence, a first scribble, and a robot that answers each result.

At every interaction a result is submitted, scored on all frames, and answered with scribbles on the frame that was
asked for. What is submitted is the policy's choice:

    lazy         empty masks until all scribbles are there, then the result (the paper)
    lazy-repeat  the result of the first scribble, until all scribbles are there
    anytime      the best result at each interaction

All ask for the planned anchors, the one farthest from all annotated frames first, and submit the frame that they ask
for empty: the robot then draws the whole object there, as a person does on an anchor that shows no mask, and not
corrections of a mask that the next scribble replaces. That is within the rules, costs one frame's score, and is named
in every summary.

A session is kept on disk, one folder an interaction, so that it goes on where it was stopped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from stages.core.errors import InputError
from stages.core.metrics import Scores, score_frame
from stages.core.strokes import Line
from stages.core.types import LabelMap
from stages.evaluation.truth import Masks, Truth
from stages.formats.files import publishing, put_in_place, write_json
from stages.formats.hdf5 import read_hdf5, write_hdf5
from stages.formats.json_files import read_json
from stages.formats.scribbles import ScribbleSet, merge

Robot = Callable[[str, LabelMap, LabelMap, int], Sequence[Line]]
"""(sequence, prediction (H, W), truth (H, W), number of objects) -> what a person would draw there."""


@dataclass(frozen=True)
class Rules:
    """What a session may do."""

    policy: str
    interactions: int
    max_time_s: float
    """For each object: what comes later does not count."""


@dataclass(frozen=True)
class Step:
    """One interaction."""

    number: int
    """From 1."""
    seconds: float
    charges: Mapping[str, float]
    """What the result was computed from and had not been charged before: artefact -> seconds that it took."""
    source: int | None
    """The interaction whose result was submitted; None: empty masks."""
    requested: int | None
    """The frame asked for, submitted empty; None: no frame was left to ask for."""
    late: bool
    """After the time was up: not scored, and the session is over."""
    lines: tuple[Line, ...]
    """The robot's answer."""
    region: tuple[tuple[float, ...], ...]
    """J: frames x objects; nothing if late."""
    boundary: tuple[tuple[float, ...], ...]
    """F, likewise."""


class Session:
    """A session as far as it has come."""

    def __init__(
        self, folder: Path, rules: Rules, truth: Truth, first: ScribbleSet, requests: Sequence[int], robot: Robot
    ) -> None:
        """Begin, or go on.

        Args:
            folder: the session's own.
            rules: policy and limits.
            truth: what results are compared with, and the robot draws from.
            first: the scribbles that the session begins with.
            requests: the frames to ask for, see `in_order`.
            robot: answers.

        Raises:
            InputError: the first scribbles do not fit the ground truth.
        """
        if not first.object_ids or (strangers := sorted(set(first.object_ids) - set(truth.object_ids))):
            found = f"strokes of the objects {strangers}" if first.object_ids else "no stroke"
            raise InputError(
                f"the scribbles of {first.sequence!r}: found {found}, expected strokes of some of the objects "
                f"{list(truth.object_ids)} of the ground truth; take the scribbles that were drawn for it"
            )
        self._folder, self._rules, self._truth = folder, rules, truth
        self._first, self._requests, self._robot = first, requests, robot
        self.steps: list[Step] = []
        while (step := folder / str(len(self.steps) + 1) / "step.json").is_file():
            self.steps.append(_read_step(step))

    @property
    def number(self) -> int:
        """The interaction that comes next."""
        return len(self.steps) + 1

    @property
    def over(self) -> bool:
        """Whether no interaction is left, or no time."""
        return len(self.steps) >= self._rules.interactions or any(step.late for step in self.steps)

    @property
    def scribbles(self) -> ScribbleSet:
        """Everything drawn so far."""
        return self.scribbles_before(self.number)

    def scribbles_before(self, number: int) -> ScribbleSet:
        """What had been drawn when interaction `number` began."""
        drawn = self._first
        for step in self.steps[: number - 1]:
            if step.requested is not None:
                drawn = merge(drawn, step.requested, step.lines)
        return drawn

    @property
    def computes(self) -> bool:
        """Whether the policy wants a new result at this interaction; there is one until all frames are annotated."""
        last = len(self._requests) + 1
        wanted = {"lazy": self.number == last, "lazy-repeat": self.number in (1, last), "anytime": self.number <= last}
        return wanted[self._rules.policy]

    def submit(self, labels: Masks | None, charges: Mapping[str, float], wall_s: float = 0.0) -> None:
        """Submit, be scored, be answered, and write it down.

        Args:
            labels: the new result; None where the policy wants none: then the last one is submitted again, or empty
                masks if there was none.
            charges: artefact -> seconds, of everything the result was computed from; what an earlier interaction of
                this session was charged for costs nothing now.
            wall_s: charge at least so many seconds.

        Raises:
            InputError: a mask has another shape than the ground truth.
        """
        charged = {name for step in self.steps for name in step.charges}
        fresh = {name: seconds for name, seconds in charges.items() if name not in charged}
        seconds = max(sum(fresh.values()), wall_s)
        allowed_s = self._rules.max_time_s * len(self._truth.object_ids)
        late = sum(step.seconds for step in self.steps) + seconds > allowed_s
        number = self.number
        requested = self._requests[number - 1] if number <= len(self._requests) else None
        with publishing(self._folder / str(number)) as temporary:
            if labels is not None:
                _write_labels(temporary / "labels.h5", labels)
            source = number if labels is not None else self._last_result
            path = temporary if source == number else self._folder / str(source)
            masks = self._masks(None if source is None else path / "labels.h5", requested)
            scores = [] if late else [self._score(mask, index) for index, mask in enumerate(masks)]
            region, boundary = (tuple(tuple(map(float, one[side])) for one in scores) for side in (0, 1))
            lines: tuple[Line, ...] = ()
            if requested is not None and not late:
                truth = self._truth[requested]
                drawn = self._robot(self._first.sequence, np.zeros_like(truth), truth, len(self._truth.object_ids))
                lines = merge(self._first, requested, drawn).frame(requested).lines  # rounded, as they will be read
            step = Step(number, seconds, fresh, source, requested, late, lines, region, boundary)
            write_json(temporary / "step.json", asdict(step))
            put_in_place(temporary, self._folder / str(number))
        self.steps.append(step)

    def submitted(self, number: int) -> Iterator[LabelMap]:
        """The masks of an interaction, frame by frame: (H, W) uint8."""
        step = self.steps[number - 1]
        path = None if step.source is None else self._folder / str(step.source) / "labels.h5"
        return self._masks(path, step.requested)

    @property
    def _last_result(self) -> int | None:
        return self.steps[-1].source if self.steps else None

    def _masks(self, labels: Path | None, requested: int | None) -> Iterator[LabelMap]:
        if labels is None:
            for _ in range(len(self._truth)):
                yield self._nothing
            return
        with read_hdf5(labels) as file:
            for index in range(len(self._truth)):
                yield self._nothing if index == requested else file["labels"][index]

    @cached_property
    def _nothing(self) -> LabelMap:
        return np.zeros_like(self._truth[0])

    def _score(self, mask: LabelMap, index: int) -> tuple[Scores, Scores]:
        return score_frame(mask, self._truth[index], self._truth.object_ids)


def in_order(requests: Sequence[int], annotated: Sequence[int]) -> list[int]:
    """The frames to ask for: always the one farthest from all annotated frames, the earlier among equals."""
    left, known, ordered = set(requests), set(annotated), []
    while left:
        ordered.append(min(left, key=lambda index: (-min((abs(index - other) for other in known), default=0), index)))
        known.add(ordered[-1])
        left.remove(ordered[-1])
    return ordered


def _write_labels(path: Path, labels: Masks) -> None:
    shape = (len(labels), *labels[0].shape)
    with write_hdf5(path) as file:
        data = file.create_dataset("labels", shape, np.uint8, chunks=(1, *shape[1:]), compression="gzip")
        for index in range(len(labels)):
            data[index] = labels[index]


def _read_step(path: Path) -> Step:
    fields = read_json(path)
    lines = tuple(
        Line(line["object_id"], tuple((float(x), float(y)) for x, y in line["path"])) for line in fields.pop("lines")
    )
    region, boundary = (tuple(map(tuple, fields.pop(measure))) for measure in ("region", "boundary"))
    return Step(**fields, lines=lines, region=region, boundary=boundary)
