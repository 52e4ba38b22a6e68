"""Where a sequence lies: data/<dataset>/{JPEGImages/480p,Annotations/480p,Scribbles}/<sequence>."""

import difflib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stages.core.errors import InputError

NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NOT_A_DATASET: Final = "weights"
"""The folder of checkpoints lies among the datasets."""


@dataclass(frozen=True)
class SequencePaths:
    """The folders of one sequence; only `frames` is certain to exist once the sequence was found."""

    dataset: str
    name: str
    frames: Path
    annotations: Path
    scribbles: Path
    shared: bool = False
    """Whether another dataset has a sequence of this name; then results lie under the dataset's name."""


def find_sequence(data_root: Path, seq: str, dataset: str | None = None) -> SequencePaths:
    """Look a sequence up in every dataset under the data root, or in one.

    Raises:
        InputError: a name is malformed, the sequence is in no dataset or in several, or it lies outside the data root.
    """
    check_name(seq)
    owners = [name for name in list_datasets(data_root) if _layout(data_root, name, seq).frames.is_dir()]
    if dataset is None and len(owners) > 1:
        raise InputError(
            f"found the sequence {seq!r} in several datasets of {data_root}: {', '.join(owners)}; "
            f"choose one, for instance with --dataset {owners[0]}"
        )
    if dataset is not None:
        check_name(dataset, "dataset")
    if not owners or dataset not in (None, *owners):
        raise InputError(_not_found(data_root, seq, dataset, owners))
    return replace(sequence_paths(data_root, dataset or owners[0], seq), shared=len(owners) > 1)


def sequence_paths(data_root: Path, dataset: str, seq: str) -> SequencePaths:
    """The folders that a sequence has or would have, whether they exist or not.

    Raises:
        InputError: a name is malformed, or a symbolic link leads out of the data root.
    """
    check_name(dataset, "dataset")
    check_name(seq)
    if dataset == NOT_A_DATASET:
        raise InputError(f"found the dataset {dataset!r}, which is the folder of checkpoints; choose another name")
    paths = _layout(data_root, dataset, seq)
    for path in (paths.frames, paths.annotations, paths.scribbles):
        if not path.resolve().is_relative_to(data_root.resolve()):
            raise InputError(
                f"{path}: found a link to {path.resolve()}, expected a folder inside {data_root}; "
                "give the folder above the real dataset as --data-root"
            )
    return paths


def list_datasets(data_root: Path) -> list[str]:
    """The names of the folders under the data root that can be datasets, sorted.

    Raises:
        InputError: there is no such folder.
    """
    if not data_root.is_dir():
        raise InputError(
            f"{data_root}: found no such folder, expected the datasets in it; check --data-root, or bring in a video: "
            "lis import FILE"
        )
    names = sorted(path.name for path in data_root.iterdir() if path.is_dir() and path.name != NOT_A_DATASET)
    return [name for name in names if NAME_PATTERN.fullmatch(name)]


def list_sequences(data_root: Path, dataset: str) -> list[str]:
    """The names of a dataset's sequences, sorted; names that nobody can ask for are left out.

    Raises:
        InputError: the dataset's name is malformed.
    """
    folder = data_root / check_name(dataset, "dataset") / "JPEGImages" / "480p"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [name for name in names if NAME_PATTERN.fullmatch(name)]


def check_name(name: str, what: str = "sequence") -> str:
    """Return a name from outside if it is fit to be a folder's name, so that no path can be smuggled in.

    Raises:
        InputError: it is not.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise InputError(
            f"found {name!r} as the name of a {what}, expected 1 to 64 letters, digits, dots, hyphens or underscores, "
            "beginning with a letter or a digit"
        )
    return name


def _layout(data_root: Path, dataset: str, seq: str) -> SequencePaths:
    folder = data_root / dataset
    return SequencePaths(
        dataset=dataset,
        name=seq,
        frames=folder / "JPEGImages" / "480p" / seq,
        annotations=folder / "Annotations" / "480p" / seq,
        scribbles=folder / "Scribbles" / seq,
    )


def _not_found(data_root: Path, seq: str, dataset: str | None, owners: list[str]) -> str:
    datasets = list_datasets(data_root)
    if dataset is not None and dataset not in datasets:
        near = difflib.get_close_matches(dataset, datasets) or datasets
        return f"found no dataset {dataset!r} in {data_root}, expected one of: {', '.join(near) or '(none is there)'}"
    searched = datasets if dataset is None else [dataset]
    where = f"the dataset {dataset!r} of {data_root}" if dataset else f"any dataset of {data_root}"
    if owners:
        return f"found no frames of the sequence {seq!r} in {where}; {', '.join(owners)} has a sequence of this name"
    known = sorted({name for each in searched for name in list_sequences(data_root, each)})
    near = difflib.get_close_matches(seq, known, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {_listed(known)}."
    scribbled = [name for name in searched if _layout(data_root, name, seq).scribbles.is_dir()]
    if scribbled:
        hint = f"its scribbles are there, in {', '.join(scribbled)}."
    return f"found no frames of the sequence {seq!r} in {where}: {hint} `lis import` brings in a video or a folder"


def _listed(names: list[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "none"
