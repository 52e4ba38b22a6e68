"""Which sequences are for training, and which to look at what came of it: whole sequences, never single frames.

`0.8/0.1/0.1` cuts the sequences, sorted by the sha256 of their names, into train, val and test: at least one each. So
which split a sequence is in depends on its name, not on the order of a list; and it keeps it when others join.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from stages.core.errors import InputError

ONLY: Final = "train"
"""The split of an export that has no others."""
SPLITS: Final = ("train", "val", "test")
_FORM: Final = "expected shares, as in 0.8/0.1/0.1, or lists of sequences, as in train=a.txt,val=b.txt"


def splits_of(spec: str) -> tuple[str, ...]:
    """The names of the splits that are asked for, in order.

    Raises:
        InputError: it is neither shares nor lists.
    """
    if not spec:
        return (ONLY,)
    return tuple(_lists(spec)) if "=" in spec else SPLITS[: len(_shares(spec))]


def paths_of(spec: str) -> list[str]:
    """The lists that are asked for: files."""
    return [*_lists(spec).values()]


def listed_in(spec: str, read: Callable[[str], Collection[str]]) -> Mapping[str, str]:
    """Sequence -> split, as lists have it; nothing where shares are asked for.

    Args:
        spec: what was asked for.
        read: gives the sequences of a list, a file.

    Raises:
        InputError: a sequence is in two lists, or a list cannot be read.
    """
    found: dict[str, str] = {}
    for split, path in (_lists(spec) if "=" in spec else {}).items():
        for name in read(path):
            if found.setdefault(name, split) != split:
                raise InputError(
                    f"found {name!r} in the lists of {found[name]} and of {split}, expected it in one; what is trained "
                    "on must not be what is measured with"
                )
    return found


def assign(
    names: Sequence[str], spec: str, listed: Mapping[str, str], before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The split of each sequence.

    Args:
        names: of the sequences.
        spec: what was asked for.
        listed: what `listed_in` returned.
        before: sequence -> split in the earlier export of this name, if the same was asked for.

    Raises:
        InputError: there are fewer sequences than splits, lists leave one out, or a split gets none.
    """
    splits = splits_of(spec)
    if len(names) < len(splits):
        raise InputError(
            f"found {len(names)} sequence{'s' * (len(names) != 1)} for the {len(splits)} splits of --split {spec}, "
            "expected at least one each; splits are made of whole sequences"
        )
    if "=" in spec:
        if missing := sorted(set(names) - listed.keys()):
            raise InputError(f"found {', '.join(missing)} in no list of --split {spec}, expected each in one; add it")
        return _none_empty({name: listed[name] for name in names}, spec)
    if not spec:
        return dict.fromkeys(names, ONLY)
    assigned = {name: split for name, split in (before or {}).items() if name in names and split in splits}
    room = Counter(dict(zip(splits, _sizes(len(names), _shares(spec)), strict=True)))
    room.subtract(assigned.values())
    for name in sorted(set(names) - assigned.keys(), key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        split = next(each for each in splits if room[each] > 0)
        assigned[name] = split
        room[split] -= 1
    return _none_empty(assigned, spec)


def _none_empty(assigned: dict[str, str], spec: str) -> dict[str, str]:
    if empty := [split for split in splits_of(spec) if split not in assigned.values()]:
        why = "finish one of its list" if "=" in spec else "all others keep theirs; bring one back or add one"
        raise InputError(
            f"found no sequence for {', '.join(empty)} of --split {spec}, expected one at least: {why}, or split anew, "
            "under another --name"
        )
    return assigned


def _sizes(count: int, shares: Sequence[float]) -> list[int]:
    """How many of so many sequences each split gets: its share, rounded, at least one; the first gets the rest."""
    sizes = [max(1, round(count * share)) for share in shares]
    while sum(sizes[1:]) >= count:
        sizes[1 + sizes[1:].index(max(sizes[1:]))] -= 1
    return [count - sum(sizes[1:]), *sizes[1:]]


def _shares(spec: str) -> list[float]:
    try:
        shares = [float(each) for each in spec.split("/")]
    except ValueError:
        raise InputError(f"found --split {spec}, {_FORM}") from None
    if not 1 < len(shares) <= len(SPLITS) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(
            f"found --split {spec}, expected two or three shares above 0 whose sum is 1, as in 0.8/0.1/0.1"
        )
    return shares


def _lists(spec: str) -> dict[str, str]:
    lists: dict[str, str] = {}
    for each in spec.split(","):
        split, _, path = each.partition("=")
        if split not in SPLITS or not path or split in lists:
            raise InputError(f"found --split {spec}, {_FORM}; splits are called {', '.join(SPLITS)}, each once")
        lists[split] = path
    return lists
