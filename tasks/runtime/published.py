"""What every task has in common, and how a result on disk is recognised, made and published."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from luigi.parameter import ParameterException
from luigi.task import flatten
from tqdm import tqdm

from stages.core.errors import InputError, LisError, StageError
from stages.engines import registry
from stages.engines.spec import Plug
from stages.formats.files import publishing
from stages.formats.manifest import Json, Manifest, check_files, publish, read_manifest
from tasks.runtime import luigi_hooks, machine
from tasks.runtime.luigi_hooks import HookedTask, abstract, logger
from tasks.runtime.mistakes import disk_refuses
from tasks.runtime.options import EngineParameter, MachineOptions, WhereOptions
from tasks.runtime.questions import once_a_question, part_of_a_question
from tasks.runtime.targets import StageFolder

T = TypeVar("T")

_wanted_whole: set[Path] = set()
"""Folders that count as complete only with what was cleaned away in them: a task is to be made that reads it."""


@abstract
class LisTask(WhereOptions, MachineOptions, HookedTask):
    """A task that reports a user's mistake when it runs, not as a stack trace from inside the scheduler."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Luigi's, and a look at the names of engines."""
        super().__init__(*args, **kwargs)
        for name, plug in self._plugs().items():
            try:
                registry.find(plug, getattr(self, name), Path(self.weights_root))
            except InputError as error:
                raise ParameterException(str(error)) from None

    @classmethod
    @cache
    def _plugs(cls) -> dict[str, Plug]:
        return {name: option.plug for name, option in cls.get_params() if isinstance(option, EngineParameter)}

    def load(self) -> None:
        """Import what the work needs."""
        luigi_hooks.import_before_fork(self.modules())

    def is_complete(self) -> bool:
        """Whether the result is there and up to date, given that everything required is."""
        raise NotImplementedError

    def complete(self) -> bool:
        """Whether nothing of it is to be made: it is up to date, and nothing that it should hold was cleaned away."""
        with part_of_a_question():
            return self.is_up_to_date() and self.is_whole()

    def is_up_to_date(self) -> bool:
        """Whether the result and everything it rests on are right; each task is looked at once per question."""
        return once_a_question(self.question, self._look)

    @property
    def question(self) -> tuple[str, str]:
        """Whether it is up to date, as `once_a_question` knows it."""
        return "up to date", self.task_id

    def is_whole(self) -> bool:
        """Whether everything is there that tasks want of it which are to be made."""
        return True

    def _look(self) -> bool:
        try:
            # All of them are asked, even behind one that is not up to date: each says what it wants of others.
            below = [task.is_up_to_date() for task in flatten(self.requires())]
            return all(below) and self.is_complete()
        except (LisError, OSError):
            return False  # run() meets the same error and tells it

    def progress(self, items: Iterable[T], total: int) -> Iterator[T]:
        """Pass items through, and show how far we are: on luigid's page, and on a terminal if one worker runs."""
        bar = bool(self.progress_bars) and sys.stderr.isatty() and luigi_hooks.workers() == 1
        report = self.set_progress_percentage
        step = max(1, total // 20)
        for done, item in enumerate(tqdm(items, total=total, desc=str(self), leave=False, disable=not bar)):
            if report is not None and done % step == 0:
                report(100 * done // max(1, total))
            self.part_done(done / max(1, total))
            yield item

    def part_done(self, part: float) -> None:
        """Called for each item that `progress` passes through: how much of the task is done, in [0, 1]."""


@abstract
class PublishedTask(LisTask):
    """A folder made from what `uses` names, complete while its manifest's key says the same."""

    stage: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it when the stage's code gives another result, beyond rounding."""
    reads_soft_masks: ClassVar[bool] = False
    """Whether its work reads those files of what it requires that `lis clean` deletes."""

    def target(self) -> Path:
        """Where the result lies."""
        raise NotImplementedError

    def uses(self) -> Json:
        """Parameters, digests of outside files and of upstream results: everything the result depends on, no more."""
        raise NotImplementedError

    def former_keys(self) -> Iterable[Json]:
        """What earlier versions of LIS would have recorded for the same result: what has such a key is up to date."""
        return ()

    def weights(self) -> Json:
        """Name and sha256 of the checkpoints it uses."""
        return {}

    def work(self, folder: Path) -> list[int]:
        """Write the result's files into a folder; return the ids of the objects it holds."""
        raise NotImplementedError

    def remarks(self, folder: Path) -> Json:
        """What people should know of the files in a folder: goes into the manifest's `run` block."""
        return {}

    def known_digest(self, path: Path) -> str | None:
        """The sha256 of a file that the work has written, if it is known without reading it."""
        return None

    def enter(self) -> None:
        """Called before the work: take what nobody else may have at the same time.

        Raises:
            StageError: somebody else has it.
        """

    def note(self, message: str) -> None:
        """One line for people."""
        logger.info("%s", message)

    def output(self) -> StageFolder:
        """The folder, as Luigi sees it."""
        return StageFolder(self.target())

    def key(self) -> Json:
        """What the result is made from, as its manifest records it."""
        return self._as_recorded(self.uses())

    def _as_recorded(self, uses: Json) -> Json:
        key: Json = json.loads(json.dumps({"stage": self.stage, "version": self.version, **uses}))
        return key

    def is_complete(self) -> bool:
        """Whether the published key equals the one computed now, or one that says the same in a former way."""
        manifest = self._published()
        if manifest is None:
            return False
        return manifest.key == self.key() or any(manifest.key == key for key in self.former_keys())

    def is_whole(self) -> bool:
        """Whether it still has the soft masks, if a task is to be made that reads them."""
        manifest = self._published()
        if manifest is None or not manifest.cleaned:
            _wanted_whole.discard(self.target())
        return self.target() not in _wanted_whole

    def _look(self) -> bool:
        is_right = super()._look()
        if not is_right:
            with suppress(LisError, OSError):
                self._want_soft_masks()
        return is_right

    def _want_soft_masks(self) -> None:
        """This task is to be made: where soft masks that it reads were cleaned away, they are to be made, too."""
        for task in flatten(self.requires()) if self.reads_soft_masks else []:
            if isinstance(task, PublishedTask) and (manifest := task._published()) and manifest.cleaned:
                _wanted_whole.add(task.target())
                task._want_soft_masks()

    def _published(self) -> Manifest | None:
        return once_a_question(("manifest", self.task_id), lambda: read_manifest(self.target()))

    def manifest(self) -> Manifest:
        """The published manifest.

        Raises:
            StageError: nothing is published.
        """
        manifest = self._published()
        if manifest is None:
            raise StageError(
                f"{self.target()} holds no complete result of the stage `{self.stage}`. Run the command again."
            )
        return manifest

    def run(self) -> None:
        """Make and publish the result, unless what lies there turns out to be right after all."""
        luigi_hooks.end_with_parent()
        flatten(self.requires())  # raises what complete() kept for itself
        if self.complete():
            return
        watch = machine.Stopwatch()
        target, key = self.target(), self.key()  # before the work: an input that changes meanwhile is not claimed
        try:
            self.enter()
            machine.keep_freed_memory()
            machine.limit_threads(self.threads)
            with self.workplace() as folder:
                for task in flatten(self.requires()):
                    if isinstance(task, PublishedTask):
                        check_files(task.target(), task.manifest())
                objects = self.work(folder)
                if self.key() != key:
                    raise StageError(
                        f"what {target} is made from changed while it was made; nothing was published. Run the command "
                        "again; workers of one central scheduler must be started with the same options."
                    )
                if self.is_complete() and self.is_whole():
                    return  # another worker, given up meanwhile, has published the same after all
                options = self.to_str_params(only_significant=True)
                run = {**watch.run_block(self.threads), "options": options, **self.remarks(folder)}
                publish(
                    folder,
                    target,
                    stage=self.stage,
                    key=key,
                    weights=self.weights(),
                    objects=objects,
                    run=run,
                    known=self.known_digest,
                )
            self.note(f"{self.name_of_result()} done in {watch.seconds:.1f} s")
        except OSError as error:
            raise StageError(disk_refuses(error, target)) from error

    def workplace(self) -> Any:
        """Where the files are written before they are published, as a context; gone afterwards if the work fails."""
        return publishing(self.target())

    def name_of_result(self) -> str:
        """What the log calls the result."""
        return str(self.target())
