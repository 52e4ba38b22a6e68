"""What comes from outside: pictures, and the scribbles that people draw when they find the time."""

import contextlib
import hashlib
from functools import lru_cache
from pathlib import Path

import luigi

from stages.anchors import Plan, plan
from stages.frames import inspect_frames
from stages.lookup import check_name, sequence_paths
from stages.manifest import DigestCache, Json, write_json
from stages.requests import import_painted, issued_anchors, pending_strokes, write_requests
from stages.scribbles import ScribbleSet, read_scribbles
from tasks import config, process
from tasks.base import LisTask, SequenceTask, StageTask, logger, once_a_question


class ImportSequence(config.ImportOptions, LisTask):
    """Bring a folder of images or a video file into a dataset, frame by frame."""

    source = luigi.Parameter(description="a folder of images or a video file")
    seq = luigi.Parameter(description="name to give the sequence")
    dataset = luigi.Parameter(default="my", description="dataset to put it into")

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.importing",)

    @property
    def folder(self) -> Path:
        """Where the frames go."""
        return sequence_paths(Path(self.data_root), self.dataset, self.seq).frames

    def is_complete(self) -> bool:
        """Whether the frames lie there and were made from this source with these parameters."""
        from stages.importing import imported

        return imported(self.folder, Path(self.source), self.short_side or None)

    def run(self) -> None:
        """Decode, scale, write, publish."""
        process.end_with_parent()
        from stages.importing import import_sequence

        count = import_sequence(Path(self.source), self.folder, self.short_side or None)
        logger.info("%s: %d frames imported into %s", self.seq, count, self.folder)


class Frames(StageTask):
    """Names, sizes and digests of the sequence's pictures; every picture is decoded once to see that it can be."""

    stage = "frames"

    def folder(self) -> Path:
        """One per sequence."""
        return Path("frames")

    def uses(self) -> Json:
        """The pictures' names and bytes."""
        cache = DigestCache(self.root / ".digests.json")
        digests = [[path.name, cache.digest(path)] for path in self.frame_files]
        cache.save()
        return {"frames": digests}

    def work(self, folder: Path) -> list[int]:
        """Write frames.json."""
        size_wh = inspect_frames(self.frame_files, self.progress)
        write_json(folder / "frames.json", {"size_wh": size_wh, **self.uses()})
        return []

    def names(self) -> list[str]:
        """The pictures' file names, in order."""
        return [name for name, _ in self.manifest().key["frames"]]

    def digest(self, first: int, last: int) -> str:
        """Digest of the frames first..last, both included."""
        digests = [digest for _, digest in self.manifest().key["frames"][first : last + 1]]
        return hashlib.sha256("".join(digests).encode()).hexdigest()


class ScribbledTask(config.PlanOptions, SequenceTask):
    """A task that knows the sequence's scribbles, and so its anchors."""

    @property
    def scribble_file(self) -> Path:
        """The scribble set in use."""
        check_name(self.scribbles, "scribble set")
        folder = Path(self.scribbles_root) / self.paths.name if self.scribbles_root else self.paths.scribbles
        return folder / f"{self.scribbles}.json"

    @property
    def frame_count(self) -> int:
        """Number of pictures."""
        return len(self.frame_files)

    @property
    def scribble_set(self) -> ScribbleSet:
        """The scribbles drawn so far; none if there is no file yet."""
        try:
            stat = self.scribble_file.stat()
        except FileNotFoundError:
            return ScribbleSet(self.paths.name, self.frame_count, {})
        return _read(self.scribble_file, self.paths.name, self.frame_count, stat.st_mtime_ns, stat.st_size)

    @property
    def plan(self) -> Plan:
        """The anchors: a pure function of what is annotated, and of what was asked for before."""
        return once_a_question(("plan", self.root, self.scribbles_root, *self.request_terms.values()), self._find_plan)

    def _find_plan(self) -> Plan:
        issued = issued_anchors(self.root, self.request_terms)
        painted = {index for index in self.pending() if index < self.frame_count}
        annotated = tuple(sorted({*self.scribble_set.annotated, *painted}))
        return _plan(self.frame_count, annotated, self.requests, self.placement, issued)

    def pending(self) -> dict[int, Path]:
        """Painted pictures that are still to be read into the scribble set."""
        return pending_strokes(self.root, self.scribbles, self.scribble_set.annotated)

    @property
    def request_terms(self) -> Json:
        """Requests hold as long as these stay the same."""
        return {
            "scribbles": self.scribbles,
            "requests": self.requests,
            "placement": self.placement,
            "frame_count": self.frame_count,
        }


_plan = lru_cache(maxsize=1024)(plan)


@lru_cache(maxsize=64)
def _read(path: Path, sequence: str, frame_count: int, _mtime_ns: int, _size: int) -> ScribbleSet:
    return read_scribbles(path, sequence, frame_count)


class ImportScribbles(ScribbledTask):
    """Merge the strokes that people painted over requested frames into the scribble set."""

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.strokes",)

    def is_complete(self) -> bool:
        """Whether no painted picture waits to be read."""
        return not self.pending()

    def run(self) -> None:
        """Read every painted picture that has changed since it was last read."""
        process.end_with_parent()
        process.require(self.root)
        frames = import_painted(self.root, self.scribble_file, self.scribble_set, self.frame_files)
        self.note(f"scribbles of {len(frames)} painted frames merged into {self.scribble_file}")


class Scribbles(luigi.ExternalTask, ScribbledTask):
    """Scribbles on one frame: external, a person draws them."""

    frame = luigi.IntParameter(description="frame index")

    def is_complete(self) -> bool:
        """Whether the frame is annotated: it has a line, or was declared to hold nothing."""
        return self.frame in self.scribble_set.annotated or self.frame in self.pending()


@Scribbles.event_handler(luigi.Event.DEPENDENCY_MISSING)
def _ask(task: Scribbles) -> None:
    """Runs in the scheduling process for each frame that still waits for a person; asks once per sequence and run."""
    if task.root in _asked:
        return
    with contextlib.suppress(OSError):  # run() of the tasks that write results meets it, and tells it
        _asked.add(task.root)
        waiting = task.plan.requested
        write_requests(task.root, task.request_terms, task.plan, task.frame_files)
        frames = "frame " if len(waiting) == 1 else f"{len(waiting)} frames: "
        task.note(
            f"waiting for scribbles on {frames}{', '.join(str(index) for index in waiting)}; paint over "
            f"{task.root}/requests/<frame>.png, save as <frame>.strokes.png, and run the command again"
        )


_asked: set[Path] = set()
