"""Training of the small networks, and putting what came out where the pipeline looks for it.

luigi --module tasks TrainNetwork --network fbrs_lite --train-root DIR
luigi --module tasks InstallNetwork --network fbrs_lite --train-root DIR
"""

import json
from collections.abc import Mapping
from pathlib import Path

import luigi
from luigi.freezing import FrozenOrderedDict
from luigi.parameter import ParameterException

from stages.engines import registry
from stages.formats.manifest import Json, publish, read_manifest, remove, write_json
from tasks.runtime import locks, luigi_hooks
from tasks.runtime.published import LisTask
from tasks.runtime.targets import StageFolder

NETWORKS = tuple(registry.small_networks())


class SharesParameter(luigi.Parameter):
    """Sets of pictures with their shares of a batch, `mine:0.7,coco_open:0.3`; empty: those of the recipe."""

    def parse(self, x: str) -> Mapping[str, float]:
        """Read the text."""
        pairs = (part.partition(":") for part in x.split(",") if part)
        try:
            return FrozenOrderedDict((name, float(share)) for name, _, share in pairs)
        except ValueError:
            raise ParameterException(f"{x!r}: expected sets with their shares, mine:0.7,coco_open:0.3") from None

    def normalize(self, x: Mapping[str, float]) -> Mapping[str, float]:
        """Something that can be hashed."""
        return FrozenOrderedDict(x)

    def serialize(self, x: Mapping[str, float]) -> str:
        """Write it again."""
        return ",".join(f"{name}:{share:g}" for name, share in x.items())


class TrainingTask(LisTask):
    """What a training is identified by."""

    network = luigi.ChoiceParameter(choices=NETWORKS, description="which one")
    train_root = luigi.Parameter(
        description="folder of the sets: <set>/images/*.jpg, <set>/masks/*.png, <set>/ABOUT.md with a line `Licence:`"
    )
    sets: Mapping[str, float] = SharesParameter(  # type: ignore[assignment]
        default={},  # type: ignore[arg-type]
        description="sets and their shares of a batch; default: those of the recipe",
    )
    steps = luigi.IntParameter(default=0, description="length of the training; 0: as the recipe says")
    seed = luigi.IntParameter(default=1, description="of everything that is left to chance")


class TrainNetwork(TrainingTask):
    """Train a small network. Kill it at any time: the same command goes on from its last checkpoint."""

    def memory_mib(self) -> int:
        """Of the largest recipe."""
        return 2048

    def output(self) -> StageFolder:
        """Weights, card, curves, tables, and a sheet of held-out examples."""
        return StageFolder(self._root / "result")

    def key(self) -> Json:
        """What the result is made from."""
        from stages.training.session import chosen_recipe, training_key

        chosen = chosen_recipe(self.network, self.sets, self.steps)
        key: Json = json.loads(json.dumps(training_key(self.network, chosen, Path(self.train_root), self.seed)))
        return key

    def is_complete(self) -> bool:
        """Whether the published training is this one."""
        manifest = read_manifest(self.output().path)
        return manifest is not None and manifest.key == self.key()

    def run(self) -> None:
        """Train in a folder that outlives a kill, and publish it."""
        from stages.training.session import chosen_recipe, run_training

        luigi_hooks.end_with_parent()
        key, folder = self.key(), self._root / "unfinished"
        locks.require(self._root, shared=False)  # trainings with other options use the same folder
        self._enter(folder, key)
        chosen = chosen_recipe(self.network, self.sets, self.steps)
        run_training(folder, self.network, chosen, Path(self.train_root), self.seed, self.threads, self.progress)
        publish(folder, self.output().path, stage="training", key=key, weights={}, objects=[], run={})

    @property
    def _root(self) -> Path:
        return Path(self.outputs_root) / "training" / self.network

    @staticmethod
    def _enter(folder: Path, key: Json) -> None:
        """Keep what an interrupted training left, if it was this one."""
        note = folder / "key.json"
        if not note.is_file() or json.loads(note.read_text(encoding="utf-8")) != key:
            remove(folder)
            folder.mkdir(parents=True)
            write_json(note, key)
