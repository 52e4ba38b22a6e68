"""How good the masks of a sequence are, measured against its ground truth."""

from pathlib import Path
from typing import TYPE_CHECKING

import luigi

from stages.formats import results
from stages.formats.digests import DigestCache
from stages.formats.manifest import Json
from tasks.inputs import Frames
from tasks.refine import RefineSequence
from tasks.runtime import options
from tasks.runtime.sequence import ScribbledTask, StageTask

if TYPE_CHECKING:
    from stages.evaluation.truth import Truth


class GroundTruth(StageTask):
    """The sequence's ground truth, every mask read once to see that it can be compared with."""

    stage = results.TRUTH

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.evaluation.truth",)

    def requires(self) -> list[luigi.Task]:
        """The pictures, for their names and their size."""
        return [self.clone(Frames)]

    def folder(self) -> Path:
        """One per sequence."""
        return Path(results.TRUTH)

    def files(self) -> list[Path]:
        """The masks, in the order of the frames."""
        from stages.evaluation.truth import truth_files

        return truth_files(self.snapshot.paths.annotations, self.clone(Frames).names())

    def uses(self) -> Json:
        """The masks' bytes."""
        cache = DigestCache(self.root / ".digests-truth.json")
        digests = [[path.name, cache.digest(path)] for path in self.files()]
        cache.save()
        return {"frames": self.clone(Frames).manifest().content, "masks": digests}

    def work(self, folder: Path) -> list[int]:
        """Write truth.json."""
        from stages.evaluation.truth import inspect_truth
        from stages.formats.evaluation import write_truth
        from stages.formats.frames_json import FramesJson

        size_wh = FramesJson.read(self.clone(Frames).target()).size_wh
        truth = inspect_truth(self.files(), size_wh)
        write_truth(folder, truth.object_ids, self.uses())
        return list(truth.object_ids)

    def truth(self) -> "Truth":
        """What was found."""
        from stages.evaluation.truth import Truth

        return Truth(tuple(self.files()), tuple(self.manifest().objects))


class EvaluateSequence(options.ResultOptions, ScribbledTask, StageTask):
    """J and F of the finished sequence against its ground truth, and how well the quality estimate foresaw them."""

    stage = results.EVALUATION

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.evaluation.sequence",)

    def requires(self) -> list[luigi.Task]:
        """The ground truth first: without it there is nothing to evaluate."""
        return [self.clone(Frames), self.clone(GroundTruth), self.clone(RefineSequence)]

    def folder(self) -> Path:
        """One per sequence."""
        return Path(results.EVALUATION)

    def uses(self) -> Json:
        """The masks, and what they are compared with."""
        return {
            "truth": self.clone(GroundTruth).manifest().content,
            "masks": self.clone(RefineSequence).manifest().content,
            "anchors": self.snapshot.plan.anchors,
        }

    def work(self, folder: Path) -> list[int]:
        """Write evaluation.json and evaluation.csv."""
        from stages.evaluation.sequence import evaluate_sequence
        from stages.evaluation.truth import Masks
        from stages.formats.frames_csv import read_frames_csv
        from stages.steps.assess import judge

        names, truth = self.clone(Frames).names(), self.clone(GroundTruth).truth()
        result = self.clone(RefineSequence).target()
        judged = judge(read_frames_csv(result), self.snapshot.plan.anchors, names)
        masks = Masks(tuple(results.result_file(result, name) for name in names))
        evaluate_sequence(folder, self.seq, names, masks, truth, judged)
        return list(truth.object_ids)
