"""Whole sequences into splits."""

import pytest

from stages.core.errors import InputError
from stages.exchange.outgoing.splits import assign, listed_in, splits_of

NAMES = [f"sequence {number}" for number in range(10)]


def _sizes(assigned: dict[str, str]) -> dict[str, int]:
    return {split: [*assigned.values()].count(split) for split in ("train", "val", "test")}


@pytest.mark.parametrize(
    ("count", "spec", "sizes"),
    [
        (10, "0.8/0.1/0.1", (8, 1, 1)),
        (3, "0.8/0.1/0.1", (1, 1, 1)),
        (4, "0.98/0.01/0.01", (2, 1, 1)),
        (4, "0.01/0.5/0.49", (1, 1, 2)),
        (10, "0.75/0.25", (8, 2, 0)),
        (10, "", (10, 0, 0)),
    ],
)
def test_shares_become_numbers_of_sequences(count: int, spec: str, sizes: tuple[int, int, int]) -> None:
    assert tuple(_sizes(assign(NAMES[:count], spec, {})).values()) == sizes


def test_the_order_of_a_list_does_not_matter() -> None:
    assert assign(NAMES, "0.6/0.4", {}) == assign(NAMES[::-1], "0.6/0.4", {})


def test_a_sequence_keeps_its_split_when_others_join() -> None:
    before = assign(NAMES, "0.5/0.5", {})
    more = [*NAMES, *(f"joined {number}" for number in range(10))]
    after = assign(more, "0.5/0.5", {}, before)
    assert {name: after[name] for name in NAMES} == before
    assert _sizes(after) == {"train": 10, "val": 10, "test": 0}


def test_a_split_that_nothing_is_left_in_is_refused() -> None:
    before = assign(NAMES, "0.8/0.1/0.1", {})
    left = [name for name in NAMES if before[name] != "val"]
    with pytest.raises(InputError, match=r"found no sequence for val of --split 0.8/0.1/0.1, .* another --name"):
        assign(left, "0.8/0.1/0.1", {}, before)
    with pytest.raises(InputError, match=r"found no sequence for val of --split train=a,val=b, .*: finish one"):
        assign(["one", "two"], "train=a,val=b", {"one": "train", "two": "train"})


def test_lists_say_it_themselves() -> None:
    lists = {"a.txt": ["one", "two"], "b.txt": ["three"]}
    listed = listed_in("train=a.txt,val=b.txt", lists.__getitem__)
    assert assign(["one", "three"], "train=a.txt,val=b.txt", listed) == {"one": "train", "three": "val"}
    with pytest.raises(InputError, match="found four in no list"):
        assign(["one", "four"], "train=a.txt,val=b.txt", listed)
    with pytest.raises(InputError, match="in the lists of train and of val"):
        listed_in("train=a.txt,val=b.txt", lambda path: ["one"])


@pytest.mark.parametrize("spec", ["0.8", "0.8/0.3", "0.8/0.2/0.0", "a/b", "train", "dev=a.txt", "train=a,train=b"])
def test_what_is_no_split_is_refused(spec: str) -> None:
    with pytest.raises(InputError, match="--split"):
        splits_of(spec)


def test_fewer_sequences_than_splits_are_refused() -> None:
    with pytest.raises(InputError, match="found 2 sequences for the 3 splits"):
        assign(NAMES[:2], "0.8/0.1/0.1", {})
