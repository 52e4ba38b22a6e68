"""Indexed PNGs that come in: `<stem>.png` in a folder, a label map each; a corrected copy of `masks/00012.png`, too."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from stages.exchange.incoming.folders import has_pngs, pictures_in
from stages.exchange.incoming.protocol import Picture, Reader
from stages.formats.masks import read_mask


class PngReader:
    """See `stages.exchange.incoming.protocol`."""

    name = "png"
    source = "a folder of indexed masks, <stem>.png by the frames' stems"

    def recognises(self, source: Path) -> bool:
        """A folder in which PNGs lie, without a JSON file for each (LabelMe's), or one of them."""
        if not source.is_dir():
            return source.suffix.lower() == ".png" and source.is_file()
        return has_pngs(source) and not any(path.with_suffix(".json").exists() for path in source.glob("*.png"))

    def pictures(self, source: Path) -> Iterator[Picture]:
        """One a file; names are those below the source."""
        for path in pictures_in(source):
            name = path.name if path == source else path.relative_to(source).as_posix()
            yield Picture(name, str(path), partial(read_mask, path))


READER: Final[Reader] = PngReader()
