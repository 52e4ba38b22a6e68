"""The formats that masks come in, by the name that `--format` has for each."""

from importlib import import_module
from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.exchange.incoming.protocol import Reader

READERS: Final[dict[str, str]] = {
    "png": "png",
    "binary": "binary",
    "coco": "coco",
    "cvat": "cvat",
    "labelme": "labelme",
    "labelstudio": "label_studio",
}
"""Name -> module of `stages.exchange.readers`, whose `READER` it is: listing the names imports none of them."""


def reader_of(name: str) -> Reader:
    """The reader of a format.

    Raises:
        InputError: there is no such format.
    """
    if name not in READERS:
        raise InputError(f"found the format {name!r}, expected one of {', '.join(READERS)}")
    found: Reader = import_module(f"stages.exchange.readers.{READERS[name]}").READER
    return found


def guess(source: Path) -> Reader:
    """The reader that takes a source for its own, where exactly one does.

    Raises:
        InputError: none does, or several do.
    """
    found = [reader for name in READERS if (reader := reader_of(name)).recognises(source)]
    if len(found) != 1:
        which = " and ".join(reader.name for reader in found) or "no format that is known"
        raise InputError(f"{source}: found {which}, expected masks of one format; give --format {'|'.join(READERS)}")
    return found[0]
