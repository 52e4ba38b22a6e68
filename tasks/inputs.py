"""What comes from outside: pictures, and the scribbles that people draw when they find the time."""

import hashlib
from pathlib import Path

import luigi

from stages.core.excerpt import Excerpt, moment
from stages.formats import paintings, results
from stages.formats.belongings import Belongings
from stages.formats.digests import DigestCache
from stages.formats.frames import inspect_frames
from stages.formats.frames_json import FramesJson
from stages.formats.layout import SequencePaths, sequence_paths
from stages.formats.manifest import Json
from tasks.runtime import locks, luigi_hooks, options, runs
from tasks.runtime.luigi_hooks import logger
from tasks.runtime.mistakes import explain
from tasks.runtime.published import LisTask
from tasks.runtime.sequence import ScribbledTask, StageTask
from tasks.runtime.snapshot import Place, root_of


class ImportSequence(options.ImportOptions, LisTask):
    """Bring a video file, a picture with several pages, or a folder of pictures into a dataset, frame by frame."""

    source = luigi.Parameter(description="a folder of images or a video file")
    seq = options.NameParameter(description="name to give the sequence")
    dataset = options.NameParameter(default="my", description="dataset to put it into")
    start = luigi.Parameter(default="", description="first frame (300) or time (12.5s, 00:01:30) that is taken")
    end = luigi.Parameter(default="", description="first frame or time that is not taken any more")
    every = options.NumberParameter(
        var_type=int,
        default=1,
        min_value=1,
        max_value=1_000_000,
        description="take every so manyth frame only, counted from the start",
    )
    max_frames = options.NumberParameter(
        var_type=int,
        default=0,
        min_value=0,
        max_value=1_000_000_000,
        description="frames that are taken at most; 0 takes all",
    )
    replace = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,
        description="put the frames in the place of others that were imported under this name; what people drew on "
        "those is set aside",
    )
    allow_damaged = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,
        description="import what can be read of a damaged file",
    )

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.steps.import_video",)

    @property
    def paths(self) -> SequencePaths:
        """Where the frames go, and what belongs to them."""
        return sequence_paths(Path(self.data_root), self.dataset, self.seq)

    @property
    def excerpt(self) -> Excerpt:
        """Which frames of the source are taken."""
        return Excerpt(
            start=moment(self.start) if self.start else 0,
            end=moment(self.end) if self.end else None,
            every=self.every,
            most=self.max_frames or None,
        )

    def is_complete(self) -> bool:
        """Whether the frames lie there and were made from this source with these parameters."""
        from stages.steps.import_video import imported

        return imported(self.paths.frames, Path(self.source), self.short_side or None, self.excerpt)

    def run(self) -> None:
        """Decode, scale, write, publish."""
        from stages.steps.import_video import import_sequence, told, what_was_taken

        luigi_hooks.end_with_parent()
        frames = self.paths.frames
        done = import_sequence(
            Path(self.source),
            frames,
            self.short_side or None,
            excerpt=self.excerpt,
            replace=self._belongings() if self.replace and frames.is_dir() else None,
            allow_damaged=self.allow_damaged,
        )
        logger.info("%s: %s imported into %s", self.seq, what_was_taken(done, self.excerpt), frames)
        for remark in done.remarks:
            logger.info("%s: %s", self.seq, remark)
        if done.damage:
            logger.warning("%s: damaged, and imported as it is: %s", self.seq, told(done.damage, done.gone_through))
        if done.set_aside:
            logger.warning("%s: what people made for the former frames lies in %s now", self.seq, done.set_aside)

    def _belongings(self) -> Belongings:
        """What people made for the frames that are there; no run may work with it meanwhile."""
        root = root_of(Place(self.data_root, self.outputs_root, self.dataset, self.seq))
        if root.is_dir():
            locks.require(root, shared=False)
        return Belongings(self.paths.scribbles, self.paths.annotations, root / paintings.FOLDER)


