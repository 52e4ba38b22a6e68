"""Builds the readers' environments: `python -m tests.readers.environments FOLDER [NAME ...]`.

Their libraries collide with ours and with each other's, so each has an environment of its own, with the versions of
`requirements/NAME.txt`; what is built from these already is left as it is.
"""

import subprocess
import sys
import time
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements")
NAMES = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt")))


def python_of(folder: Path, name: str) -> Path:
    """The interpreter of a reader's environment."""
    return folder / name / "bin" / "python"


def build(folder: Path, name: str) -> None:
    """Build an environment, unless it is there."""
    wanted = (REQUIREMENTS / f"{name}.txt").read_text()
    stamp = folder / name / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder / name], check=True)
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--requirement", REQUIREMENTS / f"{name}.txt"]
    subprocess.run([python_of(folder, name), *install], check=True)
    stamp.write_text(wanted)
    sys.stdout.write(f"{name}: {time.monotonic() - begin:.0f} s\n")


if __name__ == "__main__":
    for each in sys.argv[2:] or NAMES:
        build(Path(sys.argv[1]), each)
