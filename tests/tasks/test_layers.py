"""Rules between the layers."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY, Project

HEAVY = ("torch", "cv2", "h5py", "scipy", "skimage", "av", "matplotlib", "jinja2")


def test_importing_tasks_imports_no_heavy_library() -> None:
    """A parent that has started threads of torch or OpenCV must not fork, and a look at a finished night is fast."""
    code = (
        "import sys, tasks; print([m for m in ('torch', 'cv2', 'h5py', 'scipy', 'skimage', 'av') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lis", "luigi"])
def test_a_look_at_a_finished_sequence_imports_what_it_needs(finished: Project, name: str) -> None:
    """Neither a heavy library nor another command."""
    words = ["status", "toy"] if name == "lis" else finished.command("RefineSequence")[1:]
    entry = "tasks.cli import main" if name == "lis" else "luigi.cmdline import luigi_run as main"
    unwanted = (*HEAVY, "tasks.cli.working", "tasks.cli.looking")
    code = f"""if True:
        import sys
        sys.argv = {[name, *words]}
        from {entry}
        try:
            code = main()
        except SystemExit as end:
            code = end.code
        print(code or 0, [each for each in {unwanted} if each in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=finished.folder, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