class Frames(StageTask):
    """Names, sizes and digests of the sequence's pictures; every picture is decoded once to see that it can be."""

    stage = results.FRAMES
    stays_warm = True

    def folder(self) -> Path:
        """One per sequence."""
        return Path(results.FRAMES)

    def uses(self) -> Json:
        """The pictures' names and bytes."""
        cache = DigestCache(self.root / results.DIGESTS)
        digests = [[path.name, cache.digest(path)] for path in self.snapshot.frame_files]
        cache.save()
        return {"frames": digests}

    def work(self, folder: Path) -> list[int]:
        """Write frames.json."""
        size_wh = inspect_frames(self.snapshot.frame_files, self.progress)
        FramesJson(size_wh, self.uses()["frames"]).write(folder)
        return []

    def names(self) -> list[str]:
        """The pictures' file names, in order."""
        return [name for name, _ in self.manifest().key["frames"]]

    def digest(self, first: int, last: int) -> str:
        """Digest of the frames first..last, both included."""
        digests = [digest for _, digest in self.manifest().key["frames"][first : last + 1]]
        return hashlib.sha256("".join(digests).encode()).hexdigest()


class ImportScribbles(ScribbledTask):
    """Merge the strokes that people painted over requested frames into the scribble set."""

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.steps.ask",)

    def is_complete(self) -> bool:
        """Whether nothing waits to be merged, and no picture lies there under a name that nobody reads."""
        now = self.snapshot
        if now.frozen is None:
            paintings.check_names(self.root, now.frame_count)
        if (self.root, self.scribbles) not in _told_of_others and now.of_other_sets:
            _told_of_others.add((self.root, self.scribbles))
            for name, pictures in now.of_other_sets.items():
                self.note(
                    f"passed over {', '.join(pictures)} of {self.root / paintings.FOLDER}: "
                    f"painted for the scribble set {name} (--scribbles {name})"
                )
        return not now.waiting

    def run(self) -> None:
        """Read every painted picture that has changed since it was last read, and every draft that is ready."""
        from stages.steps.promote import digest_of_set, promote

        luigi_hooks.end_with_parent()
        self.enter()
        now = self.snapshot
        with self.telling_of_originals():
            if now.frozen is None:
                paintings.check_names(self.root, now.frame_count)
            noted = None if now.frozen else digest_of_set(now.scribble_file)
            found = promote(
                self.root,
                now.scribble_file,
                now.scribbles,
                now.waiting,
                now.frame_files,
                frozen=now.frozen,
                noted=noted,
            )
        for line in found.said:
            self.note(line)
        for kind, frames in (("painted", now.painted.keys()), ("drawn", now.waiting.drafts.keys() - now.painted)):
            if frames:
                self.note(f"{len(frames)} {kind} frame{'s' * (len(frames) > 1)} merged into {now.scribble_file}")


_told_of_others: set[tuple[Path, str]] = set()


class Scribbles(luigi.ExternalTask, ScribbledTask):  # type: ignore[misc]  # Luigi gives external tasks no `run`
    """Scribbles on one frame: external, a person draws them."""

    frame = luigi.IntParameter(description="frame index")

    def is_complete(self) -> bool:
        """Whether the frame is annotated: it has a line, a mask was given, or it was declared to hold nothing."""
        now = self.snapshot
        return self.frame in {*now.annotated, *now.painted, *now.waiting.drafts}


@Scribbles.event_handler(luigi.Event.DEPENDENCY_MISSING)
def _ask(task: Scribbles) -> None:
    """Runs in the scheduling process for each frame that still waits for a person; asks once per sequence and run."""
    from stages.steps.ask import ask
    from stages.steps.legend import in_words, objects_to_paint

    runs.wait_for_people(task.root)
    if task.root in _asked:
        return
    _asked.add(task.root)
    try:
        now = task.snapshot
        waiting = now.plan.requested
        objects, fault = now.names
        to_paint = objects_to_paint(objects, now.scribbles.object_ids)
        painted = ask(task.root, now.request_terms, now.plan, now.frame_files, to_paint)
        frames = "frame " if len(waiting) == 1 else f"{len(waiting)} frames: "
        task.note(
            f"waiting for scribbles on {frames}{', '.join(str(index) for index in waiting)}; paint over "
            f"{task.root}/requests/<frame>.png in the colours of {paintings.LEGEND}{in_words(objects)}, save in place "
            "or as <frame>.strokes.png (a whole mask: <frame>.mask.png), and run the command again"
        )
        if fault:
            task.note(f"warning: {fault}")
        if painted:
            task.note(
                f"painted on already: {', '.join(map(str, painted))}; the next run reads what was painted meanwhile. "
                f"What is for another scribble set stays: move it out of {task.root}/requests for a clean picture"
            )
    except OSError as error:
        logger.error("%s: nothing could be laid out to paint on: %s", task.seq, explain(error))


_asked: set[Path] = set()
