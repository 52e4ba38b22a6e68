"""Which sequences a night takes: those of a list, or of a dataset; what it cannot take stays in it, with the reason."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.formats.layout import SequencePaths, datasets_in, datasets_with, list_datasets, sequences_in
from stages.formats.links import broken_link
from stages.formats.names import normal, shown
from tasks.runtime.snapshot import Place, paths_of

_COMMENT: Final = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True)
class Chosen:
    """A line of a night."""

    name: str
    """As the list has it, or the folder: so the summary calls it, too."""
    seq: str
    dataset: str
    """Where it lies; of one that is refused, where it was looked for."""
    refused: str = ""
    """Why it cannot be worked on; empty if it can."""


def choose(listed: str, dataset: str, data_root: str) -> Sequence[Chosen]:
    """The sequences of a list, or of a dataset, in order, each once.

    A line of a list is `<seq>` or `<dataset>/<seq>`; `#` after white space begins a comment, unless a sequence is
    called like the whole line.

    Args:
        listed: the path of a text file; "" to take a whole dataset.
        dataset: its name; with a list, where names without a dataset lie (""): wherever they are found).
        data_root: the folder of the datasets.

    Raises:
        InputError: neither is given, it cannot be read, or it names nothing.
    """
    if listed:
        chosen = [*_of_list(Path(listed), dataset, data_root)]
    elif dataset:
        chosen = [*of_dataset(dataset, data_root)]
    else:
        raise InputError(
            "found neither a list of sequences (a file, one a line) nor --dataset NAME, expected one of them."
        )
    if not chosen:
        raise InputError(f"no sequence in {listed or f'the dataset {dataset}'}: nothing to do.")
    return chosen


def check_named(chosen: Sequence[Chosen], listed: str, data_root: str) -> None:
    """Refuse a list some lines of which name no sequence, or one of several.

    Args:
        chosen: what `choose` made of the list.
        listed: its path.
        data_root: the folder of the datasets.

    Raises:
        InputError: all such lines, each with what may be meant.
    """
    if not (wrong := [one for one in chosen if one.refused]):
        return
    owners: dict[str, list[str]] = {}
    unfit: dict[str, str] = {}
    for dataset in list_datasets(Path(data_root)):
        found = sequences_in(Path(data_root), dataset)
        unfit |= found.unfit
        for name in found.names:
            owners.setdefault(name, []).append(dataset)
    said = "; ".join(f"{shown(one.name)!r} ({unfit.get(one.seq) or _may_be(one.seq, owners)})" for one in wrong)
    raise InputError(
        f"--list {listed}: found {said}, expected on every line one sequence: its name, or <dataset>/<name>; correct "
        "or remove what is wrong"
    )


def _may_be(seq: str, owners: Mapping[str, Sequence[str]]) -> str:
    if seq in owners:
        return " or ".join(f"{dataset}/{seq}" for dataset in owners[seq]) + "?"
    near = get_close_matches(seq, owners, 1)
    return f"no such sequence; did you mean {near[0]!r}?" if near else "no such sequence"


def _of_list(path: Path, dataset: str, data_root: str) -> Iterator[Chosen]:
    taken: set[tuple[str, str]] = set()
    for line in _lines(path):
        bare = _COMMENT.sub("", line).strip()
        if not bare:
            continue
        whole = _entry(line, dataset)
        entry = whole if bare == line or _is_there(whole, data_root) else _entry(bare, dataset)
        try:
            entry = replace(entry, dataset=_found(entry, data_root).dataset)
        except InputError as error:
            entry = replace(entry, refused=str(error))
        if (entry.dataset, entry.seq) not in taken:
            taken.add((entry.dataset, entry.seq))
            yield entry


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        found = broken_link(path) or ("a folder" if path.is_dir() else "no such file")
        raise InputError(f"--list {path}: found {found}. Give a text file with one sequence a line.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"--list {path}: not UTF-8 text ({error}). Give one sequence a line.") from None
    except OSError as error:
        raise InputError(f"--list {path}: cannot be read ({error.strerror}). Allow it, or give another file.") from None
    yield from filter(None, (line.strip() for line in text.split("\n")))


def _entry(line: str, dataset: str) -> Chosen:
    prefix, slash, seq = line.partition("/")
    return (
        Chosen(line, normal(seq), normal(prefix)) if prefix and slash else Chosen(line, normal(line), normal(dataset))
    )


def _is_there(entry: Chosen, data_root: str) -> bool:
    try:
        owners = datasets_with(Path(data_root), entry.seq)
    except InputError:
        return False
    return entry.dataset in owners if entry.dataset else bool(owners)


def _found(entry: Chosen, data_root: str) -> SequencePaths:
    return paths_of(Place(data_root, "", entry.dataset, entry.seq))


def of_dataset(dataset: str, data_root: str) -> Iterator[Chosen]:
    """The sequences of a dataset, with the folders beside them that cannot be one, by name.

    Raises:
        InputError: there is no such dataset.
    """
    dataset, datasets = normal(dataset), datasets_in(Path(data_root))
    if dataset not in datasets.names:
        known = ", ".join(datasets.names) or "none"
        others = "".join(f"; {name!r} {why}" for name, why in datasets.unfit.items())
        raise InputError(f"found no dataset {dataset!r} in {data_root}; there are: {known}{others}.")
    found = sequences_in(Path(data_root), dataset)
    unfit = {name: f"found {name!r}, which {why}" for name, why in found.unfit.items()}
    for name, refused in sorted([*((name, "") for name in found.names), *unfit.items()]):
        yield Chosen(shown(name), name, dataset, refused)
