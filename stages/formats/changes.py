"""Which masks of a result are others than in the result before: the block `changed` in the manifest's `run` block.

    "changed": [[12, 30], [63, 63]]

The first and the last frame of every stretch. A first result has no such block, nor have results of version 0.1.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stages.core.spans import Span, spans_of
from stages.formats.files import sha256
from stages.formats.manifest import Manifest, digests_of
from stages.formats.results import result_file

BLOCK: Final = "changed"


def changed_since(before: Path, manifest: Manifest, folder: Path, names: Sequence[str]) -> list[Span]:
    """The frames whose masks are others than before, or were not there.

    Args:
        before: the folder of the result before.
        manifest: its manifest.
        folder: the new masks, not published yet.
        names: the file name of every frame's picture.
    """
    digests = dict(digests_of(before, manifest))
    masks = [result_file(folder, name) for name in names]
    return spans_of(index for index, mask in enumerate(masks) if digests.get(mask.name) != sha256(mask))
