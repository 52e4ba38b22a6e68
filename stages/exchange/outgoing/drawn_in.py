"""Exports for tools that save in place: what somebody has drawn in one lies nowhere else, and is not replaced."""

from pathlib import Path

from stages.core.errors import InputError
from stages.exchange.outgoing.formats import CORRECTED_IN
from stages.exchange.outgoing.joining import format_of_export
from stages.formats.files import sha256
from stages.formats.manifest import LIST, MANIFEST, digests_of, load_manifest


def check_nobodys_work(folder: Path) -> None:
    """See that nobody has drawn in an export that is to be made anew. Linked pictures are not the tools'.

    Args:
        folder: of the export; need not be there.

    Raises:
        InputError: a file in it is another one than was written, or new.
    """
    if format_of_export(folder) not in CORRECTED_IN or not (folder / MANIFEST).exists():
        return
    written = dict(digests_of(folder, load_manifest(folder)))
    there = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    for path in sorted(path for path in there if path.name not in (MANIFEST, LIST)):
        if written.get(path.relative_to(folder).as_posix()) != sha256(path):
            raise InputError(
                f"{path}: found it changed since it was exported, expected no work in a folder that is to be made "
                f"anew; import it (`lis import-masks`) if that is not done, and move {folder} away"
            )
