"""What people see of a sequence, and when that which they draw on a frame corrects it.

Drawn on a frame of the masks that people see, finished or provisional, strokes and clicks correct them. They annotate
the frame anew where people were asked for it, or where it is annotated by other strokes than corrections: there, an
object without a stroke is absent. A second drawing corrects what the first one has made.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stages.core.errors import StageError
from stages.core.types import LabelMap
from stages.formats.given_masks import seen_copy
from stages.formats.manifest import digests_of
from stages.formats.masks import read_mask
from stages.formats.requests import frames_asked_for
from stages.formats.results import result_file, result_seen
from stages.formats.scribbles import ScribbleSet

A_CORRECTION: Final = "a correction: objects without a stroke keep the masks that they have"


@dataclass(frozen=True)
class Seen:
    """The masks that people see, made from one scribble set."""

    masks: Mapping[int, Path] = field(default_factory=dict)
    """By frame."""
    digests: Mapping[int, str] = field(default_factory=dict)
    """The sha256 of each, as it was published."""
    asked_for: frozenset[int] = frozenset()
    """The frames that people were ever asked for."""

    def corrected_by(self, scribbles: ScribbleSet, index: int) -> str:
        """What is drawn on a frame now corrects the mask of this digest; empty: it corrects none.

        Args:
            scribbles: the set before.
            index: the frame's.
        """
        is_correction = index in scribbles.corrects or index not in self.asked_for.union(scribbles.frames)
        return self.digests.get(index, "") if is_correction else ""

    def content(self, index: int) -> bytes:
        """The bytes of a mask, as they were published.

        Raises:
            StageError: they are others now.
        """
        mask = self.masks[index]
        content = mask.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.digests[index]:
            raise StageError(
                f"{mask}: found another content than was published, expected the mask that strokes correct; "
                "`lis verify --repair` removes what is damaged, and the next run makes it again"
            )
        return content

    def labels(self, index: int) -> LabelMap:
        """The same as ids, (H, W) uint8; see `content`."""
        self.content(index)
        return read_mask(self.masks[index])


NOTHING_SEEN: Final = Seen()


def is_to_be_had(scribble_file: Path, seen: Seen, index: int, digest: str) -> bool:
    """Whether the mask of this sha256, which strokes on a frame correct, is there: in a result, or kept as a copy."""
    return seen.digests.get(index) == digest or seen_copy(scribble_file, index, digest).exists()


def seen_in(root: Path, scribble_set: str, names: Sequence[str]) -> Seen:
    """What people see of a sequence.

    Args:
        root: the sequence's folder of results.
        scribble_set: the set's name.
        names: the file name of every frame.
    """
    asked_for, result = frames_asked_for(root, scribble_set), result_seen(root, scribble_set, names)
    if result is None:
        return Seen(asked_for=asked_for)
    folder, manifest = result
    masks, digests = [result_file(folder, name) for name in names], dict(digests_of(folder, manifest))
    found = {index: digests[path.name] for index, path in enumerate(masks) if path.name in digests}
    return Seen({index: masks[index] for index in found}, found, asked_for)
