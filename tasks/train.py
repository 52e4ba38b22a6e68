"""Training of small networks on anybody's pictures, and putting what came out where runs find it.

luigi --module tasks TrainNetwork --network fbrs_lite --train-root DIR
luigi --module tasks InstallNetwork --network fbrs_lite --name mine --train-root DIR
"""

import hashlib
import json
import math
import operator
import shlex
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import luigi
from luigi.freezing import FrozenOrderedDict
from luigi.parameter import ParameterException
from tqdm import tqdm

from stages.core.errors import InputError, StageError
from stages.engines import registry
from stages.engines.engine import Engine
from stages.formats import files
from stages.formats.files import sha256, sweep_beside
from stages.formats.manifest import Json
from stages.formats.own_network import (
    CARD,
    FOLDER,
    WEIGHTS,
    OwnNetwork,
    keep_aside,
    own_folder,
    write_own_network,
)
from tasks.runtime import locks, luigi_hooks, options
from tasks.runtime.luigi_hooks import abstract
from tasks.runtime.published import LisTask, PublishedTask

if TYPE_CHECKING:
    from stages.training.outcome import Facts
    from stages.training.session import Training
    from stages.training.sets import Unknown

_UNFINISHED: Final = "unfinished"
_COMMAND: Final = "command.txt"


class SharesParameter(luigi.Parameter):
    """Sets of pictures with their shares of a batch, `mine:0.7,coco_open:0.3`; empty: those of the recipe."""

    def parse(self, x: str) -> Mapping[str, float]:
        """Read the text; a set without a share has 1."""
        pairs = (part.strip().partition(":") for part in x.split(",") if part.strip())
        try:
            shares = {name: float(share) if colon else 1.0 for name, colon, share in pairs}
        except ValueError:
            shares = {"": 0}
        if not all(name and 0 < share < math.inf for name, share in shares.items()):
            raise ParameterException(f"{x!r}: expected sets with their shares above 0, mine:0.7,coco_open:0.3")
        return FrozenOrderedDict(shares)

    def normalize(self, x: Mapping[str, float]) -> Mapping[str, float]:
        """Something that can be hashed."""
        return FrozenOrderedDict(x)

    def serialize(self, x: Mapping[str, float]) -> str:
        """Write it again."""
        return ",".join(f"{name}:{share:g}" for name, share in x.items())


