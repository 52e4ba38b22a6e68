"""What a reader of other tools' masks gives: pictures by the names that the file has for them, and what is on them.

A reader knows a format, and nothing of the sequence: which frame a name means, and which object an id or a label, is
found out by `importing.py` for all formats alike. It is asked in two steps. `pictures` lists what is
there, and looks at all of it as far as that is cheap: whatever makes the file unusable as a whole (run lengths with a
wrong total, annotations of pictures that are not listed) is refused there, with as many faults in one line as a person
can mend at once. `Picture.content` decodes one picture when it is asked for, and only after the frame's size was
compared: a size from a file never decides how much memory is taken.

Everything in a file may be hostile. A reader raises `InputError`, never anything else: what was found, where ("x.json,
image 12, mask 2"), what was expected, what to do. Sizes, depth and numbers are bounded before anything is decoded.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from stages.core.types import LabelMap

BACKGROUND: Final = 0
"""The `object_id` of a shape that takes pixels away: a hole that a tool writes as a shape of its own."""
UNKNOWN: Final = 255
"""The `object_id` of a shape of which nobody knows what it holds; its pixels take the nearest other value."""


@dataclass(frozen=True)
class Shape:
    """One mask of an object, or of a part of it: shapes of one object add up."""

    mask: NDArray[np.bool_]
    """(H, W) bool, of the whole picture's size."""
    object_id: int | None = None
    """As the file says it, 1..254, or `BACKGROUND` or `UNKNOWN`; None if it says none (CVAT's 0 is None, too)."""
    label: str = ""
    """What the file calls it: an object's name, or its class; only looked at where there is no id."""
    where: str = ""
    """For messages, behind the picture's: "mask 2"."""
    cut_px: int = 0
    """How many of its pixels lay outside of the picture, and are not in `mask`; told."""


@dataclass(frozen=True)
class Picture:
    """One picture of the file."""

    name: str
    """As the file says it: a file's name, with folders before it or without, in whatever way the tool writes them."""
    where: str
    """For messages: "annotations.xml, image 12"; of a file for each picture, its path."""
    content: Callable[[], "LabelMap | Iterable[Shape]"]
    """Decodes it: (H, W) uint8 ids (255: nobody knows), or shapes, later ones above the earlier.

    No shape at all says nothing of the picture: it is passed over, and told, since files list pictures that nobody has
    worked on. Where the file does say that nothing is there, a map of zeros is given. Raises InputError.
    """
    size_wh: tuple[int, int] | None = None
    """Width and height in pixels as the file says them; None where only decoding tells."""
    lies_in: str = ""
    """Where each picture has a file of its own, and that names the picture: the file's name, as an editor may have
    copied it for another frame. Where both are frames', they must be one."""


class Reader(Protocol):
    """One format that masks come in; `stages.exchange.incoming.formats` lists them.

    Attributes:
        name: what `--format` calls it.
        source: what `--source` has to be, in words: "a folder of <stem>.png".
    """

    name: str
    source: str

    def recognises(self, source: Path) -> bool:
        """Whether a file or folder is plainly of this format, by what is in it; never raises, and costs little."""
        ...

    def pictures(self, source: Path) -> Iterator[Picture]:
        """What the source holds, in its order; hidden files, and those that systems leave behind, are none of it.

        Raises:
            InputError: it is missing, damaged, of another format, or unusable as a whole.
        """
        ...
