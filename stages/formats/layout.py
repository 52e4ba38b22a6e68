"""Where a sequence lies: data/<dataset>/{JPEGImages/480p,Annotations/480p,Scribbles}/<sequence>."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from stages.core.errors import InputError
from stages.core.words import and_more
from stages.formats.links import broken_link
from stages.formats.names import check_name, doubles, in_folder, normal, why_unfit

NOT_A_DATASET: Final = "weights"
"""The folder of checkpoints lies among the datasets."""
RESERVED: Final = frozenset({"bulk", "exports", "training", NOT_A_DATASET})
"""Names below a root under which other things lie than a sequence's or a dataset's."""
_MOST_NAMED: Final = 12


@dataclass(frozen=True)
class SequencePaths:
    """The folders of one sequence; only `frames` is certain to exist once the sequence was found."""

    dataset: str
    name: str
    frames: Path
    annotations: Path
    scribbles: Path
    owners: tuple[str, ...] = ()
    """Every dataset that has a sequence of this name, in order."""

    @property
    def dataset_folder(self) -> Path:
        """That of the dataset, where `classes.json` may lie."""
        return self.frames.parents[2]


class Listing(NamedTuple):
    """What lies in a folder whose folders are sequences, or datasets."""

    names: list[str]
    """In their normal form, sorted."""
    unfit: dict[str, str]
    """A folder that cannot be one, as it is spelled -> why, and what to do: `which ...` goes on so."""


def find_sequence(data_root: Path, seq: str, dataset: str | None = None) -> SequencePaths:
    """Look a sequence up in every dataset under the data root, or in one. Links below the root are followed.

    Raises:
        InputError: a name is malformed, the sequence is in no dataset or in several, or a link to it is broken.
    """
    seq = _checked(seq)
    owners = datasets_with(data_root, seq)
    if dataset is None and len(owners) > 1:
        raise InputError(
            f"found the sequence {seq!r} in several datasets of {data_root}: {', '.join(owners)}; "
            f"choose one, for instance with --dataset {owners[0]}, or, in a list, {owners[0]}/{seq}"
        )
    if dataset is not None:
        dataset = check_name(dataset, "dataset")
    if not owners or dataset not in (None, *owners):
        raise InputError(_not_found(data_root, seq, dataset, owners))
    return _layout(data_root, dataset or owners[0], seq, owners)


def datasets_with(data_root: Path, seq: str) -> tuple[str, ...]:
    """Every dataset that has a sequence of this name, in order.

    Raises:
        InputError: the name is malformed, or a link to such a sequence is broken.
    """
    seq = _checked(seq)
    return tuple(name for name in list_datasets(data_root) if _is_there(_layout(data_root, name, seq).frames))


def sequence_paths(data_root: Path, dataset: str, seq: str) -> SequencePaths:
    """The folders that a sequence has or would have, whether they exist or not.

    Raises:
        InputError: a name is malformed, or is one of those that other things lie under.
    """
    dataset, seq = check_name(dataset, "dataset"), _checked(seq)
    if dataset in RESERVED:
        raise InputError(
            f"a dataset cannot be called {dataset!r}: other things lie under this name; choose another one"
        )
    return _layout(data_root, dataset, seq)


def list_datasets(data_root: Path) -> list[str]:
    """The names of the folders under the data root that can be datasets, sorted.

    Raises:
        InputError: there is no such folder.
    """
    return datasets_in(data_root).names


def datasets_in(data_root: Path) -> Listing:
    """The datasets under the data root, and the folders there that can be none.

    Raises:
        InputError: there is no such folder.
    """
    if not data_root.is_dir():
        raise InputError(
            f"{data_root}: found {broken_link(data_root) or 'no such folder'}, expected the datasets in it; check "
            "--data-root, or bring in a video: lis import FILE"
        )
    return _listing(data_root, frozenset({NOT_A_DATASET}), {})


def list_sequences(data_root: Path, dataset: str) -> list[str]:
    """The names of a dataset's sequences, sorted; names that nobody can ask for are left out.

    Raises:
        InputError: the dataset's name is malformed.
    """
    return sequences_in(data_root, dataset).names


def sequences_in(data_root: Path, dataset: str) -> Listing:
    """The sequences of a dataset, and the folders beside them that can be none.

    Raises:
        InputError: the dataset's name is malformed.
    """
    folder = in_folder(data_root, check_name(dataset, "dataset")) / "JPEGImages" / "480p"
    if not folder.is_dir():
        return Listing([], {})
    return _listing(folder, frozenset(), dict.fromkeys(RESERVED, "is a name that other results lie under"))


def _listing(folder: Path, passed_over: frozenset[str], reserved: dict[str, str]) -> Listing:
    """The folders in a folder, sorted out; hidden ones, and what is no folder, are passed over."""
    entries = [each for each in sorted(folder.iterdir()) if not each.name.startswith(".")]
    unfit = {each.name: f"is {broken}: mend or remove the link" for each in entries if (broken := broken_link(each))}
    folders = [each.name for each in entries if each.name not in unfit and each.is_dir()]
    folders = [name for name in folders if name not in passed_over]
    twice = doubles(folders)
    for name in folders:
        if why := why_unfit(name) or reserved.get(name, ""):
            unfit[name] = f"{why}: rename it"
        elif name in twice:
            unfit[name] = "differs from another name only in how Unicode spells it: rename one of them"
    return Listing(sorted(normal(name) for name in folders if name not in unfit), unfit)


def _checked(seq: str) -> str:
    seq = check_name(seq)
    if seq in RESERVED:
        raise InputError(f"a sequence cannot be called {seq!r}: other results lie under this name; choose another one")
    return seq


def _is_there(folder: Path) -> bool:
    """Whether there is a folder, by a link or not.

    Raises:
        InputError: the link to it is broken.
    """
    if broken := broken_link(folder):
        raise InputError(f"{folder}: found {broken}, expected the frames of a sequence; mend or remove the link")
    return folder.is_dir()


def _layout(data_root: Path, dataset: str, seq: str, owners: tuple[str, ...] = ()) -> SequencePaths:
    folder = in_folder(data_root, dataset)
    return SequencePaths(
        dataset=dataset,
        name=seq,
        frames=in_folder(folder / "JPEGImages" / "480p", seq),
        annotations=in_folder(folder / "Annotations" / "480p", seq),
        scribbles=in_folder(folder / "Scribbles", seq),
        owners=owners,
    )


def _not_found(data_root: Path, seq: str, dataset: str | None, owners: Sequence[str]) -> str:
    datasets = list_datasets(data_root)
    if dataset is not None and dataset not in datasets:
        if broken := broken_link(in_folder(data_root, dataset)):
            return f"{data_root / dataset}: found {broken}, expected a dataset; mend or remove the link"
        near = difflib.get_close_matches(dataset, datasets) or datasets
        return f"found no dataset {dataset!r} in {data_root}, expected one of: {', '.join(near) or '(none is there)'}"
    searched = datasets if dataset is None else [dataset]
    where = f"the dataset {dataset!r} of {data_root}" if dataset else f"any dataset of {data_root}"
    if owners:
        return f"found no frames of the sequence {seq!r} in {where}; {', '.join(owners)} has a sequence of this name"
    known = sorted({name for each in searched for name in list_sequences(data_root, each)})
    near = difflib.get_close_matches(seq, known, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {and_more(known, _MOST_NAMED) or 'none'}."
    scribbled = [name for name in searched if _layout(data_root, name, seq).scribbles.is_dir()]
    if scribbled:
        hint = f"its scribbles are there, in {', '.join(scribbled)}."
    return f"found no frames of the sequence {seq!r} in {where}: {hint} `lis import` brings in a video or a folder"
