"""The formats that masks come in, by the name that `--format` has for each."""

from importlib import import_module
from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.exchange.incoming.folders import pictures_in
from stages.exchange.incoming.protocol import Reader
from stages.formats.names import shown

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
    if len(found) == 1:
        return found[0]
    which = " and ".join(reader.name for reader in found) or _what_is_there(source)
    raise InputError(f"{source}: found {which}, expected masks of one format; give --format {'|'.join(READERS)}")


def _what_is_there(source: Path) -> str:
    """What is known of a source that no reader takes for its own.

    Raises:
        InputError: it is missing, or cannot be listed.
    """
    pictures = pictures_in(source)
    if not source.is_dir() or not pictures:
        return "no format that is known"
    if pictures[0].suffix.lower() != ".png":
        return f"no PNG, but pictures such as {shown(pictures[0].name)}"
    folders = sorted({path.parent.relative_to(source).as_posix() for path in pictures} - {"."})
    if not folders:
        return "no format that is known"
    names = ", ".join(map(shown, folders[:3])) + ", ..." * (len(folders) > 3)
    return f"PNGs in the folders {names}, which may be objects (binary) or cameras (png)"
