"""What other programs import from here; its places are `stages.formats.scribbles` and `stages.core.strokes`."""

from stages.core.strokes import Clicks, FrameScribbles, Line, clicks
from stages.formats.scribbles import ScribbleSet, merge, read_scribbles, write_scribbles

__all__ = [
    "Clicks",
    "FrameScribbles",
    "Line",
    "ScribbleSet",
    "clicks",
    "merge",
    "read_scribbles",
    "write_scribbles",
]
