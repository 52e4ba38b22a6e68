"""Where the results of a sequence lie: in outputs/<seq>, or, if that is another dataset's, in outputs/<dataset>/<seq>.

What lies somewhere stays there: a dataset that comes later, or goes, moves nobody's results.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stages.core.errors import InputError, LisError
from stages.formats import results
from stages.formats.dataset_json import DATASET_JSON, read_owner
from stages.formats.digests import DigestCache
from stages.formats.frames import list_frames
from stages.formats.frames_json import FramesJson
from stages.formats.layout import RESERVED, SequencePaths, find_sequence
from stages.formats.links import broken_link
from stages.formats.log import LOG


class Home(NamedTuple):
    """Where the results of a sequence lie."""

    folder: Path
    told: str = ""
    """What people should know of the choice; empty if it goes without saying."""


def find_home(data_root: Path, outputs_root: Path, paths: SequencePaths) -> Home:
    """Look where the results of a sequence lie, or will lie; leaves no trace.

    Raises:
        InputError: there is no place for them, or a link to it is broken.
    """
    plain, below = outputs_root / paths.name, outputs_root / paths.dataset / paths.name
    for folder in (outputs_root, plain, below):
        if broken := broken_link(folder):
            raise InputError(f"{folder}: found {broken}, expected a folder for results; mend or remove the link")
    if _is_made(below):
        return Home(below)
    owner, told = _owner(plain, data_root, paths)
    if owner == paths.dataset:
        return Home(plain, told)
    if paths.dataset in RESERVED or _is_made(below.parent):
        raise InputError(
            f"{plain}: found results of another sequence of this name, so that those of {paths.dataset}/{paths.name} "
            f"would lie in {below.parent}, where other results lie; rename the dataset, or give another --outputs-root"
        )
    return Home(below, told)


def _owner(plain: Path, data_root: Path, paths: SequencePaths) -> tuple[str | None, str]:
    """The dataset that outputs/<seq> belongs to, or would; None: to none that has a sequence of this name."""
    first, recorded = paths.owners[0], read_owner(plain)
    if recorded in paths.owners:
        return recorded, ""
    if recorded is None and not _is_made(plain):
        return (None if _has_sequences(plain) else first), ""
    if recorded is None and len(paths.owners) == 1:
        return first, ""
    digests = _digests(plain)
    alike = {owner: _count_alike(digests, plain, data_root, owner, paths.name) for owner in paths.owners}
    if best := max(alike.values()):
        return next(owner for owner in paths.owners if alike[owner] == best), ""
    if recorded is None:
        return first, (
            f"{plain}: found no note of the dataset whose results these are, nor the frames of one of "
            f"{', '.join(paths.owners)}; they are taken for those of {first}"
        )
    return None, (
        f"{plain}: found results and requests of the dataset {recorded}, which has no such sequence now; those of "
        f"{paths.dataset} lie in {plain.parent / paths.dataset / paths.name}"
    )


def _is_made(folder: Path) -> bool:
    """Whether a run has worked in it as the folder of a sequence."""
    return (folder / DATASET_JSON).exists() or (folder / LOG).exists()


def _has_sequences(folder: Path) -> bool:
    return folder.is_dir() and any(_is_made(each) for each in folder.iterdir())


def _digests(root: Path) -> Mapping[str, str]:
    """File name -> digest of the frames that results were made from."""
    try:
        return dict(FramesJson.read(root / results.FRAMES).digests)
    except LisError:
        return {}


def _count_alike(digests: Mapping[str, str], root: Path, data_root: Path, dataset: str, seq: str) -> int:
    """How many frames of a dataset's sequence are those that the results in `root` were made from."""
    cache = DigestCache(root / results.DIGESTS)
    try:
        frames = list_frames(find_sequence(data_root, seq, dataset).frames) if digests else []
        return sum(digests[path.name] == cache.digest(path) for path in frames if path.name in digests)
    except (LisError, OSError):
        return 0
