"""Objects without a pixel where they should have some: the block `empty` in the `run` block of a result's manifest.

    "empty": [{"object": 3, "frames": [[12, 40], [63, 63]], "everywhere": false, "scribbled": [12]}, ...]

Results of version 0.1 have no such block: nothing is said of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from stages.core.spans import in_short
from stages.formats.manifest import Json, Manifest
from stages.formats.objects_json import NAMELESS, Objects

BLOCK: Final = "empty"
_MOST_NAMED: Final = 5
"""Objects and stretches that one line has room for."""


@dataclass(frozen=True)
class EmptyObject:
    """An object that came out empty."""

    object_id: int
    frames: tuple[tuple[int, int], ...]
    """The first and the last frame of every stretch on which it has no pixel."""
    everywhere: bool
    """Whether it has no pixel on any frame."""
    scribbled: tuple[int, ...]
    """Those of these frames on which a person has scribbled it."""

    def in_words(self, known: Objects = NAMELESS) -> str:
        """Short: `Rex (object 3): empty on frames 12-40, 63`; `object 3: ...` if nobody has named it."""
        plain, name = f"object {self.object_id}", known.of(self.object_id).name
        called = plain if name == plain else f"{name} ({plain})"
        stretches = in_short(self.frames)
        one = len(stretches) == 1 and stretches[0].isdigit()
        where = "every frame" if self.everywhere else f"frame{'s' * (not one)} {_listed(stretches, 'stretches')}"
        drawn = f", though scribbled on {_listed(self.scribbled, 'frames')}" if self.scribbled else ""
        return f"{called}: empty on {where}{drawn}"

    def as_json(self) -> Json:
        """As the manifest holds it."""
        return {
            "object": self.object_id,
            "frames": [list(stretch) for stretch in self.frames],
            "everywhere": self.everywhere,
            "scribbled": list(self.scribbled),
        }


def empty_objects_of(manifest: Manifest) -> list[EmptyObject]:
    """What a result's manifest says of them."""
    return [
        EmptyObject(
            int(each["object"]),
            tuple((int(first), int(last)) for first, last in each["frames"]),
            bool(each["everywhere"]),
            tuple(int(index) for index in each["scribbled"]),
        )
        for each in manifest.run.get(BLOCK, ())
    ]


def in_one_line(empty: Sequence[EmptyObject], known: Objects = NAMELESS) -> str:
    """All of them in words; nothing if there are none."""
    return _listed([each.in_words(known) for each in empty], "objects", "; ")


def _listed(items: Sequence[Any], what: str, separator: str = ", ") -> str:
    more = len(items) - _MOST_NAMED
    shown = items if more <= 1 else items[:_MOST_NAMED]
    return separator.join([*map(str, shown), *([f"{more} more {what}"] * (more > 1))])
