"""Builds the guests' environments: `python -m tests.guests.environments FOLDER [NAME ...]`.

Each is a layer over the environment that this runs in, whose torch and whose commands it has: what a plug-in needs
beside LIS is in `requirements/NAME.txt`, with versions, and the plug-in itself is installed as its README says.
"""

import shutil
import site
import subprocess
import sys
import sysconfig
import time
from importlib.metadata import entry_points
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements")
PLUGINS = Path(__file__).parents[2] / "plugins"
NAMES = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt")))
NOT_TRIED = "the packages of {} cannot be had here: the plug-in lis-{} is NOT tried"
LAYER = "import site; print(site.getsitepackages()[0])"


def build(folder: Path, name: str) -> None:
    """Build an environment, unless it is there, and install the plug-in as it is now.

    Raises:
        CalledProcessError: what it needs cannot be had.
    """
    wanted = (REQUIREMENTS / f"{name}.txt").read_text()
    stamp, python = folder / name / "requirements.txt", (folder / name / "bin" / "python").absolute()
    if not stamp.exists() or stamp.read_text() != wanted:
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder / name], check=True)
        _lay_over_ours(python)
        install = ["-m", "pip", "install", "--quiet", "--no-deps", "--requirement", REQUIREMENTS / f"{name}.txt"]
        subprocess.run([python, *install], check=True)
        stamp.write_text(wanted)
        sys.stdout.write(f"{name}: {time.monotonic() - begin:.0f} s\n")
    plugin = ["-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", PLUGINS / f"lis-{name}"]
    subprocess.run([python, *plugin], check=True)


def _lay_over_ours(python: Path) -> None:
    """What is installed here is found there, too, and `lis` and `luigi` run there."""
    found = subprocess.run([python, "-c", LAYER], check=True, capture_output=True, text=True)
    ours = dict.fromkeys([sysconfig.get_path("purelib"), *site.getsitepackages()])
    layer = "".join(f"import site; site.addsitedir({each!r})\n" for each in ours)
    (Path(found.stdout.strip()) / "lis.pth").write_text(layer)
    for command in entry_points(group="console_scripts"):
        if command.name in ("lis", "luigi"):
            script = python.with_name(command.name)
            script.write_text(f"#!{python}\nfrom {command.module} import {command.attr}\n{command.attr}()\n")
            script.chmod(0o755)


if __name__ == "__main__":
    for each in sys.argv[2:] or NAMES:
        try:
            build(Path(sys.argv[1]), each)
        except subprocess.CalledProcessError:
            shutil.rmtree(Path(sys.argv[1]) / each)
            sys.stderr.write(NOT_TRIED.format(each, each) + "\n")
