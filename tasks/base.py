"""What every stage of a sequence has in common: when its result is stale, and how it is made and published."""

import contextlib
import contextvars
import errno
import json
import logging
import multiprocessing
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import luigi
from luigi.configuration import get_config
from luigi.task import flatten
from tqdm import tqdm

from stages import engines, weights
from stages.errors import InputError, LisError, StageError
from stages.frames import Frames as VideoFrames
from stages.frames import list_frames
from stages.lookup import SequencePaths, find_sequence
from stages.manifest import DigestCache, Json, Manifest, publish, publishing, read_manifest
from tasks import config, process
from tasks.targets import StageFolder

logger = logging.getLogger("lis")
T = TypeVar("T")

_checked: contextvars.ContextVar[dict[tuple[Any, ...], Any] | None] = contextvars.ContextVar("checked", default=None)


def once_a_question(key: tuple[Any, ...], find: Callable[[], T]) -> T:
    """What `find` finds; while one question whether a task is complete is answered, it is asked once for each key."""
    known = _checked.get()
    if known is None:
        return find()
    if key not in known:
        known[key] = find()
    found: T = known[key]
    return found


class LisTask(config.WhereOptions, config.MachineOptions, luigi.Task):
    """A task that reports a user's mistake when it runs, not as a stack trace from inside the scheduler."""

    @classmethod
    @cache
    def get_params(cls) -> list[tuple[str, luigi.Parameter[Any]]]:
        """Luigi searches the whole class for parameters each time a task is made; once per class is enough."""
        return list(super().get_params())

    @cached_property
    def _clones(self) -> dict[tuple[Any, ...], luigi.Task]:
        return {}

    def clone(self, cls: Any = None, **changes: Any) -> Any:
        """Luigi's, remembered: it goes through all parameters twice, and a task asks for the same few all the time."""
        key = (cls, *sorted(changes.items()))
        if key not in self._clones:
            self._clones[key] = super().clone(cls, **changes)
        return self._clones[key]

    def modules(self) -> tuple[str, ...]:
        """What its work imports; imported once in the parent, before the first fork."""
        return ()

    def prepare(self) -> None:
        """What all tasks of a kind share is made here, in the parent, just before it forks."""
        process.import_before_fork(self.modules())

    def is_complete(self) -> bool:
        """Whether the result is there and up to date, given that everything required is."""
        raise NotImplementedError

    def complete(self) -> bool:
        """Whether the result and everything it rests on are up to date; each task is looked at once per question."""
        if _checked.get() is not None:
            return once_a_question(("complete", self.task_id), self._look)
        token = _checked.set({})
        try:
            return self.complete()
        finally:
            _checked.reset(token)

    def _look(self) -> bool:
        try:
            return all(task.complete() for task in flatten(self.requires())) and self.is_complete()
        except LisError:
            return False  # run() meets the same error and tells it

    def deps(self) -> list[luigi.Task]:
        """Called by Luigi for incomplete tasks only, while it schedules, and again in the task's own process."""
        try:
            required = super().deps()
        except LisError:
            return []
        return list(required)

    def memory_mib(self) -> int:
        """What the task's process takes, in MiB."""
        return 256

    @property
    def resources(self) -> dict[str, int]:  # type: ignore[override]
        """A share of the machine's memory. A central scheduler does not know whose memory it is, and gets none."""
        total = get_config().getint("resources", process.MEMORY, 0)
        return {} if process.has_central_scheduler() or not total else {process.MEMORY: min(self.memory_mib(), total)}

    @property
    def worker_timeout(self) -> None:  # type: ignore[override]
        """No timeout of its own. Luigi asks for it in the parent just before it forks: the last moment to prepare."""
        self.prepare()

    def on_failure(self, exception: BaseException) -> str:
        """What the bulk summary shows as the reason."""
        return str(exception) if isinstance(exception, LisError) else str(super().on_failure(exception))

    def progress(self, items: Iterable[T], total: int) -> Iterator[T]:
        """Pass items through, and show how far we are: on luigid's page, and on a terminal if one worker runs."""
        bar = bool(self.progress_bars) and sys.stderr.isatty() and luigi.interface.core().workers == 1
        report = self.set_progress_percentage
        step = max(1, total // 20)
        for done, item in enumerate(tqdm(items, total=total, desc=str(self), leave=False, disable=not bar)):
            if report is not None and done % step == 0:
                report(100 * done // max(1, total))
            yield item


class SequenceTask(LisTask):
    """A task that works on one sequence."""

    seq = luigi.Parameter(description="name of the sequence: a folder below data/<dataset>/JPEGImages/480p")

    @cached_property
    def paths(self) -> SequencePaths:
        """Where the sequence's pictures, ground truth and scribbles lie."""
        return _find(self.data_root, self.seq, self.dataset or None)

    @property
    def frame_files(self) -> list[Path]:
        """The pictures, in order."""
        folder = self.paths.frames
        return _listing(folder, folder.stat().st_mtime_ns)

    @property
    def video(self) -> VideoFrames:
        """The pictures, decoded when asked for."""
        return VideoFrames(self.frame_files)

    @cached_property
    def root(self) -> Path:
        """The sequence's folder of results."""
        paths = self.paths
        if paths.name == "bulk":
            raise InputError("a sequence cannot be called `bulk`: the summaries of nights lie under this name.")
        return Path(self.outputs_root) / (f"{paths.dataset}/{paths.name}" if paths.shared else paths.name)

    def deps(self) -> list[luigi.Task]:
        """Take the sequence's lock before anything of it runs."""
        required = super().deps()
        with contextlib.suppress(LisError, OSError):  # run() meets the same error and tells it
            process.claim(self.root)
        return required

    def note(self, message: str) -> None:
        """One line on the terminal and in the sequence's log.txt."""
        logger.info("%s: %s", self.seq, message)
        with (self.root / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")


@cache
def _find(data_root: str, seq: str, dataset: str | None) -> SequencePaths:
    """Once per process: a command asks thousands of times."""
    return find_sequence(Path(data_root), seq, dataset)


@lru_cache(maxsize=256)
def _listing(folder: Path, _mtime_ns: int) -> list[Path]:
    return list_frames(folder)


class StageTask(SequenceTask):
    """A stage: a folder made from what `uses` names, complete while its manifest's key says the same."""

    stage: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it when the stage's code gives another result, beyond rounding."""

    def folder(self) -> Path:
        """Where the result lies, below the sequence's folder."""
        raise NotImplementedError

    def uses(self) -> Json:
        """Parameters, digests of outside files and of upstream results: everything the result depends on, no more."""
        raise NotImplementedError

    def weights(self) -> Json:
        """Name and sha256 of the checkpoints it uses."""
        return {}

    def work(self, folder: Path) -> list[int]:
        """Write the result's files into a folder; return the ids of the objects it holds."""
        raise NotImplementedError

    def output(self) -> StageFolder:
        """The stage's folder."""
        return StageFolder(self.root / self.folder())

    def key(self) -> Json:
        """What the result is made from, as its manifest records it."""
        key: Json = json.loads(json.dumps({"stage": self.stage, "version": self.version, **self.uses()}))
        return key

    def is_complete(self) -> bool:
        """Whether the published key equals the one computed now."""
        manifest = self._published()
        return manifest is not None and manifest.key == self.key()

    def _published(self) -> Manifest | None:
        return once_a_question(("manifest", self.task_id), lambda: read_manifest(self.output().path))

    def manifest(self) -> Manifest:
        """The published manifest.

        Raises:
            StageError: nothing is published.
        """
        manifest = self._published()
        if manifest is None:
            raise StageError(
                f"{self.output()} holds no complete result of the stage `{self.stage}`. Run the command again."
            )
        return manifest

    def run(self) -> None:
        """Make and publish the result, unless what lies there turns out to be right after all."""
        process.end_with_parent()
        flatten(self.requires())  # raises what complete() kept for itself
        if self.complete():
            return
        started, cpu_started = time.time(), time.process_time()
        target, key = self.output().path, self.key()  # before the work: an input that changes meanwhile is not claimed
        try:
            process.require(self.root)
            process.keep_freed_memory()
            limit_threads(self.threads)
            with publishing(target) as folder:
                objects = self.work(folder)
                if self.key() != key:
                    raise StageError(
                        f"what {target} is made from changed while it was made; nothing was published. Run the command "
                        "again; workers of one central scheduler must be started with the same options."
                    )
                if self.is_complete():
                    return  # another worker, given up meanwhile, has published the same after all
                seconds = time.time() - started
                run = {**_run_block(seconds, time.process_time() - cpu_started), "threads": self.threads}
                publish(folder, target, stage=self.stage, key=key, weights=self.weights(), objects=objects, run=run)
            self.note(f"{self.folder()} done in {seconds:.1f} s")
        except OSError as error:
            raise disk_error(error, target) from error

    def checkpoint(self, engine: str) -> Json:
        """Name and digest of an engine's checkpoint; nothing for an engine without one.

        A file that was not met before, and that the list does not know by its digest, is loaded once, in a process of
        its own (this one may still fork), to see that it holds the engine's network.

        Raises:
            WeightsError: it is missing, damaged, or belongs to another network.
        """
        return once_a_question(("checkpoint", engine, self.weights_root), lambda: self._checkpoint(engine))

    def _checkpoint(self, engine: str) -> Json:
        listed = weights.entry(engine)
        if listed is None:
            return {}
        root = Path(self.weights_root)
        path = weights.locate(engine, root)
        cache = DigestCache(Path(self.outputs_root) / ".digests.json")
        was_known, digest = cache.knows(path), cache.digest(path)
        if not was_known and digest != listed.sha256:
            with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
                pool.submit(_try_to_load, engine, root).result()
        cache.save()
        return {path.name: digest}


class EngineTask(StageTask):
    """A stage whose work an engine does."""

    plug: ClassVar[str]
    """`segmenter`, `propagator` or `refiner`: the name of the engine's option, too."""
    works_with: ClassVar[str]
    """The module of the work itself."""

    def modules(self) -> tuple[str, ...]:
        """The work, and the engine's code."""
        return (self.works_with, *engines.modules(self.plug, self.engine_name))

    def prepare(self) -> None:
        """Import, and build the engine, so that no task has to load its network again."""
        super().prepare()
        process.build_before_fork(self.engine, self.device)

    @property
    def engine_name(self) -> str:
        """As the option says."""
        name: str = getattr(self, self.plug)
        return name

    def memory_mib(self) -> int:
        """The engine's."""
        return engines.memory_mib(self.plug, self.engine_name, self.engine_options())

    def engine_options(self) -> Json:
        """What the engine may get; it takes what it knows."""
        return {}

    def engine(self) -> Any:
        """Build it."""
        build = getattr(engines, self.plug)
        return build(self.engine_name, Path(self.weights_root), self.device, self.engine_options())

    def weights(self) -> Json:
        """The engine's checkpoint."""
        return self.checkpoint(self.engine_name)

    def engine_key(self) -> Json:
        """What a result owes to the engine."""
        return {
            self.plug: self.engine_name,
            "options": engines.relevant(self.plug, self.engine_name, self.engine_options()),
            "weights": self.weights(),
        }


def _try_to_load(engine: str, weights_root: Path) -> None:
    weights.load_network(engine, weights_root)


def limit_threads(threads: int) -> None:
    """One core per task: OpenCV and torch would each take all of them."""
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def _run_block(seconds: float, cpu_seconds: float) -> dict[str, Any]:
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    packages = ("lis", "numpy", "opencv-python-headless", "torch")
    return {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "peak_memory_mib": round(peak_kib / 1024, 1),
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def disk_error(error: OSError, target: Path) -> StageError:
    """Say in plain words what the disk refused."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StageError(
            f"{error.filename or target}: {error.strerror or error}, while writing {target}. Check that the folder of "
            "results is one, and that it can be written."
        )
    existing = next(parent for parent in target.absolute().parents if parent.exists())
    free_mib = shutil.disk_usage(existing).free / 2**20
    return StageError(
        f"no room to write {target}: {os.strerror(error.errno)} ({free_mib:.0f} MiB free). "
        "Nothing half-written was kept. Make room, and run the same command again."
    )
