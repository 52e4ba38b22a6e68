"""Items that are made one ahead of who asks for them."""

import threading
from collections.abc import Iterator

import pytest

from stages.core.ahead import made_ahead


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
