"""The smallest sequence that meets every stage: four pictures, two anchors, both painted, none of it read yet."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

REPOSITORY: Final = Path(__file__).parents[2]
SEQ: Final = "tiny"
FRAMES: Final = 4
HEIGHT: Final = 24
WIDTH: Final = 32
ANCHORS: Final = (1, 3)
OPTIONS: Final = (
    *("--requests", "1", "--segmenter", "grabcut", "--propagator", "flow", "--refiner", "guided", "--progress-bars"),
    "false",
)
_OUTSIDE: Final = {"log.txt", "dataset.json"}
"""What is no part of the result: told line by line; found again by the frames' digests where it is missing."""
RUN: Final = ("--module", "tasks", "RefineSequence", "--seq", SEQ, *OPTIONS)


@dataclass(frozen=True)
class Case:
    """A folder with the settings, the data set and its results."""

    folder: Path

    @property
    def root(self) -> Path:
        """The sequence's results."""
        return self.folder / "outputs" / SEQ

    @property
    def scribbles(self) -> Path:
        """What people's strokes are read into."""
        return self.folder / "data" / "set" / "Scribbles" / SEQ

    @property
    def pictures(self) -> Path:
        """The video."""
        return self.folder / "data" / "set" / "JPEGImages" / "480p" / SEQ

    def copy(self, target: Path) -> "Case":
        """Another one like it."""
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder, target)
        return Case(target)

    def outcome(self) -> dict[str, bytes]:
        """Everything that two runs on the same input have in common, and everything that people made."""
        return {**_files(self.root, self.folder), **_files(self.folder / "data", self.folder)}

    def litter(self) -> list[str]:
        """What killed runs left."""
        return [str(path) for path in self.folder.rglob(".*") if path.name.startswith((".tmp-", ".old-"))]

    def orphans(self) -> list[int]:
        """Processes that work here still."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").readlink() == self.folder and "Z" not in _state(process):
                    found.append(int(process.name))
            except OSError:
                continue
        return found


def write_settings(folder: Path) -> None:
    """As they come."""
    shutil.copyfile(REPOSITORY / "luigi.cfg", folder / "luigi.cfg")


def write_case(folder: Path) -> Case:
    """The pictures, and what two people painted."""
    case = Case(folder)
    case.pictures.mkdir(parents=True)
    painted = case.root / "requests"
    painted.mkdir(parents=True)
    grain = np.random.default_rng(3).integers(0, 40, (HEIGHT, WIDTH, 3))
    for index in range(FRAMES):
        picture = 60 + np.roll(grain, index, axis=1)
        picture[6:18, 6 + 2 * index : 18 + 2 * index] = (210, 60 + 2 * index, 40)
        frame = picture.astype(np.uint8)
        Image.fromarray(frame).save(case.pictures / f"{index:05d}.png")
        if index in ANCHORS:
            frame[11:13, 9 + 2 * index : 15 + 2 * index] = (128, 0, 0)
            Image.fromarray(frame).save(painted / f"{index:05d}.strokes.png")
    write_settings(folder)
    return case


def _files(folder: Path, base: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(base).as_posix()
        is_hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_dir() or is_hidden or path.name in _OUTSIDE or "/report/" in name:
            continue
        content = path.read_bytes()
        if path.name == "manifest.json":
            content = json.dumps({**json.loads(content), "run": None}).encode()
        found[name] = content
    return found


def _state(process: Path) -> str:
    return process.joinpath("stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
