"""What Luigi sees of a stage's folder."""

from pathlib import Path

import luigi

from stages.formats.manifest import read_manifest


class StageFolder(luigi.Target):
    """A published folder. Whether it is also up to date is its task's to say (`SequenceTask.complete`)."""

    def __init__(self, path: Path):
        self.path = path

    def exists(self) -> bool:
        """Whether a complete folder lies there."""
        return read_manifest(self.path) is not None

    def __str__(self) -> str:
        return str(self.path)
