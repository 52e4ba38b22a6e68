"""A small real clip, and the literal command that people type."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks import RefineSequence

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side: more threads than cores wait for each other
REPOSITORY = Path(__file__).parents[1]
CHEAP = {"segmenter": "grabcut", "propagator": "flow", "refiner": "guided"}
"""Engines that cost a test little."""
LUIGI = Path(sys.executable).with_name("luigi")
NO_BROWSER = "no chromium here (apt-get install chromium): whether the page works in a browser is NOT tried"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud what nobody tried for want of a browser."""
    untried = [report for report in terminalreporter.getreports("skipped") if NO_BROWSER in str(report.longrepr)]
    if untried:
        terminalreporter.write_line(f"{len(untried)} tests skipped: {NO_BROWSER}", red=True, bold=True)


@dataclass
class Clip:
    """Two objects move over a textured background: a red square (1), and a blue disc (2) that leaves half-way."""

    frame_count: int = 12
    height: int = 96
    width: int = 128

    def centres(self, index: int) -> tuple[tuple[int, int], tuple[int, int] | None]:
        """(x, y) of the square and of the disc; None once the disc has left."""
        return (30 + 3 * index, 34), (90 - 2 * index, 70) if index < 7 else None

    def truth(self, index: int) -> np.ndarray:
        """(H, W) uint8 ids."""
        y, x = np.mgrid[: self.height, : self.width]
        square, disc = self.centres(index)
        labels = np.zeros((self.height, self.width), dtype=np.uint8)
        labels[(abs(x - square[0]) <= 14) & (abs(y - square[1]) <= 14)] = 1
        if disc is not None:
            labels[(x - disc[0]) ** 2 + (y - disc[1]) ** 2 <= 13**2] = 2
        return labels

    def frame(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        rng = np.random.default_rng(7)
        texture = rng.integers(60, 120, (self.height // 4, self.width // 4, 3)).astype(np.uint8)
        picture = np.array(Image.fromarray(texture).resize((self.width, self.height), Image.Resampling.BICUBIC))
        grain = rng.integers(0, 30, picture.shape)
        labels = self.truth(index)
        picture[labels == 1] = (200, 40, 30)
        picture[labels == 2] = (40, 60, 210)
        return np.clip(picture + np.roll(grain, 3 * index, axis=1), 0, 255).astype(np.uint8)

    def lines(self, index: int) -> list[dict]:
        """A stroke through the middle of each object."""
        lines = []
        for object_id, centre in enumerate(self.centres(index), start=1):
            if centre is not None:
                path = [[(centre[0] + d) / self.width, centre[1] / self.height] for d in range(-9, 10)]
                lines.append({"path": path, "object_id": object_id, "start_time": 0, "end_time": 1})
        return lines


@dataclass
class Project:
    """A folder with the settings, one dataset and its results; commands run in it as a user runs them."""

    folder: Path
    clip: Clip
    seq: str = "toy"
    _log_read: dict[str, int] = field(default_factory=dict)

    @property
    def frames(self) -> Path:
        return self.folder / "data" / "set" / "JPEGImages" / "480p" / self.seq

    @property
    def scribble_file(self) -> Path:
        return self.folder / "data" / "set" / "Scribbles" / self.seq / "001.json"

    @property
    def root(self) -> Path:
        return self.folder / "outputs" / self.seq

    def write_frames(self) -> None:
        self.frames.mkdir(parents=True)
        for index in range(self.clip.frame_count):
            Image.fromarray(self.clip.frame(index)).save(self.frames / f"{index:05d}.png")

    def scribble(self, *frames: int, **changes: object) -> None:
        """Write the scribble set: lines on these frames."""
        lines = [self.clip.lines(i) if i in frames else [] for i in range(self.clip.frame_count)]
        content = {"scribbles": lines, "sequence": self.seq, "annotated_frames": list(frames), **changes}
        self.scribble_file.parent.mkdir(parents=True, exist_ok=True)
        self.scribble_file.write_text(json.dumps(content))

    def command(self, task: str, *arguments: str) -> list[str]:
        """The literal command line."""
        name = [] if "--list" in arguments else ["--seq", self.seq]
        requests = [] if task in ("ImportSequence", "ExportSequence") else ["--requests", "3"]
        return [str(LUIGI), "--module", "tasks", task, *name, *requests, *arguments]

    def task(self, kind: type[RefineSequence] = RefineSequence, **options: object) -> Any:
        """A task on this sequence, in this process; as `run` would make it."""
        roots = {name: str(self.folder / name.partition("_")[0]) for name in ("data_root", "outputs_root")}
        given = {**roots, "weights_root": str(self.folder / "data" / "weights"), "requests": 3, **CHEAP, **options}
        known = {name for name, _ in kind.get_params()}
        return kind(seq=self.seq, **{name: value for name, value in given.items() if name in known})

    def run(self, task: str = "RefineSequence", *arguments: str, expect: int = 0) -> str:
        """Run to the end; return what was printed."""
        done = subprocess.run(
            self.command(task, *arguments), cwd=self.folder, capture_output=True, text=True, timeout=240, check=False
        )
        output = done.stdout + done.stderr
        assert done.returncode == expect, output
        return output

    def ran(self) -> list[str]:
        """The stage folders that were made since this was last asked, sorted."""
        log = self.root / "log.txt"
        lines = log.read_text().splitlines() if log.exists() else []
        new = lines[self._log_read.get(self.seq, 0) :]
        self._log_read[self.seq] = len(lines)
        return sorted(line.split()[2] for line in new if " done in " in line)

    def snapshot(self) -> dict[str, bytes]:
        """Every result file's bytes; manifests without the block that tells how the run went.

        The report is left out, and with it the pictures of the frames that it suggests, which lie among the requests.
        """
        files = {}
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if path.is_file() and not name.startswith((".", "log.txt", "report/", "requests")):
                content = path.read_bytes()
                if path.name == "manifest.json":
                    content = json.dumps({**json.loads(content), "run": None}).encode()
                files[name] = content
        return files

    def litter(self) -> list[str]:
        """Leftovers of killed runs."""
        return [str(path) for path in self.folder.rglob(".*") if path.name.startswith((".tmp-", ".old-"))]


def write_settings(folder: Path) -> None:
    """The project's luigi.cfg, with engines that cost a test little."""
    settings = (REPOSITORY / "luigi.cfg").read_text()
    for plug, engine in CHEAP.items():
        settings = re.sub(rf"^{plug} = .*$", f"{plug} = {engine}", settings, flags=re.MULTILINE)
    (folder / "luigi.cfg").write_text(settings)


def new_project(folder: Path) -> Project:
    """The toy clip in a dataset, without scribbles."""
    write_settings(folder)
    made = Project(folder, Clip())
    made.write_frames()
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A new one."""
    return new_project(tmp_path)


def add_sequence_without_home(project: Project) -> str:
    """A sequence whose results would lie among those of the project's; what a command calls it."""
    for dataset in ("set", project.seq):
        frames = project.folder / "data" / dataset / "JPEGImages" / "480p" / "x"
        frames.mkdir(parents=True)
        shutil.copy(project.frames / "00000.png", frames)
    return "x"


@pytest.fixture(scope="session")
def labelled_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The toy clip, labelled, with its report: anchors 2, 5, 8 and 11. Do not change it.

    Processes that share the tests among them share this, too: the first one makes it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = Project(shared / "labelled", Clip())
    with (shared / "labelled.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made.root / "report" / "manifest.json").exists():
            made.folder.mkdir()
            new_project(made.folder).scribble(2, 5, 8, 11)
            made.run("ReportSequence")
    return made


@pytest.fixture
def finished(labelled_once: Project, tmp_path: Path) -> Project:
    """A copy of the labelled toy clip."""
    return copy_of(labelled_once, tmp_path / "project")


def copy_of(made: Project, folder: Path) -> Project:
    """The same project in another folder; what was made there is not asked for again by `ran`."""
    shutil.copytree(made.folder, folder)
    copy = Project(folder, made.clip)
    copy.ran()
    return copy


def outside(variable: str) -> Path:
    """A folder of outside data, named by an environment variable; without it the test is skipped, and counted."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set")
    return Path(value)
