"""How good the masks of a sequence are, measured against its ground truth."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import luigi

from stages.manifest import DigestCache, Json, write_json
from tasks import config
from tasks.base import StageTask
from tasks.inputs import Frames, ScribbledTask
from tasks.refine import RefineSequence

if TYPE_CHECKING:
    from stages.evaluation.truth import Truth


class GroundTruth(StageTask):
    """The sequence's ground truth, every mask read once to see that it can be compared with."""

    stage = "truth"

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.evaluation.truth",)

    def requires(self) -> list[luigi.Task]:
        """The pictures, for their names and their size."""
        return [self.clone(Frames)]

    def folder(self) -> Path:
        """One per sequence."""
        return Path("truth")

    def files(self) -> list[Path]:
        """The masks, in the order of the frames."""
        from stages.evaluation.truth import truth_files

        return truth_files(self.paths.annotations, self.clone(Frames).names())

    def uses(self) -> Json:
        """The masks' bytes."""
        cache = DigestCache(self.root / ".digests-truth.json")
        digests = [[path.name, cache.digest(path)] for path in self.files()]
        cache.save()
        return {"frames": self.clone(Frames).manifest().content, "masks": digests}

    def work(self, folder: Path) -> list[int]:
        """Write truth.json."""
        from stages.evaluation.truth import inspect_truth

        frames = json.loads((self.clone(Frames).output().path / "frames.json").read_text(encoding="utf-8"))
        truth = inspect_truth(self.files(), frames["size_wh"])
        write_json(folder / "truth.json", {"objects": truth.object_ids, **self.uses()})
        return list(truth.object_ids)

    def truth(self) -> "Truth":
        """What was found."""
        from stages.evaluation.truth import Truth

        return Truth(tuple(self.files()), tuple(self.manifest().objects))


class EvaluateSequence(config.RefineOptions, StageTask, ScribbledTask):
    """J and F of the finished sequence against its ground truth, and how well the quality estimate foresaw them."""

    stage = "evaluation"

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.evaluation.sequence",)

    def requires(self) -> list[luigi.Task]:
        """The ground truth first: without it there is nothing to evaluate."""
        return [self.clone(Frames), self.clone(GroundTruth), self.clone(RefineSequence)]

    def folder(self) -> Path:
        """One per sequence."""
        return Path("evaluation")

    def uses(self) -> Json:
        """The masks, and what they are compared with."""
        return {
            "truth": self.clone(GroundTruth).manifest().content,
            "masks": self.clone(RefineSequence).manifest().content,
            "anchors": self.plan.anchors,
        }

    def work(self, folder: Path) -> list[int]:
        """Write evaluation.json and evaluation.csv."""
        from stages.evaluation.sequence import evaluate_sequence
        from stages.evaluation.truth import Masks
        from stages.quality import judge, read_frames_csv

        names, truth = self.clone(Frames).names(), self.clone(GroundTruth).truth()
        result = self.clone(RefineSequence).output().path
        judged = judge(read_frames_csv(result / "frames.csv"), self.plan.anchors, names)
        masks = Masks(tuple(result / f"{Path(name).stem}.png" for name in names))
        evaluate_sequence(folder, self.seq, names, masks, truth, judged)
        return list(truth.object_ids)
