"""Rules between the layers."""

import subprocess
import sys

from tests.conftest import REPOSITORY


def test_importing_tasks_imports_no_heavy_library() -> None:
    """A parent that has started threads of torch or OpenCV must not fork, and a look at a finished night is fast."""
    code = (
        "import sys, tasks; print([m for m in ('torch', 'cv2', 'h5py', 'scipy', 'skimage', 'av') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "[]"
