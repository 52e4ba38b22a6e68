"""The formats that masks come in, by the name that `--format` has for each."""

import zipfile
from importlib import import_module
from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.core.words import and_so_on
from stages.exchange.incoming.folders import documents_in, pictures_in
from stages.exchange.incoming.protocol import Reader
from stages.exchange.outgoing.own_files import format_of_export
from stages.formats.json_files import read_json
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

_PICTURES: Final = ("png", "binary")
"""Those that no document describes."""


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

    A document decides: pictures that lie beside it are those that people draw on. Where nothing does, a folder that is
    an export says what it is.

    Raises:
        InputError: none does, or several do.
    """
    takers = [name for name in READERS if reader_of(name).recognises(source)]
    found = [name for name in takers if name not in _PICTURES] or takers
    if len(found) == 1:
        return reader_of(found[0])
    exported_as = format_of_export(source)
    if exported_as in READERS:
        return reader_of(exported_as)
    which = f"an export in the format {exported_as}" if exported_as else " and ".join(found) or _what_is_there(source)
    raise InputError(f"{source}: found {which}, expected masks of one format; give --format {'|'.join(READERS)}")


def _what_is_there(source: Path) -> str:
    """What is known of a source that no reader takes for its own.

    Raises:
        InputError: it is missing, or cannot be listed, or a document is damaged.
    """
    pictures = pictures_in(source)
    for path in [source] if source.is_file() else [*documents_in(source, "*.json"), *documents_in(source, "*.zip")]:
        if fault := _damage(path):
            raise InputError(f"{path}: found it damaged ({fault}), expected masks; export it again")
    if not source.is_dir() or not pictures:
        return "no format that is known"
    if pictures[0].suffix.lower() != ".png":
        return f"no PNG, but pictures such as {shown(pictures[0].name)}"
    folders = sorted({path.parent.relative_to(source).as_posix() for path in pictures} - {"."})
    if not folders:
        return "no format that is known"
    return f"PNGs in the folders {and_so_on([*map(shown, folders)], 3)}, which may be objects (binary) or cameras (png)"


def _damage(path: Path) -> str:
    """What is wrong with a file of JSON, or with an archive; nothing if it is whole, or neither."""
    try:
        if path.suffix.lower() == ".json":
            read_json(path)
        elif path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                archive.infolist()
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        return str(getattr(error, "strerror", None) or error).partition("\n")[0]
    return ""
