"""How a long loop tells the outside how far it is, without knowing who listens."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Passes items through, and counts them."""

    def __call__(self, items: Iterable[T], total: int, /) -> Iterator[T]:
        """Yield every item of `items`, of which there are `total`."""
        ...


def silent(items: Iterable[T], total: int, /) -> Iterator[T]:
    """Nobody listens."""
    yield from items