@abstract
class TrainingTask(LisTask):
    """What a training is identified by."""

    network = luigi.Parameter(description=f"which one: {', '.join(registry.small_networks())}")
    train_root = luigi.Parameter(
        description="folder of the sets: <set>/images/*, <set>/masks/*.png, <set>/ABOUT.md with a line `Licence:`; or "
        "a set itself"
    )
    sets: Mapping[str, float] = SharesParameter(  # type: ignore[assignment]
        default={},  # type: ignore[arg-type]
        description="sets and their shares of a batch; default: those of the recipe, or all below --train-root if "
        "these are not there",
    )
    steps = options.NumberParameter(
        default=0,
        var_type=int,
        min_value=0,
        max_value=10**7,
        right_op=operator.le,
        description="length of the training; 0: as the recipe says",
    )
    batch_size = options.NumberParameter(
        default=0,
        var_type=int,
        min_value=0,
        max_value=10**4,
        right_op=operator.le,
        description="examples in a step; 0: as the recipe says",
    )
    learning_rate = options.NumberParameter(
        default=0.0,
        var_type=float,
        min_value=0,
        max_value=1,
        right_op=operator.le,
        description="at its peak; 0: as the recipe says",
    )
    start = luigi.Parameter(
        default="", description="weights of such a network to begin with, a file; default: the backbone's alone"
    )
    seed = options.NumberParameter(
        default=1,
        var_type=int,
        min_value=0,
        max_value=2**31,
        description="of everything that is left to chance",
    )
    unknown = options.ChoiceParameter(
        default="auto",
        choices=("auto", "255", "none"),
        description="what 255 in masks is: auto (the object, in a set whose masks hold only 0 and 255; else what "
        "nobody knows), 255 (always what nobody knows), none (always an object)",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Luigi's, and a look at the network's name."""
        super().__init__(*args, **kwargs)
        try:
            registry.small_network(self.network)
        except InputError as error:
            raise ParameterException(str(error)) from None

    def modules(self) -> tuple[str, ...]:
        """Recipes, loop and all."""
        return ("stages.training.card",)

    def memory_mib(self) -> int:
        """Of the largest recipe, and of the processes that make its examples."""
        return 2048 + 256 * (luigi_hooks.workers() - 1)

    def note(self, message: str) -> None:
        """One line for people, beside the bar if there is one."""
        with tqdm.external_write_mode():
            super().note(message)  # type: ignore[misc]  # of PublishedTask

    @property
    def small(self) -> Engine:
        """The engine whose network is trained."""
        return registry.small_network(self.network)

    @cached_property
    def training(self) -> "Training":
        """Recipe and sets.

        Raises:
            InputError: there is no such set.
        """
        return self._plan(lambda _line: None)

    def _plan(self, tell: Any) -> "Training":
        from stages.training.session import plan_training

        return plan_training(
            self.network,
            Path(self.train_root),
            self.sets,
            steps=self.steps,
            batch=self.batch_size,
            unknown=cast("Unknown", self.unknown),
            seed=self.seed,
            tell=tell,
            start=Path(self.start) if self.start else None,
            learning_rate=self.learning_rate,
        )

    def options_that_matter(self) -> list[str]:
        """All that a training depends on, as on the command line."""
        chosen = self.training
        arguments = ["--train-root", str(self.train_root)]
        if not (Path(self.train_root) / "images").is_dir():
            arguments += ["--sets", ",".join(f"{each.name}:{each.share:g}" for each in chosen.sets)]
        schedule = chosen.recipe.schedule
        arguments += ["--steps", str(schedule.steps), "--batch-size", str(schedule.batch), "--seed", str(self.seed)]
        arguments += ["--learning-rate", f"{self.learning_rate:g}"] if self.learning_rate else []
        arguments += ["--start", str(self.start)] if self.start else []
        arguments += ["--unknown", self.unknown] if self.unknown != "auto" else []
        return arguments


class TrainNetwork(TrainingTask, PublishedTask):
    """Train a small network. Kill it at any time: the same command goes on from its last checkpoint.

    Examples are made by as many processes as there are `--workers`.
    """

    stage = "training"

    def __str__(self) -> str:
        """Short, to leave room for a bar."""
        return f"training of {self.network}"

    def uses(self) -> Json:
        """Recipe, pictures, networks that help, seed."""
        return self.training.key()

    @property
    def root(self) -> Path:
        """Every training has a folder of its own, so that none is in another's way."""
        digest = hashlib.sha256(json.dumps(self.key(), sort_keys=True).encode()).hexdigest()
        name = f"{self.training.recipe.schedule.steps}-steps-seed-{self.seed}-{digest[:10]}"
        return Path(self.outputs_root) / "training" / self.network / name

    def target(self) -> Path:
        """Weights, card, curves, tables, and a sheet of held-out examples."""
        return self.root / "result"

    def enter(self) -> None:
        """One process at a time; and say what other trainings are waiting to be finished."""
        locks.require(self.root, shared=False)
        for other in sorted(self.root.parent.glob(f"*/{_UNFINISHED}")):
            if other.parent != self.root and not locks.is_taken(other.parent):
                self.note(
                    f"another training is unfinished in {other}: the command in its {_COMMAND} goes on with it (if its "
                    "pictures are as they were); delete that folder to drop it"
                )

    def workplace(self) -> Any:
        """It outlives a kill."""
        return nullcontext(self.root / _UNFINISHED)

    def work(self, folder: Path) -> list[int]:
        """Train, or go on where it stopped."""
        from stages.training.card import card
        from stages.training.session import run_training

        files.make_folder(folder)
        command = self.command()
        files.write(folder / _COMMAND, command + "\n")

        def write_card(notes: str, facts: "Facts") -> str:
            return card(self.small.name, notes, facts, command)

        training, workers = self._plan(self.note), luigi_hooks.workers()
        run_training(folder, training, write_card, self.progress, self.note, device=self.device, workers=workers)
        return []

    def command(self) -> str:
        """The command line that gives this training."""
        start = ["luigi", "--module", "tasks", "TrainNetwork", "--network", self.network]
        return shlex.join([*start, *self.options_that_matter()])


class InstallNetwork(TrainingTask, PublishedTask):
    """Train a small network, compare it with the one in use, and let runs find it: `fbrs:mine`."""

    name = luigi.Parameter(description="of the network, behind the engine's: `mine` for `fbrs:mine`")
    even_if_worse = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,
        description="install it even if it is worse than the network in use",
    )
    stage = "own_network"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Luigi's, and a look at the name."""
        super().__init__(*args, **kwargs)
        try:
            own_folder(Path(self.weights_root), self.engine)
        except InputError as error:
            raise ParameterException(str(error)) from None
        if self.name in (network.name for network in self.small.spec.networks):
            raise ParameterException(f"{self.engine} is a network that LIS knows already; choose another --name")

    @property
    def engine(self) -> str:
        """As users will write it."""
        return f"{self.small.spec.name}:{self.name}"

    def target(self) -> Path:
        """Below the folder of checkpoints."""
        return own_folder(Path(self.weights_root), self.engine)

    def requires(self) -> list[luigi.Task]:
        """The training, unless what came out of it is in its place already."""
        return [] if self.is_complete() else [self.clone(TrainNetwork)]

    def uses(self) -> Json:
        """The training."""
        return {"training": self.clone(TrainNetwork).key()}

    def enter(self) -> None:
        """One process at a time puts something there."""
        locks.require(Path(self.weights_root) / FOLDER / ".locks" / self.engine.replace(":", "-"), shared=False)
        sweep_beside(self.target())

    def work(self, folder: Path) -> list[int]:
        """Compare, and write network.json, network.safetensors and card.md.

        Raises:
            StageError: it is worse than the network in use.
        """
        from stages.training.card import card
        from stages.training.comparison import compare
        from stages.training.outcome import read_facts
        from stages.training.record import in_words
        from stages.training.session import weights_file

        trained, root = self.clone(TrainNetwork).target(), Path(self.weights_root)
        result = compare(self.training, trained, self.engine, root, self.note)
        if result.is_worse and not self.even_if_worse:
            raise StageError(
                f"{self.engine} was not installed: on the same held-out pictures ({result.held_out}) it has "
                f"{in_words(result.figures)}, and {result.rival}, which is in use, {in_words(result.theirs)}. Train "
                "longer (--steps) or on more pictures; --even-if-worse (luigi: --even-if-worse true) installs it all "
                f"the same, without another training. It lies in {trained}"
            )
        facts, command = read_facts(trained), shlex.join(["lis", "train", self.engine, *self.options_that_matter()])
        files.copy(trained / weights_file(self.network), folder / WEIGHTS)
        files.write(folder / CARD, card(self.engine, self.training.recipe.notes, facts, command, result))
        small = self.small.network
        assert small is not None
        network = OwnNetwork(
            engine=self.engine,
            base=small.name,
            sha256=sha256(folder / WEIGHTS),
            licence=facts.terms,
            figures=result.figures,
            decided_by=result.decided_by,
            rival=result.rival,
            figures_of_rival=result.theirs,
        )
        write_own_network(folder, network)
        if kept := keep_aside(self.target()):
            self.note(f"the earlier {self.engine} is kept in {kept}")
        return []

    def name_of_result(self) -> str:
        """What the log calls it."""
        return f"{self.engine} (use it by --{self.small.spec.plug} {self.engine}; {self.target()})"
