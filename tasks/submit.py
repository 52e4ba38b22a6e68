"""A night on Slurm: an array of jobs that label the sequences of a list, and one job after them that gives the verdict.

Plain `sbatch`, and not a library that sends Python functions to the cluster: an element is the command of every day, so
what Slurm queues again after a node failure is that command, and whoever has to look into it can read and repeat it.
"""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stages.core.errors import InputError, StageError
from stages.formats import files

JOB: Final = Path(__file__).with_name("night.sbatch")
"""What every element runs."""
_PYTHON: Final = (sys.executable, "-m", "luigi", "--module", "tasks")


@dataclass(frozen=True)
class Night:
    """What is to be submitted, and how."""

    names: Sequence[str]
    """One `sequence` or `dataset/sequence` each."""
    folder: Path
    """Of this submission: its list, the output of every element, and the verdict."""
    task: str = "RefineSequence"
    """What an element runs for each of its sequences."""
    options: Sequence[str] = ()
    """Of that task and of `BulkRefine`, as Luigi takes them."""
    options_of_verdict: Sequence[str] = ()
    """Of `BulkRefine` alone."""
    slurm: Sequence[str] = ()
    """Options of `sbatch` for the elements."""
    per_element: int = 1
    at_most: int | None = None
    """Elements that run at once; None: as many as Slurm lets."""
    gpu: bool = False
    """Whether each job gets a GPU; `slurm` may say which."""

    @property
    def elements(self) -> int:
        """How many jobs the array has."""
        return -(-len(self.names) // self.per_element)

    @property
    def list_file(self) -> Path:
        """The names, as they were when the night was submitted."""
        return self.folder / "night.txt"

    @property
    def verdict(self) -> Path:
        """Where the last job writes how the night went."""
        return self.folder / "verdict.txt"

    def array(self) -> list[str]:
        """The command that submits the elements."""
        limit = f"%{self.at_most}" if self.at_most else ""
        return [
            *("sbatch", "--parsable", f"--array=0-{self.elements - 1}{limit}"),
            f"--output={self.folder}/%a.txt",
            *self._of_every_job(),
            *(str(JOB), str(self.list_file), str(self.per_element)),
            *(*_PYTHON, self.task, *self.options),
        ]

    def last_job(self, array: str) -> list[str]:
        """The command that submits what runs when the array of this number has ended: it makes only what is missing."""
        options = (*self.options, *self.options_of_verdict)
        command = shlex.join([*_PYTHON, "BulkRefine", "--list", str(self.list_file), *options])
        return [
            *("sbatch", "--parsable", f"--dependency=afterany:{array}", "--job-name=lis-verdict"),
            *("--cpus-per-task=1", "--mem=4G", "--requeue", f"--output={self.verdict}", "--open-mode=append"),
            *self._of_every_job(),
            f"--wrap={command}",
        ]

    def _of_every_job(self) -> list[str]:
        asks_for_gpus = any(option.startswith(("--gpus", "--gres")) for option in self.slurm)
        return [*(["--gres=gpu:1"] if self.gpu and not asks_for_gpus else []), *self.slurm]


def submission_folder(outputs_root: Path, started: float) -> Path:
    """Where a night that is submitted at this time (seconds since the epoch) has its files.

    Absolute, since jobs may start elsewhere.
    """
    stamp = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(started))
    return outputs_root.absolute() / "bulk" / "submitted" / stamp


def submit(night: Night) -> tuple[str, str]:
    """Write the list, and hand both jobs to Slurm; returns the numbers of the array and of the job behind it.

    Raises:
        InputError: this machine has no Slurm, or the night has more elements than it takes.
        StageError: Slurm refuses a job.
    """
    most = most_elements()
    if most is not None and night.elements > most:
        least = -(-len(night.names) // most)
        raise InputError(
            f"{night.elements} elements: an array has at most {most} here; give --per-element {least} or more."
        )
    files.make_folder(night.folder.parent)
    files.disk.mkdir(night.folder)  # nobody else's
    files.replace(night.list_file, "".join(f"{name}\n" for name in night.names))
    array = _slurm(night.array()).partition(";")[0]
    try:
        return array, _slurm(night.last_job(array)).partition(";")[0]
    except StageError as error:
        raise StageError(f"the array is job {array}; its verdict could not be submitted: {error}") from None


def most_elements() -> int | None:
    """How many elements an array may have here (Slurm's MaxArraySize); None: it does not say.

    Raises:
        InputError: this machine has no Slurm.
    """
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _slurm(["scontrol", "show", "config"]), re.MULTILINE)
    return int(found[1]) if found else None


def _slurm(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InputError(
            f"found no `{command[0]}` on this machine, expected Slurm's commands. Run this where jobs are submitted; "
            "`lis submit --dry-run` shows what would be submitted."
        ) from None
    if done.returncode:
        raise StageError(f"`{shlex.join(command)}` ended with code {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()
