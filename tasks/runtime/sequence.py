"""Tasks about one sequence: their view of it, its lock, its log, and the engines that do their work."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import luigi

from stages.core.errors import LisError
from stages.core.plan import Plan
from stages.engines import registry, weight_files
from stages.engines.engine import Engine
from stages.engines.spec import Plug
from stages.formats import results
from stages.formats.dataset_json import write_owner
from stages.formats.digests import DigestCache
from stages.formats.log import BEGINS, FAILED, write_log
from stages.formats.manifest import Json
from stages.formats.progress import Event
from tasks.runtime import locks, luigi_hooks, machine, runs
from tasks.runtime.freezing import freeze
from tasks.runtime.luigi_hooks import abstract, logger
from tasks.runtime.mistakes import explain
from tasks.runtime.options import ENGINE_OPTIONS, NameParameter, PlanOptions
from tasks.runtime.published import LisTask, PublishedTask
from tasks.runtime.questions import once_a_question
from tasks.runtime.snapshot import Place, SequenceSnapshot, Terms, home_of, paths_of, root_of, snapshot_of

_SECONDS_BETWEEN_PARTS: Final = 1.0


@abstract
class SequenceTask(LisTask):
    """A task that works on one sequence."""

    seq = NameParameter(description="name of the sequence: a folder below data/<dataset>/JPEGImages/480p")

    @cached_property
    def place(self) -> Place:
        """Where the sequence is looked for."""
        return Place(self.data_root, self.outputs_root, self.dataset, self.seq)

    @property
    def terms(self) -> Terms | None:
        """What anchors are chosen from; None for tasks that know nothing of scribbles."""
        return None

    reads_frozen: ClassVar[bool] = True
    """Whether it works with what people said when the run began; not what changes that itself."""

    @property
    def snapshot(self) -> SequenceSnapshot:
        """The sequence as its files are now, and as people spoke of it when the run began."""
        live = not self.reads_frozen
        return once_a_question(
            ("snapshot", self.place, self.terms, live), lambda: snapshot_of(self.place, self.terms, live=live)
        )

    @cached_property
    def root(self) -> Path:
        """The sequence's folder of results."""
        return root_of(self.place)

    @property
    def told_as(self) -> str:
        """What people and programs that watch a run call the task."""
        return str(self.task_family)

    @property
    def only_looks(self) -> bool:
        """Whether it changes nothing, and so needs no lock, and leaves no trace."""
        return False

    def scheduled(self) -> None:
        """Take the sequence's lock before anything of it runs."""
        if self.only_looks:
            return
        if runs.join(self.root, shared=luigi_hooks.has_central_scheduler()):
            write_log(self.root, BEGINS)
            write_owner(self.root, paths_of(self.place).dataset)
            if told := home_of(self.place).told:
                self.note(told)

    def prepare(self) -> None:
        """The graph is built: say what is planned."""
        runs.tell_plans()
        super().prepare()

    def enter(self) -> None:
        """Check that no other run works on the sequence."""
        if not self.only_looks:
            locks.require(self.root, shared=luigi_hooks.has_central_scheduler())

    def note(self, message: str) -> None:
        """One line on the terminal and in the sequence's log.txt."""
        logger.info("%s: %s", self.seq, message)
        write_log(self.root, message)

    def on_failure(self, exception: BaseException) -> str:
        """What the scheduler keeps as the reason; it goes into the sequence's log.txt, too."""
        reason = super().on_failure(exception)
        if not isinstance(exception, locks.BusyError) and not self.only_looks:
            with suppress(LisError, OSError):  # it may be this that has failed
                self.failed(f"{self.task_family}: {explain(exception) or repr(exception)}")
        return reason

    def failed(self, why: str) -> None:
        """Write down that it did."""
        runs.tell(self.root, self.told_as, Event.FAILED, message=why)
        write_log(self.root, f"{FAILED}{why}")


