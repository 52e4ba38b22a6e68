"""The next piece of work is made ready while somebody else, a GPU, works on the one before."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
_END: Final = object()


def made_ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items; each is made in a thread, one before it is asked for. The thread ends with them."""
    making = iter(items)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, making, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, making, _END)
            yield item  # type: ignore[misc]  # it is no end
