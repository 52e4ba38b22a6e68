"""Items that are made one ahead of who asks for them."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from stages.core.ahead import made_ahead, neighbours_ahead


def test_the_next_one_is_made_while_one_is_worked_on_and_no_more() -> None:
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    seen = []
    for number in made_ahead(items()):
        seen.append(number)
        assert all(event.wait(5) for event in made[: number + 2])
        assert not any(event.is_set() for event in made[number + 2 :])
    assert seen == [0, 1, 2]


def test_a_mistake_comes_in_its_place_and_no_thread_is_left() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    before, seen = threading.active_count(), []
    with pytest.raises(ValueError, match="damaged"):
        seen.extend(made_ahead(items()))
    for number in made_ahead([1, 2, 3]):
        assert number == 1
        break
    assert threading.active_count() == before


class Numbers(Sequence[int]):
    """Each of them is made when asked for; the ninth cannot be."""

    def __init__(self) -> None:
        self.made, self.threads = list[int](), set[int]()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: Any) -> Any:
        if index == 9:
            raise ValueError("damaged")
        with self._changed:
            self.made.append(index)
            self.threads.add(threading.get_ident())
            self._changed.notify_all()
        return 10 * index

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.made) >= count, timeout=5)


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ([2, 3, 4, 5, 6, 7], [2, 3, 4, 5, 6, 7]),
        ([7, 6, 5, 4, 3, 2], [7, 6, 5, 4, 3, 2]),
        ([2, 7, 3, 6, 4, 5], [2, 3, 7, 6, 4, 5]),
    ],
)
def test_the_neighbour_that_comes_next_is_made_meanwhile_and_none_in_vain(asked: list[int], made: list[int]) -> None:
    numbers = Numbers()
    with neighbours_ahead(numbers, range(2, 8)) as ahead:
        for count, index in enumerate(asked, 1):
            assert ahead[index] == 10 * index
            assert numbers.wait_for(min(count + 1, len(asked)))
    assert numbers.made == made
    assert len(numbers.threads) == 1 and threading.get_ident() not in numbers.threads


def test_who_jumps_about_is_told_the_same_and_leaves_little_behind() -> None:
    numbers = Numbers()
    with neighbours_ahead(numbers, range(12)) as ahead:
        assert [ahead[2], numbers.wait_for(3), ahead[6], ahead[3], len(ahead)] == [20, True, 60, 30, 12]
    assert numbers.made.count(3) == 2  # the neighbours of 6 have taken its place


def test_a_neighbour_that_cannot_be_made_fails_who_asks_for_it_and_nobody_else() -> None:
    before = threading.active_count()
    with neighbours_ahead(Numbers(), range(12)) as ahead:
        assert ahead[8] == 80
        with pytest.raises(ValueError, match="damaged"):
            ahead[9]
    assert threading.active_count() == before