@SequenceTask.event_handler(luigi.Event.PROCESS_FAILURE)
def _died(task: SequenceTask, why: str) -> None:
    """Runs in the scheduling process: a task that was killed says nothing itself."""
    with suppress(LisError, OSError):
        task.failed(f"{task.task_family}: {why}")


@abstract
class ScribbledTask(PlanOptions, SequenceTask):
    """A task that knows the sequence's scribbles, and so its anchors."""

    @cached_property
    def terms(self) -> Terms:
        """What anchors are chosen from."""
        return Terms(self.scribbles, self.scribbles_root, self.requests, self.placement, self.new_set)

    def scheduled(self) -> None:
        """What people say from now on waits for the next run."""
        super().scheduled()
        if self.reads_frozen:
            freeze(self.place, self.terms)

    def run(self) -> None:
        """Luigi's; a mistake in what people said is told of their files, not of the copies."""
        with self.telling_of_originals():
            super().run()

    @contextmanager
    def telling_of_originals(self) -> Iterator[None]:
        """Mistakes are told of the files that people made, not of the run's copies."""
        try:
            yield
        except LisError as error:
            if frozen := self.snapshot.frozen:
                error.args = (frozen.told(str(error)), *error.args[1:])
            raise

    @property
    def plan(self) -> Plan:
        """The anchors, and the stretches between them."""
        return self.snapshot.plan


@abstract
class ProvisionalTask(ScribbledTask):
    """A task that makes do with the anchors that are annotated while others wait: as with the placement `given`.

    It is told which, so that what a person draws meanwhile waits for the next run.
    """

    annotated = luigi.TupleParameter(description="frame indices of the anchors that are annotated")

    @property
    def plan(self) -> Plan:
        """Those anchors, and the stretches between them."""
        return Plan(self.snapshot.frame_count, self.annotated, ())


@abstract
class StageTask(SequenceTask, PublishedTask):
    """A stage of a sequence: a folder below the sequence's folder of results."""

    rank: ClassVar[int] = 0
    """What goes first of a sequence: the higher; 9 at most."""

    @property
    def priority(self) -> float:  # type: ignore[override]
        """Sequence after sequence; of one, what goes first, and the long before the short: so workers end together."""
        with suppress(LisError, OSError):
            return self.rank + self.length() / (1 + self.length()) - 10 * runs.number_of(self.root)
        return 0  # whatever is wrong, the task meets it

    def length(self) -> int:
        """In frames, where tasks of its kind have different ones."""
        return 0

    def folder(self) -> Path:
        """Where the result lies, below the sequence's folder."""
        raise NotImplementedError

    def target(self) -> Path:
        """The stage's folder."""
        return self.root / self.folder()

    def name_of_result(self) -> str:
        """What the log calls the result."""
        return str(self.folder())

    @property
    def told_as(self) -> str:
        """As the result."""
        return self.name_of_result()

    def frames_covered(self) -> int:
        """How many frames it works on: all of them, unless a stage says otherwise."""
        return self.snapshot.frame_count

    def scheduled(self) -> None:
        """Join the run's plan."""
        super().scheduled()
        runs.plan(self.root, self.told_as)

    def enter(self) -> None:
        """Check that no other run works on the sequence, and say that the work begins."""
        super().enter()
        self._told_at = time.monotonic()
        runs.tell(self.root, self.told_as, Event.START, frames=self.frames_covered())

    def run(self) -> None:
        """Say that it is done, too."""
        super().run()
        runs.tell(self.root, self.told_as, Event.DONE)

    def part_done(self, part: float) -> None:
        """Say how far it is, once a second at most."""
        if time.monotonic() - self._told_at >= _SECONDS_BETWEEN_PARTS:
            self._told_at = time.monotonic()
            runs.tell(self.root, self.told_as, Event.PART, part=round(part, 3), frames=self.frames_covered())

    def checkpoint(self, plug: Plug, name: str) -> Json:
        """Name and digest of an engine's checkpoint; nothing for an engine without one.

        A file that was not met before, and that the list does not know by its digest, is loaded once, in a process of
        its own (this one may still fork), to see that it holds the engine's network.

        Raises:
            WeightsError: it is missing, damaged, or belongs to another network.
        """
        return once_a_question(("checkpoint", plug, name, self.weights_root), lambda: self._checkpoint(plug, name))

    def _checkpoint(self, plug: Plug, name: str) -> Json:
        root = Path(self.weights_root)
        engine = registry.find(plug, name, root)
        if engine.network is None:
            return {}
        path = weight_files.locate(engine, root)
        cache = DigestCache(Path(self.outputs_root) / results.DIGESTS)
        was_known, digest = cache.knows(path), cache.digest(path)
        if not was_known and digest != engine.network.checkpoint.sha256:
            with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
                pool.submit(_try_to_load, name, root).result()
        cache.save()
        return {path.name: digest}


@abstract
class EngineTask(StageTask):
    """A stage whose work an engine does."""

    plug: ClassVar[Plug]
    """The name of the engine's option, too."""
    works_with: ClassVar[str]
    """The module of the work itself."""

    @property
    def stays_warm(self) -> bool:  # type: ignore[override]
        """Unless it has begun threads: then its process may not fork any more, as for a look at a checkpoint."""
        return bool(self.threads == 1)

    @property
    def needs_engine(self) -> bool:
        """Whether an engine has anything to do; not where a person has said it all."""
        return True

    def modules(self) -> tuple[str, ...]:
        """The work, and the engine's code."""
        return (self.works_with, *(self.found_engine.modules if self.needs_engine else ()))

    def load(self) -> None:
        """Import, and build the engine, so that no task has to load its network again."""
        super().load()
        if self.needs_engine:
            luigi_hooks.build_before_fork(self.engine, self.device)

    @property
    def engine_name(self) -> str:
        """As the option says."""
        name: str = getattr(self, self.plug)
        return name

    @property
    def found_engine(self) -> Engine:
        """What the name stands for."""
        return registry.find(self.plug, self.engine_name, Path(self.weights_root))

    @property
    def engine_options(self) -> Json:
        """The run's options that engines of this plug point know."""
        return {
            option.name: getattr(self, option.name)
            for option in self.found_engine.spec.options
            if option.name in ENGINE_OPTIONS
        }

    def memory_mib(self) -> int:
        """The engine's, if it has anything to do."""
        return self.engine_memory_mib() if self.needs_engine else super().memory_mib()

    def uses_gpu(self) -> bool:
        """Where the engine has something to do, and a network to do it with."""
        return self.needs_engine and self.found_engine.network is not None and machine.uses_gpu(self.device)

    def engine_memory_mib(self) -> int:
        """What a task takes whose work the engine does, in MiB."""
        return self.found_engine.memory_mib(self.engine_options)

    def engine(self) -> Any:
        """Build it."""
        return registry.build(self.plug, self.engine_name, Path(self.weights_root), self.device, self.engine_options)

    def weights(self) -> Json:
        """The engine's checkpoint, if it has anything to do."""
        return self.engine_weights() if self.needs_engine else {}

    def engine_weights(self) -> Json:
        """The engine's checkpoint."""
        return self.checkpoint(self.plug, self.engine_name)

    def engine_key(self) -> Json:
        """What a result owes to the engine."""
        if not self.needs_engine:
            return {}
        engine = self.found_engine
        key = {self.plug: self.engine_name, "options": engine.key(self.engine_options), "weights": self.weights()}
        # The first version of an engine has no number: so it was in results that are older than the numbers.
        return key if engine.version == 1 else {**key, "engine_version": engine.version}


def _try_to_load(name: str, weights_root: Path) -> None:
    registry.load_network(name, weights_root)
